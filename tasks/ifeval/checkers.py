"""Which instructions an answer follows, asked of lm-eval's own checkers.

followed = Checkers(cache).of(completions)      # one Followed each; None where a checker could not read the answer
followed[0].strict, followed[0].loose           # (True, False), (True, True): instruction by instruction

Strict looks at the answer as it is; loose also at what is left without its first line, its last, and its asterisks. In
lm-eval a language is guessed, and for three official prompts a letter is drawn, each time anew; here both depend on
nothing but the answer.
"""

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import Value
from pathlib import Path
from typing import Any

from harness.core.errors import UserError
from harness.core.printable import printable
from harness.core.punkt import offer_punkt
from harness.core.quiet import silence_libraries
from harness.core.types import Completion

_SEED = 0  # of guesses and draws within a checker


@dataclass(frozen=True)
class Followed:
    """Instruction by instruction, in the prompt's order."""

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


class Checkers:
    """lm-eval's checkers, imported when they are first asked: that takes seconds."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._said = Value("b", 0)  # once for all processes of a run

    def of(self, completions: Sequence[Completion]) -> list[Followed | None]:
        """Each by itself. Raises UserError where the checkers are not installed."""
        return [self._followed(completion) for completion in completions]

    def _followed(self, completion: Completion) -> Followed | None:
        process, prompt = self._process, completion.prompt
        document = {
            **prompt.row,
            "key": prompt.id,
            "prompt": prompt.messages[-1].content if prompt.messages else prompt.text,
        }
        try:
            with _repeatable():
                found = process(document, [completion.text])
        except Exception as error:  # whatever a checker trips over: brackets 1,000 deep where JSON is asked for
            self._say(f"{type(error).__name__}: {error}", completion.text)
            return None
        strict, loose = found["inst_level_strict_acc"], found["inst_level_loose_acc"]
        return Followed(tuple(map(bool, strict)), tuple(map(bool, loose)))

    @cached_property
    def _process(self) -> Callable[[dict[str, Any], list[str]], dict[str, Any]]:
        offer_punkt(self._cache)
        silence_libraries()
        try:
            import langdetect
            from lm_eval.tasks.ifeval.utils import process_results
        except ImportError as error:
            raise UserError(
                f"the checkers of ifeval need {error.name}; install it with: pip install 'iro-harness[ifeval]'"
            ) from error
        langdetect.DetectorFactory.seed = _SEED
        return process_results  # type: ignore[no-any-return]

    def _say(self, detail: str, text: str) -> None:
        with self._said.get_lock():
            first, self._said.value = not self._said.value, 1
        if first:
            line = f"a checker could not read the answer {text[:60]!r} ({detail[:80]}); such answers have no score"
            print(printable(line), file=sys.stderr, flush=True)


@contextmanager
def _repeatable() -> Iterator[None]:
    """What the block draws from Python's own generator is the same each time, and others do not notice."""
    state = random.getstate()
    random.seed(_SEED)
    try:
        yield
    finally:
        random.setstate(state)
