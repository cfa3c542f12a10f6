"""A grader that is a Python function, run by a worker.

grader = FunctionGrader.of("grader.py:correct", source, function, form, ...)
"""

import math
from collections.abc import Sequence
from typing import cast

from harness.core.digest import digest
from harness.core.graders.forms import FORM
from harness.core.graders.grade import Error, Grade, Item, Reads
from harness.core.graders.returned import Outcome
from harness.core.graders.worker import Ended, Limits, Worker, one_line

_CALLED = dict.fromkeys(  # forms whose functions are called otherwise than once, so that what is stored is not taken
    ("batched", "trl", "rubric_group", "openrlhf", "openai", "verl", "bedrock"), "/2"
)


class FunctionGrader:
    """Grades through a worker; an item that makes it exit, hang or leak is NaN, and the next have a new one."""

    def __init__(self, name: str, identity: str, reads: Reads, worker: Worker) -> None:
        self.name, self.identity, self.reads, self._worker = name, identity, reads, worker

    def grade(self, items: Sequence[Item]) -> list[Grade]:
        if not items:
            return []
        if FORM[self._worker.job.form].batched:
            return self._called(items)
        return [grade for item in items for grade in self._called([item])]

    def close(self) -> None:
        self._worker.close()

    def start(self) -> None:
        """Raises UserError where the file cannot be imported."""
        self._worker.start()

    def _called(self, items: Sequence[Item]) -> list[Grade]:
        """One call, and another in a new process where an older one ended in it: what came before is not its fault."""
        try:
            try:
                outcomes = self._worker.call(items)
            except Ended as ended:
                if ended.fresh or ended.error == "unresponsive_reward_error":
                    raise
                outcomes = self._worker.call(items)
        except Ended as ended:
            if half := len(items) // 2:  # one item costs no other its score
                return [*self._called(items[:half]), *self._called(items[half:])]
            return [Grade.failed(ended.error, ended.detail)]
        return [_grade(outcome) for outcome in outcomes]


def identity_of(kind: str, sources: dict[str, str], function: str, form: str, limits: Limits) -> str:
    """Hash of all that shapes the scores of a function; where its file lies is no part of it."""
    allowed, called = [limits.seconds, limits.memory_gib], f"{form}{_CALLED.get(form, '')}"
    return digest({"kind": kind, "sources": sources, "function": function, "form": called, "limits": allowed})[:20]


def _grade(outcome: Outcome) -> Grade:
    if outcome.error is None and math.isfinite(outcome.score):
        return Grade(outcome.score, metrics=outcome.metrics)
    error = cast(Error, outcome.error or "other_error")  # `returned` and `child` write no other names
    return Grade.failed(error, one_line(outcome.detail), outcome.metrics)
