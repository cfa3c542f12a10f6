"""A grader as a scorer that tells the user, once, when an answer has no score; and its errors as numbers for tables.

scorer = ToldScorer(load_grader("checks.py:correct"))
error_codes(scorer.grades(completions))       # (n,) 0: a score; else the place of the reason in ERRORS, from 1
"""

import sys
from collections.abc import Sequence
from multiprocessing import Value

import numpy as np

from harness.core.graders.grade import ERRORS, Grade, Grader
from harness.core.graders.scorer import Scorer
from harness.core.printable import printable
from harness.core.types import Completion

PROXY_ERROR, GOLD_ERROR = "proxy_error", "gold_error"  # metrics: 0, or the place of the error's name in ERRORS, from 1


class ToldScorer(Scorer):
    """Says once for all processes of a run what the first answer without a score was, and why."""

    def __init__(self, grader: Grader) -> None:
        super().__init__(grader)
        self._said = Value("b", 0)

    def grades(self, completions: Sequence[Completion]) -> list[Grade]:
        made = super().grades(completions)
        if self.failures:
            with self._said.get_lock():
                first, self._said.value = not self._said.value, 1
            if first:
                error, failure = next(iter(self.failures.items()))
                line = (
                    f"the grader {self.grader.name} gave no score for the answer {failure.response[:60]!r}: {error} "
                    f"({failure.detail}); such answers are left out and counted"
                )
                print(printable(line), file=sys.stderr, flush=True)
        return made


def error_codes(grades: Sequence[Grade]) -> np.ndarray:
    """(n,) 0 for a score, else the place of the error's name, from 1."""
    return np.array([0 if g.error is None else 1 + ERRORS.index(g.error) for g in grades], dtype=np.float32)
