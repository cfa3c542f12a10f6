"""What an ablation shows, from its stored runs alone: table, figures and report; no torch.

python -m harness report imdb-width-3f2a
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.printable import without_controls
from harness.core.statistics import stats
from harness.core.statistics.stats import PLANNING_SD, Floats
from harness.evidence.ablation_drawings import of_ablation
from harness.evidence.ablation_rows import Ablation, Point, Varied, gold_of, read_ablation
from harness.evidence.ablation_values import values_section
from harness.evidence.clusters import clusters_of, column_of, count_of, resampled
from harness.evidence.cost import best_of_n_costs
from harness.evidence.figures.kinds import draw_all
from harness.evidence.markdown import over, p_value, percent, signed
from harness.evidence.proven_table import write_proven
from harness.evidence.row import flat
from harness.evidence.rows_needed import Searched, needed
from harness.evidence.run_names import named_run
from harness.evidence.schema import REFERENCES
from harness.evidence.store import Run
from harness.evidence.table import best_of_n_by_prompt

USUAL = 16  # the default U of searches, and so the n that their best-of-n has


def find_ablation(out: Path, reference: str) -> Path | None:
    """The folder of an ablation given by path, id or unambiguous prefix of its id; None where there is none.

    What is also a run's name, or the beginning of its id, means the run.
    """
    for folder in (Path(reference), out / "ablations" / reference):
        if (folder / "about.json").is_file():
            return folder
    if named_run(out, reference) is not None:
        return None
    matches = sorted(path.parent for path in (out / "ablations").glob("*/about.json"))
    matches = [folder for folder in matches if folder.name.startswith(reference)]
    if not matches or any(path.parent.name.startswith(reference) for path in (out / "runs").glob("*/run.json")):
        return None
    if len(matches) > 1:
        names = ", ".join(folder.name for folder in matches)
        raise UserError(f"several ablations {reference!r} in {out / 'ablations'}. There: {names}")
    return matches[0]


def write_ablation(folder: Path, out: Path) -> Path:
    """Write table, figures and report of the runs that about.json names; the path of report.md."""
    ablation = read_ablation(folder, out)
    columns = [{**flat(row), "point": json.dumps(row.point), "value": str(row.value)} for row in ablation.rows]
    write_proven(pl.DataFrame(columns, infer_schema_length=None), folder / "table.parquet")
    drawings = of_ablation(ablation)
    draw_all(drawings, folder)
    varied = " and ".join(axis.name for axis in ablation.axes)
    images = [f"![{name.split('_by_')[0].replace('_', ' ')} by {varied}]({name}.png)" for name in drawings]
    with whole(folder / "report.md") as part:
        part.write_text(without_controls(f"{_markdown(ablation)}\n\n" + "\n".join(images) + "\n"), encoding="utf-8")
    return folder / "report.md"


def _markdown(ablation: Ablation) -> str:
    axes, rows, runs = ablation.axes, ablation.rows, ablation.runs
    axis, rivals = axes[0], best_of_n_by_prompt(ablation.widest)  # (P, N)
    most = rivals.shape[1]
    compared_with = rows[0].value if axis.column else _shown(ablation.reference)
    columns = [" x ".join(a.label for a in axes), "method", "final pick", "gold (sd)", "win rate over base"]
    columns += ["set beside", "cost over its (rows not equal)", "gold - best-of-n"]
    columns += [f"gold - best-of-{most}"] if axis.is_budget else [f"gold - same at {compared_with}", "p (Holm)"]
    lines = [f"# {ablation.name}", "", f"| {' | '.join([*columns, 'run'])} |", "|" + "---|" * (len(columns) + 1)]
    shown = [row for row in rows if not row.is_shared or row.against_reference is not None]
    for row in shown:
        of, moved = row.row, row.against_reference
        cells = [row.value if len(axes) == 1 else _shown(row.point), of.key.name, of.key.final_pick, of.gold]
        cells += [percent(row.wins) if row.wins else "", of.beside or "", over(of.cost_over_beside, of.costs.unit)]
        cells += [of.not_compared or signed(of.against_best_of_n) or ""]
        if axis.is_budget:
            cells += [signed(row.against_widest)]
        elif row.is_shared:
            cells += ["the same answers", ""]
        else:
            cells += [signed(moved) or "", p_value(row.p_holm_reference)]
        lines.append("| " + " | ".join(map(str, [*cells, row.run_id])) + " |")
    n = rows[0].row.gold.n
    lines += [
        "",
        f"{n} prompts: paired differences of {stats.detectable_difference(PLANNING_SD, n):.2f} sd or more show (80% "
        f"power, planning sd {PLANNING_SD}). Gold in standard deviations of the same base samples in all rows; "
        f"intervals and p are paired by prompt.{_clustered(ablation.widest)}"
        + (" Base and best-of-n, which the axis does not touch, are shown once." if len(shown) < len(rows) else ""),
    ]
    if axis.is_budget:
        lines += ["", *_needed(rows, runs, rivals, ablation.widest)]
    if (values := values_section(ablation)) is not None:
        lines += ["", values]
    return "\n".join(lines)


def _needed(rows: Sequence[Varied], runs: Mapping[Point, Run], rivals: Floats, widest: Run) -> list[str]:
    """The section of what searches need to be as good as best-of-n: of the rows whose budget the axis varies."""
    most = rivals.shape[1]
    found = [
        Searched(row.row.key, row.row.budget, gold_of(runs[row.point], row.row.key), row.row.costs)
        for row in rows
        if row.row.budget is not None and (row.row.key.method == "base" or row.row.budget == row.value)
    ]
    base = next((one for one in found if one.key.method == "base"), None)
    searches = [one for one in found if one.key.method not in REFERENCES]
    levels = sorted({min(USUAL, most), most})
    return needed(base, searches, rivals, best_of_n_costs(widest, most), levels, clusters_of(widest))


def _clustered(run: Run) -> str:
    clusters, column = count_of(run), column_of(run.record)
    return "" if clusters is None else f" Intervals are over {resampled(clusters, column)}."


def _shown(point: Point) -> str:
    return " x ".join(map(str, point))
