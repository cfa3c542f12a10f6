"""Prompts and a reward of one's own, given from Python: the task behind `harness.align`, and how both are read.

    def shorter(prompt, response): return -len(response)            # or batched: (prompts, responses) -> list
    task = own_task(prompts_of(["The film was", ...]), Reward.of(shorter), "smollm2-135m-instruct", held_out=8)

There is one reward, so proxy and gold are the same function: what a run says of gold is no held-out judgement.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from multiprocessing import Value
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.callables import Signature, Source, signature_of, source_of
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.models.policy import Policy
from harness.core.task import GOLD, Slice, Task
from harness.core.types import Completion, Message, Prompt, Scorer

NAME = "own"  # of the task


class Reward:
    """A callable as a scorer: completions -> (n,) float32 in its own units, NaN where it failed.

    A failure is an exception, or anything that is no number. The first is shown, once for all worker processes.
    """

    def __init__(self, function: Callable[..., Any], signature: Signature, source: Source) -> None:
        self.function, self.signature, self.source = function, signature, source
        self._known: dict[tuple[str, ...], float] = {}  # proxy and gold ask for the same
        self._told = Value("b", 0)

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Reward":
        """Raises UserError where it takes neither (prompt, response, ...) nor (prompts, responses, ...)."""
        return cls(function, signature_of(function), source_of(function))

    def __call__(self, completions: Sequence[Completion]) -> np.ndarray:
        keys = [(*_content(c.prompt), c.text) for c in completions]
        new = {key: c for key, c in zip(keys, completions, strict=True) if key not in self._known}
        self._known |= zip(new, self._asked(list(new.values())), strict=True)
        return np.array([self._known[key] for key in keys], dtype=np.float32)

    def require_columns(self, prompts: Sequence[Prompt]) -> None:
        """Raises UserError where a prompt's row lacks what the function asks for."""
        for prompt in prompts:
            if missing := [name for name in self.signature.required if name not in prompt.row]:
                raise UserError(
                    f"the reward {self.source.name} asks for {', '.join(missing)}, which the row of prompt "
                    f"{_start(prompt)!r} has not; it has {', '.join(prompt.row) or 'nothing besides the prompt'}"
                )

    def _asked(self, completions: Sequence[Completion]) -> list[float]:
        if not completions:
            return []
        if self.signature.batched:
            return self._asked_together(completions)
        scores = []
        for completion in completions:
            try:
                columns = self.signature.columns(completion.prompt.row)
                value = self.function(plain(completion.prompt), completion.text, **columns)
            except Exception as error:  # whatever a user's function raises
                value = error
            scores.append(self._number(value, completion))
        return scores

    def _asked_together(self, completions: Sequence[Completion]) -> list[float]:
        rows = [self.signature.columns(c.prompt.row) for c in completions]
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
        try:
            values = list(
                self.function([plain(c.prompt) for c in completions], [c.text for c in completions], **columns)
            )
        except Exception as error:  # as above
            return [self._number(error, completion) for completion in completions]
        if len(values) != len(completions):
            raise UserError(
                f"the reward {self.source.name} returned {len(values)} numbers for {len(completions)} responses"
            )
        return [self._number(value, completion) for value, completion in zip(values, completions, strict=True)]

    def _number(self, value: Any, completion: Completion) -> float:
        try:
            if isinstance(value, str | bytes):  # float would read some
                raise TypeError(f"it returned the text {value[:40]!r}")
            if isinstance(value, Exception):
                raise value
            number = float(value)
            if not np.isfinite(number):
                raise ValueError(f"it returned {number}")
        except Exception as error:  # as above
            self._tell(error, completion)
            return float("nan")
        return number

    def _tell(self, error: Exception, completion: Completion) -> None:
        with self._told.get_lock():
            first, self._told.value = not self._told.value, 1
        if first:
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            print(
                f"the reward {self.source.name} gave no number for the response {completion.text[:60]!r} ({what}); "
                "such responses are left out and counted",
                file=sys.stderr,
                flush=True,
            )


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    prompts: Annotated[str, Field(description="hash of the prompts, in their order (harness)")] = ""
    reward: Annotated[str, Field(description="hash of the reward's source (harness)")] = ""
    held_out: Annotated[int, Field(ge=1, description="prompts that are answered, not fitted on (harness)")] = 1


class Own(Task):
    """Only `own_task` makes one that has prompts."""

    Config = Settings
    source = "prompts and a reward given from Python"
    given: ClassVar[Sequence[Prompt]] = ()
    function: ClassVar[Reward]

    def __init__(self, config: Settings, policy: Policy, cache: Path) -> None:
        self.config = config

    def prompts(self, part: Slice) -> list[Prompt]:
        """The last `held_out` by id are answered, whichever slice that is called; the others are fitted on."""
        ordered = sorted(self.given, key=lambda p: p.id)
        cut = len(ordered) - self.config.held_out
        return ordered[:cut] if part == "fit" else ordered[cut:]

    def reward(self) -> Scorer:
        return type(self).function

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        return {GOLD: type(self).function(completions)}

    def describe(self) -> dict[str, object]:
        fitted = {_content(p) for p in self.prompts("fit")}
        return {
            "slices": {"fit": len(self.prompts("fit")), "test": self.config.held_out},
            "gold": "the same function as the proxy: no held-out judgement",
            "answered_prompts_also_fitted_on": sum(_content(p) in fitted for p in self.prompts("test")),
        }


def own_task(prompts: Sequence[Prompt], reward: Reward, model: str) -> type[Own]:
    """A task of these prompts, whose ids may repeat: the second of an id gets another one, and so its own samples."""

    class Given(Own):
        default_model = model
        profiles = {"quick": _TOY if model == "toy" else {}}
        given = _numbered(prompts)
        function = reward

    return Given


_TOY: Mapping[str, Mapping[str, Any]] = {
    "sampler": {"max_new_tokens": 4, "top_k": 0},
    "budget": {"rows": 4, "chunk": 1},
}


def settings_of(prompts: Sequence[Prompt], reward: Reward, held_out: int) -> dict[str, Any]:
    """The settings of such a task, which name its prompts and its reward in every key of what is stored."""
    identity = digest([[p.id, *_content(p)] for p in _numbered(prompts)])[:20]
    return {"prompts": identity, "reward": reward.source.identity, "held_out": held_out}


def prompts_of(given: Iterable[Any]) -> list[Prompt]:
    """Prompts from texts, lists of messages (dicts of role and content), rows with `prompt` or `messages`, or Prompts.

    The other columns of a row are what the reward may ask for. A prompt's id is the hash of all of it, unless it has
    one. Raises UserError for anything else.
    """
    if isinstance(given, str | bytes | Mapping):
        raise UserError(f"prompts is a {type(given).__name__}; give a list of prompts")
    return [_prompt(item, f"prompt {i}") for i, item in enumerate(given)]


def plain(prompt: Prompt) -> str | list[dict[str, str]]:
    """A prompt as a user's function gets it: its text, or its messages."""
    if prompt.messages is None:
        assert prompt.text is not None, "a prompt has text or messages"
        return prompt.text
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def _prompt(item: Any, where: str) -> Prompt:
    if isinstance(item, Prompt):
        _require_plain(item.row, where)
        return item
    row: Mapping[str, Any] = (
        item if isinstance(item, Mapping) else {"messages" if isinstance(item, list) else "prompt": item}
    )
    asked = [name for name in ("prompt", "messages") if name in row]
    if len(asked) != 1:
        raise UserError(f"{where} is {_short(item)}: give a text, a list of messages, or a row with prompt or messages")
    value = row[asked[0]]
    rest = {str(name): content for name, content in row.items() if name not in (*asked, "id")}
    text = value if isinstance(value, str) else None
    messages = None if text is not None else _messages(value, where)
    reference = rest.get("reference") if isinstance(rest.get("reference"), str) else None
    _require_plain(rest, where)
    identity = digest([text, messages and [[m.role, m.content] for m in messages], rest])
    return Prompt(str(row.get("id", identity[:12])), text, messages, reference, rest)


def _require_plain(row: Mapping[str, Any], where: str) -> None:
    try:
        digest(dict(row))
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}; the columns of a row are plain data, as JSON has it") from error


def _messages(value: Any, where: str) -> tuple[Message, ...]:
    made = []
    for message in value if isinstance(value, list | tuple) and value else [None]:
        if isinstance(message, Message):
            made.append(message)
        elif isinstance(message, Mapping) and isinstance(message.get("content"), str) and "role" in message:
            made.append(Message(str(message["role"]), message["content"]))
        else:
            raise UserError(f"{where} is {_short(value)}: give a text, or messages with role and content")
    return tuple(made)


def _numbered(prompts: Sequence[Prompt]) -> list[Prompt]:
    seen: Counter[str] = Counter()
    out = []
    for prompt in prompts:
        seen[prompt.id] += 1
        again = seen[prompt.id]
        out.append(prompt if again == 1 else replace(prompt, id=f"{prompt.id}-{again}"))
    return out


def _content(prompt: Prompt) -> tuple[str, str]:
    """What is read of a prompt, to compare."""
    return digest(plain(prompt)), digest(dict(prompt.row))


def _start(prompt: Prompt) -> str:
    return str(plain(prompt))[:60]


def _short(item: Any) -> str:
    return f"{item!r}"[:80]
