"""A benchmark's own accuracies beside gold and proxy, for a task whose metrics hold what they are made of.

accuracies(run, table)       # a section of the report; empty for all other tasks

The task names them in its facts: {"prompt-level strict": ["prompt_strict", null], "instruction-level strict":
["instructions_strict", "instructions"]}, a metric whose mean it is, or two whose sums are divided.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate
from harness.evidence.markdown import markdown_table, one_line
from harness.evidence.row import Comparison
from harness.evidence.schema import ANSWER, ROW, Row
from harness.evidence.store import Run


def accuracies(run: Run, table: Sequence[Comparison]) -> str:
    """In percent with 95% bootstrap intervals over prompts, a row for each of the table."""
    found = accuracies_of(run)
    if not found:
        return ""
    rows: list[dict[str, str | None]] = [
        {
            "method": row.key.name,
            "final pick": row.key.final_pick,
            **{one_line(name): percents(of) for name, of in found[row.key].items()},
        }
        for row in table
        if row.key in found
    ]
    note = "Instruction-level: instructions followed over all instructions, so that prompts with more weigh more."
    return "\n".join(["## The benchmark's own accuracies", "", *markdown_table(rows), "", note])


def accuracies_of(run: Run) -> dict[Row, dict[str, Estimate | None]]:
    """Of each row, by the name that the task gives them; none where it names none."""
    named = run.record.task_facts.get("accuracies")
    if not isinstance(named, Mapping):
        return {}
    wide = run.scores.pivot("metric", index=list(ANSWER), values="value")
    parts = {Row(*key): part for key, part in wide.partition_by(ROW, as_dict=True).items()}
    return {row: {str(name): _of(part, of) for name, of in named.items()} for row, part in parts.items()}


def _of(part: pl.DataFrame, names: Sequence[str | None]) -> Estimate | None:
    above, below = (None if name is None else part.get_column(name, default=None) for name in names)
    if above is None:
        return None
    return stats.mean(above.to_numpy()) if below is None else stats.ratio(above.to_numpy(), below.to_numpy())


def percents(of: Estimate | None) -> str | None:
    """'21.3% [18.0, 24.8]', to the digit that such tables have."""
    if of is None:
        return None
    scaled = Estimate(100 * of.value, 100 * of.low, 100 * of.high, of.n)
    return scaled.shown(".1f").replace(" [", "% [") if "[" in scaled.shown() else f"{scaled.shown('.1f')}%"
