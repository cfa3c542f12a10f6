"""A metric of an lm-eval task as a grader: what it makes of one answer, higher is better.

grader = MetricGrader(opened, "exact_match,strict-match")
grader.grade([Item("Question: ...", "... #### 18", row)])
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.graders.grade import Grade, Item, Reads
from harness.tasks.lm_eval_task.opened import Opened


class MetricGrader:
    """Grades by one metric; `grade` raises nothing, whatever the task's own Python does with an answer."""

    def __init__(self, opened: Opened, metric: str) -> None:
        self._opened, self._metric = opened, metric
        self._sign = 1.0 if opened.is_better_higher(metric) else -1.0
        self._known: dict[tuple[str, str], Grade] = {}
        turned = "" if self._sign > 0 else ", times -1, for lower is better"
        self.name = f"metric {metric} of {opened.name}{turned}"
        self.identity = digest([opened.code, metric])[:20]
        self.reads: Reads = opened.reads

    def grade(self, items: Sequence[Item]) -> list[Grade]:
        return [self._graded(item) for item in items]

    def close(self) -> None:
        """It has no process of its own."""

    def _graded(self, item: Item) -> Grade:
        try:
            values = self._opened.values(item.row, item.response)
        except Exception as error:  # of the task's filters and metrics, which are anybody's Python
            said = " ".join(str(error).split())[:200]
            return Grade.failed("python_grader_runtime_error", f"{type(error).__name__}: {said}")
        if self._metric not in values:
            return Grade.failed("other_error", f"the task gives no {self._metric} for this answer", values)
        value = values[self._metric]
        finite: Mapping[str, float] = {name: one for name, one in values.items() if one == one}
        if value != value or abs(value) == float("inf"):
            return Grade.failed("other_error", f"{self._metric} is {value}", finite)
        return Grade(self._sign * value, metrics=finite)


def metric_named(text: str, opened: Opened) -> str:
    """The metric and filter that a user means: `exact_match,strict-match`, or the first filter's `exact_match`.

    Raises UserError, with the nearest, for another name; empty: the task's first.
    """
    if not text:
        return opened.metrics[0]
    for name in opened.metrics:
        if text in (name, name.partition(",")[0]):
            return name
    near = get_close_matches(text, opened.metrics, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"{opened.name} has no metric {text!r}.{hint} Its metrics: {'; '.join(opened.metrics)}")
