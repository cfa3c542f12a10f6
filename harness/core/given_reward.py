"""A reward that is a Python function, as a scorer.

reward = Reward.of(lambda prompt, response: -len(response))      # or batched: (prompts, responses) -> list
reward(completions)                                             # (n,) float32, NaN where it failed
"""

import sys
from collections.abc import Callable, Sequence
from multiprocessing import Value
from typing import Any

import numpy as np

from harness.core.callables import Signature, Source, signature_of, source_of
from harness.core.errors import UserError
from harness.core.given_prompts import content_of, plain
from harness.core.types import Completion, Prompt


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
        keys = [(*content_of(c.prompt), c.text) for c in completions]
        new = {key: c for key, c in zip(keys, completions, strict=True) if key not in self._known}
        self._known |= zip(new, self._asked(list(new.values())), strict=True)
        return np.array([self._known[key] for key in keys], dtype=np.float32)

    def require_columns(self, prompts: Sequence[Prompt]) -> None:
        """Raises UserError where a prompt's row lacks what the function asks for."""
        for prompt in prompts:
            if missing := [name for name in self.signature.required if name not in prompt.row]:
                raise UserError(
                    f"the reward {self.source.name} asks for {', '.join(missing)}, which the row of prompt "
                    f"{str(plain(prompt))[:60]!r} has not; it has {', '.join(prompt.row) or 'the prompt alone'}"
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
