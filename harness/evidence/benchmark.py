"""A benchmark's own metrics, in its own units: a section of the report of runs on tasks of lm-eval.

benchmark(run, table)      # Markdown, empty for all other runs

Values are means over the documents that were answered, each as lm-eval scores it alone. Of a metric that lm-eval
averages over parts of documents (ifeval's `inst_level_*`), its own number weighs documents by their parts.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from harness.core.statistics.stats import mean
from harness.evidence.markdown import markdown_table, one_line
from harness.evidence.names import display_name
from harness.evidence.row import Comparison
from harness.evidence.schema import ROW, Row
from harness.evidence.store import Run


def benchmark(run: Run, table: Sequence[Comparison]) -> str:
    facts = run.record.task_facts
    listed = facts.get("metrics")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    if not names:
        return ""
    of_row = {Row(*key): scores for key, scores in run.scores.group_by(ROW)}
    rows = [_cells(row.key, of_row[row.key], names) for row in table]
    documents = one_line(str(facts.get("fitted_on", "training documents")))
    return "\n\n".join(
        [
            f"## Metrics of {run.record.task_name}",
            "\n".join(markdown_table(rows)),
            f"Means over the documents that were answered [95%], as lm-eval {one_line(str(facts.get('lm_eval', '')))} "
            f"scores each alone. Fitted on {documents}. lm-eval's own command answers greedily, as base (greedy) does.",
        ]
    )


def _cells(row: Row, scores: pl.DataFrame, names: list[str]) -> Mapping[str, str | None]:
    iteration = f" ({row.iteration})" if row.iteration else ""
    cells: dict[str, str | None] = {"method": f"{display_name(row.method)}{iteration}", "final pick": row.final_pick}
    for name in names:
        values = scores.filter(pl.col("metric") == name)["value"].to_numpy()
        found = mean(values) if len(values) else None
        cells[one_line(name)] = None if found is None else f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"
    return cells
