"""An aligned folder as a model of lm-eval: what it writes is scored by any generation task of lm-eval's own command.

harness lm-eval run --model harness --model_args path=aligned/ --tasks gsm8k
harness lm-eval run --model harness --model_args path=imdb-3f2a,method=iro --tasks ifeval --apply_chat_template

Stop strings and length are the task's; how tokens are drawn is the folder's, so the answers are its method's and the
same each time. Likelihoods of given texts are refused: steered writing has none that could be told, and the base's own
would be read as the aligned model's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from lm_eval.api.model import LM
from lm_eval.models.utils import normalize_gen_kwargs
from tqdm import tqdm

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.types import Message, Prompt
from harness.serve.aligned import Aligned
from harness.serve.opening import load

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

NAME = "harness"
_ANY_DEVICE = "cuda:0"  # what lm-eval says where nobody did
_TOGETHER = 64  # requests between two looks at the clock


class HarnessLM(LM):  # type: ignore[misc]  # lm-eval has no types
    """`path` is a run, or a folder of `harness align`; the other arguments are those of `harness generate`."""

    def __init__(
        self,
        path: str = "",
        method: str | None = None,
        iteration: int | None = None,
        pick: str | None = None,
        seed: int | None = None,
        model: str | None = None,
        device: str | None = None,
        key_variable: str | None = None,
        batch_size: int | str | None = None,  # a folder cuts its batches as its run did
        max_batch_size: int | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        if others or not path:
            named = ", ".join(f"{name}={value}" for name, value in others.items()) or "no path"
            raise UserError(
                f"--model_args of the model harness: {named}; it takes path=DIR, method, iteration, pick, seed, model, "
                "key_variable"
            )
        where = "auto" if device in (None, _ANY_DEVICE) else device
        self._aligned = load(str(path), method, iteration, model=model, device=str(where), key_variable=key_variable)
        self._pick, self._seed = pick, seed

    @classmethod
    def over(cls, aligned: Aligned, pick: str | None = None, seed: int | None = None) -> "HarnessLM":
        """One that is loaded already."""
        made = cls.__new__(cls)
        LM.__init__(made)
        made._aligned, made._pick, made._seed = aligned, pick, seed
        return made

    def generate_until(self, requests: list["Instance"], disable_tqdm: bool = False) -> list[str]:
        """Answers in the order of the requests. Equal requests are one prompt's samples, each by a seed of its own."""
        written: list[str | None] = [None] * len(requests)
        with tqdm(total=len(requests), disable=disable_tqdm, desc="harness: generate_until") as bar:
            for places, prompts, how, seed in _jobs(requests, self._aligned, self._seed):
                answers = self._aligned.writing(**how).answered(prompts, pick=self._pick, seed=seed)
                for place, answer in zip(places, answers, strict=True):
                    written[place] = answer.text
                    self.cache_hook.add_partial("generate_until", requests[place].args, answer.text)
                bar.update(len(places))
        return [text for text in written if text is not None]

    def loglikelihood(self, requests: list["Instance"]) -> NoReturn:
        raise UserError(
            "the task asks for likelihoods of given texts; an aligned model has none: it steers what is written. "
            "Choose tasks of the kind generate_until, and ask the base by --model hf"
        )

    def loglikelihood_rolling(self, requests: list["Instance"]) -> NoReturn:
        self.loglikelihood(requests)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> "Said":
        """The messages, which the model's own template renders when it reads them."""
        if not add_generation_prompt:
            raise UserError(
                "the task begins the answer itself (gen_prefix), which no chat template here goes on from; leave "
                "--apply_chat_template out"
            )
        return Said.of(chat_history)

    def chat_template(self, chat_template: bool | str = False) -> str:
        return f"of {self._aligned.model}" if chat_template else ""

    @property
    def tokenizer_name(self) -> str:
        """Part of the key under which lm-eval keeps the prompts that it made."""
        return self._aligned.about.fingerprint

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval writes beside its results."""
        of = self._aligned
        return {
            "harness_run": of.about.run,
            "harness_method": of.method,
            "harness_iteration": of.iteration,
            "harness_pick": self._pick or of.pick,
            "harness_model": of.model,
            "harness_model_fingerprint": of.about.fingerprint,
            "harness_sampler": asdict(of.sampler),
        }


class Said(str):
    """Messages that lm-eval takes for a text: it reads them, hashes them and shows them as one."""

    messages: tuple[Message, ...]

    @classmethod
    def of(cls, history: Sequence[dict[str, str]]) -> "Said":
        made = cls("\n".join(f"{one['role']}: {one['content']}" for one in history))
        made.messages = tuple(Message(one["role"], one["content"]) for one in history)
        return made


Job = tuple[list[int], list[Prompt], dict[str, Any], int | None]
"""Places of requests, their prompts, what changes in the sampling rule, and the seed."""


def _jobs(requests: Sequence["Instance"], aligned: Aligned, seed: int | None) -> Iterator[Job]:
    """Requests that are answered together: of one way to end answers, and none of them twice."""
    groups: dict[tuple[str, int], list[int]] = {}
    seen: dict[str, int] = {}
    how: dict[str, dict[str, Any]] = {}
    prompts = [_prompt(request.args[0]) for request in requests]
    for place, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
        ends = _ends(request.args[1], aligned)
        name = digest([prompt.id, ends])
        time = seen[name] = seen.get(name, -1) + 1
        key = digest(ends)
        how[key] = ends
        groups.setdefault((key, time), []).append(place)
    for (key, time), places in groups.items():
        shifted = seed if time == 0 else (aligned.about.asked["seed"] if seed is None else seed) + time
        for start in range(0, len(places), _TOGETHER):
            part = places[start : start + _TOGETHER]
            yield part, [prompts[place] for place in part], how[key], shifted


def _prompt(context: str) -> Prompt:
    if isinstance(context, Said):
        said = context.messages
        return Prompt(digest([[one.role, one.content] for one in said])[:12], messages=said)
    return Prompt(digest(context)[:12], text=context)


def _ends(asked: Any, aligned: Aligned) -> dict[str, Any]:
    """Stop strings and length that a request names. Raises UserError where it asks for another sampling rule."""
    kwargs = normalize_gen_kwargs(dict(asked or {}))
    rule = aligned.sampler
    if kwargs.get("do_sample") and kwargs.get("temperature") != rule.temperature:
        raise UserError(
            f"the task asks for samples at temperature {kwargs.get('temperature')}; {aligned.folder} writes at "
            f"{rule.temperature:g}, for which its method was fitted. Leave --gen_kwargs out, or name that temperature"
        )
    until = kwargs.get("until") or []
    stop = tuple(dict.fromkeys(one for one in ([until] if isinstance(until, str) else until) if one))
    return {"stop": stop, "max_new_tokens": int(kwargs["max_gen_toks"])}
