"""A grader as a scorer: completions -> (n,) float32, NaN where there is no score, counted by its reason.

scorer = Scorer(load_grader("checks.py:correct"))
scorer(completions)
scorer.failures       # {"python_grader_runtime_error": Failure(2, "ZeroDivisionError: ...", "the answer")}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.core.given_prompts import content_of
from harness.core.graders.grade import Error, Grade, Grader, Item
from harness.core.types import Completion


@dataclass(frozen=True)
class Failure:
    """How many answers had no score for one reason, and of the first of them what was said and what it was."""

    count: int
    detail: str
    response: str


@dataclass
class Scorer:
    """Grades each pair of prompt (with its row) and response once; equal ones have the same grade.

    Raises nothing: whoever asks looks at `failures`, and stops where all of a stage are NaN (`reward.require_some`).
    Rows must be plain data, as JSON has it.
    """

    grader: Grader
    _known: dict[tuple[str, ...], Grade] = field(default_factory=dict)
    _failures: dict[Error, Failure] = field(default_factory=dict)

    def __call__(self, completions: Sequence[Completion]) -> np.ndarray:
        return np.array([grade.score for grade in self.grades(completions)], dtype=np.float32)  # (n,)

    def grades(self, completions: Sequence[Completion]) -> list[Grade]:
        """With their metrics and errors."""
        keys = [(*content_of(c.prompt), c.text) for c in completions]
        new = {key: c for key, c in zip(keys, completions, strict=True) if key not in self._known}
        if new:
            made = self._asked([Item.of(c) for c in new.values()])
            self._known |= dict(zip(new, made, strict=True))
            for grade, completion in zip(made, new.values(), strict=True):
                self._count(grade, completion)
        return [self._known[key] for key in keys]

    @property
    def failures(self) -> Mapping[Error, Failure]:
        """By reason, in the order of their names; an answer that is asked for twice counts once."""
        return dict(sorted(self._failures.items()))

    def forget(self) -> None:
        """Every grade and failure so far: the next answers are graded anew."""
        self._known.clear()
        self._failures.clear()

    def _asked(self, items: Sequence[Item]) -> list[Grade]:
        try:
            grades = self.grader.grade(items)
        except Exception as error:  # a bug of a grader is no reason to lose what a run has done
            return [Grade.failed("other_error", f"{type(error).__name__}: {error}")] * len(items)
        return [_single(grade) for grade in grades]

    def _count(self, grade: Grade, completion: Completion) -> None:
        if grade.error is None:
            return
        seen = self._failures.get(grade.error, Failure(0, grade.detail, completion.text[:200]))
        self._failures[grade.error] = replace(seen, count=seen.count + 1)


def _single(grade: Grade) -> Grade:
    """What float32 cannot hold is no score."""
    if grade.error is None and abs(grade.score) > float(np.finfo(np.float32).max):
        return Grade.failed("other_error", f"its score {grade.score:g} is too large", grade.metrics)
    return grade
