"""What an ablation shows, from its stored runs alone: table, figures and report; no torch.

python -m harness report imdb-width-3f2a

about.json says what was varied: `axes` (one or two), `reference` (the point that others are compared with) and `runs`
(a run id for each point). A point is a value of each axis. All golds are in standard deviations of the base samples of
the reference's run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.statistics import stats
from harness.core.statistics.best_of_n import curve_of_pool
from harness.core.statistics.stats import PLANNING_SD, Estimate, Floats
from harness.evidence import ablation_figures
from harness.evidence.ablation_figures import Drawn, Level
from harness.evidence.budgets import budget_of
from harness.evidence.cost import best_of_n_costs
from harness.evidence.markdown import over, p_value, percent, signed
from harness.evidence.row import WHERE_TESTED, Comparison, flat
from harness.evidence.rows_needed import Searched, needed
from harness.evidence.run_names import named_run
from harness.evidence.schema import EVALUATED, GOLD, PROXY, REFERENCES, ROW, Row
from harness.evidence.store import Run, find_run, load_run, read_json
from harness.evidence.table import best_of_n_by_prompt, best_of_n_curve, comparison

Point = tuple[Any, ...]
USUAL = 16  # the default U of searches, and so the n that their best-of-n has


@checked_dataclass(frozen=True)
class _Axis:
    name: str
    label: str
    method: str
    is_budget: bool
    column: str | None


@checked_dataclass(frozen=True)
class _Entry:
    point: list[Any]
    run: str


@checked_dataclass(frozen=True)
class _About:
    """What about.json holds."""

    axes: Annotated[list[_Axis], Field(min_length=1)]
    reference: list[Any]
    runs: list[_Entry]


@dataclass(frozen=True)
class Varied:
    """A row of one run's table at its point of the axes; None: not compared."""

    row: Comparison
    run_id: str
    point: Point
    value: Any  # of the first axis
    against_widest: Estimate  # the best of the whole pool
    wins: Estimate | None  # over base
    against_reference: Estimate | None  # the same row at the reference
    is_shared: bool  # answers as the same row at the reference does
    p_holm_reference: float | None = field(default=None, metadata=WHERE_TESTED)


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
    about = _read_about(folder / "about.json")
    axes, reference = about.axes, tuple(about.reference)
    stored = {tuple(entry.point): load_run(find_run(out, entry.run)) for entry in about.runs}
    if reference not in stored:
        raise UserError(f"{folder / 'about.json'}: the reference {list(reference)} is none of its runs' points")
    runs = {point: run.in_units_of(stored[reference]) for point, run in stored.items()}
    widest = runs[max(runs)] if axes[0].is_budget else runs[reference]
    rows = _rows(axes[0], runs, reference, widest)
    with whole(folder / "table.parquet") as part:
        columns = [{**flat(row), "point": json.dumps(row.point), "value": str(row.value)} for row in rows]
        pl.DataFrame(columns, infer_schema_length=None).write_parquet(part)
    drawn = _draw(folder, axes, rows, widest)
    text = _markdown(folder.name, axes, rows, runs, reference, widest)
    with whole(folder / "report.md") as part:
        part.write_text(f"{text}\n\n" + "\n".join(drawn) + "\n", encoding="utf-8")
    return folder / "report.md"


def _read_about(path: Path) -> _About:
    try:
        return TypeAdapter(_About).validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {key}: {first['msg'].lower()}; run the ablation's command once more") from error


def _rows(axis: _Axis, runs: Mapping[Point, Run], reference: Point, widest: Run) -> list[Varied]:
    """The rows of every run's table, each with its point, and its gold against what it is compared with."""
    found = [
        (row, point, row.key._asdict()[axis.column] if axis.column else point[0])
        for point, run in runs.items()
        for row in comparison(run)
        if axis.column is None or row.key.method == axis.method
    ]
    rivals = best_of_n_by_prompt(widest)  # (P, N)
    base = _gold(widest, Row("base", 0, "first"))
    start = found[0][2]  # of a column, the first value is what others are compared with
    rows = []
    for row, point, value in found:
        alike = Row(**{**row.key._asdict(), axis.column: start}) if axis.column else row.key
        gold, same = _gold(runs[point], row.key), _gold(runs[reference], alike)
        moved = value != start if axis.column else point != reference
        moved = moved and row.key.method not in REFERENCES
        rows.append(
            Varied(
                row=_on_the_curve(row, gold, rivals) if axis.is_budget else row,
                run_id=runs[point].id,
                point=point,
                value=value,
                against_widest=stats.difference(gold, rivals[:, -1]),
                wins=stats.win_rate(gold, base) if len(base) and row.key.method != "base" else None,
                against_reference=stats.difference(gold, same) if moved and len(same) else None,
                is_shared=point != reference and np.array_equal(gold, same, equal_nan=True),
            )
        )
    return _corrected(rows)


def _on_the_curve(row: Comparison, gold: Floats, rivals: Floats) -> Comparison:
    """The row beside the curve (P, N) of the one pool that an axis of budgets has, at as many rows as it took.

    What has no budget, and the base, meets the whole pool; what took more rows than that has meets none.
    """
    most = rivals.shape[1]
    n = most if row.budget is None or row.key.method == "base" else row.budget
    if n > most:
        return row
    return replace(row, against_best_of_n=stats.difference(gold, rivals[:, n - 1]), beside=f"best-of-{n}")


def _corrected(rows: Sequence[Varied]) -> list[Varied]:
    """The rows with Holm's p-values over those that answer otherwise than the reference."""
    tested = {i: row.against_reference.p for i, row in enumerate(rows) if row.against_reference and not row.is_shared}
    adjusted = dict(zip(tested, stats.holm(list(tested.values())), strict=True))
    return [replace(row, p_holm_reference=adjusted.get(i)) for i, row in enumerate(rows)]


def _gold(run: Run, row: Row) -> Floats:
    """Gold in sd of base samples by prompt id, of one row of a run's table; empty where the run has no such row."""
    same = [pl.col(name) == value for name, value in zip(ROW, row, strict=True)]
    part = run.scores.filter(pl.col("metric") == GOLD, *same).sort("prompt_id")
    return run.record.standardised(GOLD, part["value"].to_numpy())


def _draw(folder: Path, axes: Sequence[_Axis], rows: Sequence[Varied], widest: Run) -> list[str]:
    """Draw the figures; their lines of the report."""
    names = [axis.name for axis in axes]
    gold = f"gold_by_{'_'.join(names)}.png"
    lines = [f"![gold by {' and '.join(names)}]({gold})"]
    if len(axes) == 2:
        last = max(row.row.key.iteration for row in rows)
        final = [row for row in rows if row.row.key.method == axes[0].method and row.row.key.iteration == last]
        shown = [row for row in final if row.row.key.final_pick == final[0].row.key.final_pick]
        golds = {row.point: row.row.gold for row in shown}
        ablation_figures.heat_map(golds, [axis.label for axis in axes], folder / gold)
        return lines
    drawn = [Drawn(row.row.key, row.value, row.row.gold) for row in rows]
    if axes[0].column == "iteration":
        ablation_figures.gold_by_iteration(drawn, _levels(axes[0], widest), folder / gold)
    elif all(isinstance(row.value, int | float) and not isinstance(row.value, bool) and row.value > 0 for row in rows):
        curve = [point.gold for point in best_of_n_curve(widest)] if axes[0].is_budget else []
        ablation_figures.gold_along(drawn, axes[0].label, curve, folder / gold)
    else:
        ablation_figures.gold_by_choice(drawn, axes[0].label, folder / gold)
    if axes[0].is_budget:
        wins = f"win_rate_by_{names[0]}.png"
        won = [Drawn(row.row.key, row.value, _in_percent(row.wins)) for row in rows if row.wins]
        rivals = _wins_of_best_of_n(widest)
        ablation_figures.gold_along(won, axes[0].label, rivals, folder / wins, "prompts won over base, %")
        lines.append(f"![win rate by {names[0]}]({wins})")
    return lines


def _levels(axis: _Axis, run: Run) -> list[Level]:
    """The base, and the best-of-n that the method of the axis is set beside, which a column of the table leaves out."""
    table, curve = comparison(run), best_of_n_curve(run)
    levels = [Level(row.key.method, "base", row.gold) for row in table if row.key.method == "base"]
    rows = budget_of(run.record, axis.method)
    if curve and rows is not None and rows <= len(curve):
        return [*levels, Level("best_of_n", f"best-of-{rows}", curve[rows - 1].gold)]
    best = [row for row in table if row.key.method == "best_of_n"]
    return [*levels, *(Level("best_of_n", f"best-of-{len(curve) or 'n'}", row.gold) for row in best)]


def _wins_of_best_of_n(run: Run) -> list[Estimate]:
    """Share of prompts, in percent, that best-of-1..N from the pool wins over the base, ties counting half."""
    base = run.scores.filter(pl.col("metric") == GOLD, pl.col("method") == "base").sort("prompt_id")["value"]
    pool = run.pool.filter(pl.col("part") == EVALUATED).sort("prompt_id", "row")
    curves = []
    for rival, part in zip(base, pool.partition_by("prompt_id", maintain_order=True), strict=True):
        wins = (np.sign(part[GOLD].to_numpy() - rival) + 1) / 2
        curves.append(curve_of_pool(part[PROXY].to_numpy(), wins))
    return [_in_percent(stats.mean(rates)) for rates in zip(*curves, strict=True)]


def _in_percent(rate: Estimate) -> Estimate:
    return Estimate(100 * rate.value, 100 * rate.low, 100 * rate.high, rate.n)


def _markdown(
    name: str,
    axes: Sequence[_Axis],
    rows: Sequence[Varied],
    runs: Mapping[Point, Run],
    reference: Point,
    widest: Run,
) -> str:
    axis, rivals = axes[0], best_of_n_by_prompt(widest)  # (P, N)
    most = rivals.shape[1]
    compared_with = rows[0].value if axis.column else _shown(reference)
    columns = [" x ".join(a.label for a in axes), "method", "final pick", "gold (sd)", "win rate over base"]
    columns += ["set beside", "cost over its (rows not equal)", "gold - best-of-n"]
    columns += [f"gold - best-of-{most}"] if axis.is_budget else [f"gold - same at {compared_with}", "p (Holm)"]
    lines = [f"# {name}", "", f"| {' | '.join([*columns, 'run'])} |", "|" + "---|" * (len(columns) + 1)]
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
        "intervals and p are paired by prompt."
        + (" Base and best-of-n, which the axis does not touch, are shown once." if len(shown) < len(rows) else ""),
    ]
    if axis.is_budget:
        lines += ["", *_needed(rows, runs, rivals, widest)]
    return "\n".join(lines)


def _needed(rows: Sequence[Varied], runs: Mapping[Point, Run], rivals: Floats, widest: Run) -> list[str]:
    """The section of what searches need to be as good as best-of-n: of the rows whose budget the axis varies."""
    most = rivals.shape[1]
    found = [
        Searched(row.row.key, row.row.budget, _gold(runs[row.point], row.row.key), row.row.costs)
        for row in rows
        if row.row.budget is not None and (row.row.key.method == "base" or row.row.budget == row.value)
    ]
    base = next((one for one in found if one.key.method == "base"), None)
    searches = [one for one in found if one.key.method not in REFERENCES]
    return needed(base, searches, rivals, best_of_n_costs(widest, most), sorted({min(USUAL, most), most}))


def _shown(point: Point) -> str:
    return " x ".join(map(str, point))
