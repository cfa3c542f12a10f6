"""What the scores of a user's graders are made of, method by method: the parts of a formula, of a list, of a dict.

parts_section(run)          # Markdown; empty where scores are of one piece
"""

from harness.core.printable import printable
from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate
from harness.evidence.clusters import clusters_of
from harness.evidence.markdown import digits_of, markdown_table, one_line
from harness.evidence.schema import ROW, Row
from harness.evidence.store import Run
from harness.evidence.table import answers_by_row, repeats_value

_MOST = 12  # columns; a grader that names a part for each answer has as many as there are answers


def parts_section(run: Run) -> str:
    """A row a method, iteration and pick; means over the answers that have the part, with intervals over prompts."""
    if run.parts is None or not len(run.parts):
        return ""
    prompts = sorted(run.completions["prompt_id"].unique())
    clusters = clusters_of(run)
    graders = run.parts["grader"].n_unique()
    known = run.parts.group_by("grader", "part", maintain_order=True).len()
    known = known.sort("len", descending=True, maintain_order=True)
    shown = known.head(_MOST).select("grader", "part").rows()
    found: dict[Row, list[Estimate]] = {}
    answers = answers_by_row(run)
    for key, of_row in run.parts.partition_by(ROW, as_dict=True, maintain_order=True).items():
        row = Row(*key)
        if repeats_value(answers, row):
            continue
        by_part = of_row.partition_by("grader", "part", as_dict=True)
        found[row] = []
        for named in shown:
            of = dict(by_part[named].select("prompt_id", "value").iter_rows()) if named in by_part else {}
            values = [of.get(prompt, float("nan")) for prompt in prompts]
            found[row].append(stats.mean(values, clusters=clusters))
    rows: list[dict[str, str | None]] = [{"method": row.name, "final pick": row.final_pick} for row in found]
    for i, (grader, part) in enumerate(shown):
        name = printable(one_line(part)) or "(no name)"
        means = [of[i] for of in found.values()]
        digits = digits_of(means)
        for cells, mean in zip(rows, means, strict=True):
            few = f" (n = {mean.n})" if mean.n < len(prompts) else ""
            cells[f"{grader}: {name}" if graders > 1 else name] = mean.shown(digits) + few if mean.n else None
    more = len(known) - len(shown)
    text = "Means of what a grader's score is made of, in its own points, with 95% intervals" + (
        f"; {more} further parts are in parts.parquet." if more else "."
    )
    return "\n\n".join(["## Parts of the score", "\n".join(markdown_table(rows, unknown="")), text])
