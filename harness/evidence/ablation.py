"""What an ablation shows, from its stored runs alone: table, figures and report; no torch.

python -m harness report imdb-width-3f2a

about.json says what was varied: `axes` (one or two), `reference` (the point that others are compared with) and `runs`
(a run id for each point). A point is a value of each axis. All golds are in standard deviations of the base samples of
the reference's run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.statistics import stats
from harness.core.statistics.best_of_n import curve_of_pool
from harness.core.statistics.stats import PLANNING_SD, Estimate
from harness.evidence import ablation_figures
from harness.evidence.cost import best_of_n_costs
from harness.evidence.markdown import name_of, p_value, percent
from harness.evidence.rows_needed import needed
from harness.evidence.store import Run, find_run, load_run, read_json
from harness.evidence.table import GOLD, PROXY, best_of_n_by_prompt, best_of_n_curve, comparison, flat_row

Point = tuple[Any, ...]
USUAL = 16  # the default U of searches, and so the n that their best-of-n has


@dataclass(frozen=True)
class _Axis:
    name: str
    label: str
    method: str
    is_budget: bool
    column: str | None


@dataclass(frozen=True)
class _Entry:
    point: list[Any]
    run: str


@dataclass(frozen=True)
class _About:
    """What about.json holds."""

    axes: Annotated[list[_Axis], Field(min_length=1)]
    reference: list[Any]
    runs: list[_Entry]


def find_ablation(out: Path, reference: str) -> Path | None:
    """The folder of an ablation given by path, id or unambiguous prefix of its id; None where there is none.

    What is also the beginning of a run's id means the run.
    """
    for folder in (Path(reference), out / "ablations" / reference):
        if (folder / "about.json").is_file():
            return folder
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
    about = read_json(folder / "about.json")
    try:
        TypeAdapter(_About).validate_python(about)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{folder / 'about.json'}: {where}: {first['msg'].lower()}; run the ablation's command once more"
        ) from error
    axes, reference = about["axes"], tuple(about["reference"])
    runs = {tuple(entry["point"]): load_run(find_run(out, entry["run"])) for entry in about["runs"]}
    if reference not in runs:
        raise UserError(f"{folder / 'about.json'}: the reference {list(reference)} is none of its runs' points")
    unit = runs[reference].about["units"]
    runs = {point: replace(run, about={**run.about, "units": unit}) for point, run in runs.items()}
    widest = runs[max(runs)] if axes[0]["is_budget"] else runs[reference]
    rows = _rows(axes[0], runs, reference, widest)
    with whole(folder / "table.parquet") as part:
        flat = [{**flat_row(row), "point": json.dumps(row["point"]), "value": str(row["value"])} for row in rows]
        pl.DataFrame(flat, infer_schema_length=None).write_parquet(part)
    drawn = _draw(folder, axes, rows, widest)
    with whole(folder / "report.md") as part:
        part.write_text(_markdown(folder.name, axes, rows, runs, reference, widest) + "\n\n" + "\n".join(drawn) + "\n")
    return folder / "report.md"


def _rows(axis: Mapping[str, Any], runs: Mapping[Point, Run], reference: Point, widest: Run) -> list[dict[str, Any]]:
    """The rows of every run's table, each with its `point`, and its gold against what it is compared with."""
    rows = [
        {**row, "run_id": run.id, "point": point, "value": row[axis["column"]] if axis["column"] else point[0]}
        for point, run in runs.items()
        for row in comparison(run)
        if axis["column"] is None or row["method"] == axis["method"]
    ]
    rivals = np.stack(best_of_n_by_prompt(widest))  # (P, N)
    base = _gold(widest, {"method": "base", "iteration": 0, "final_pick": "first"})
    column, first = axis["column"], rows[0]["value"]  # of a column, the first value is what others are compared with
    for row in rows:
        alike = {**row, column: first} if column else row
        gold, same = _gold(runs[row["point"]], row), _gold(runs[reference], alike)
        row["against_widest"] = stats.difference(gold, rivals[:, -1])
        row["wins"] = stats.win_rate(gold, base) if len(base) and row["method"] != "base" else None
        if axis["is_budget"]:
            row["against_best_of_n"] = stats.difference(gold, rivals[:, row["value"] - 1])
        moved = row["value"] != first if column else row["point"] != reference
        moved = moved and row["method"] not in ("base", "best_of_n")
        row["against_reference"] = stats.difference(gold, same) if moved and len(same) else None
        row["is_shared"] = row["point"] != reference and np.array_equal(gold, same, equal_nan=True)
    compared = [row for row in rows if row["against_reference"] is not None and not row["is_shared"]]
    for row, p in zip(compared, stats.holm([row["against_reference"].p for row in compared]), strict=True):
        row["p_holm_reference"] = p
    return rows


def _gold(run: Run, row: Mapping[str, Any]) -> np.ndarray:
    """Gold in sd of base samples by prompt id, of one row of a run's table; empty where the run has no such row."""
    same = [pl.col(name) == row[name] for name in ("method", "iteration", "final_pick")]
    part = run.scores.filter(pl.col("metric") == GOLD, *same).sort("prompt_id")
    unit = run.about["units"][GOLD]
    return (part["value"].to_numpy() - unit["mean"]) / unit["sd"]


def _draw(folder: Path, axes: Sequence[Mapping[str, Any]], rows: Sequence[dict[str, Any]], widest: Run) -> list[str]:
    """Draw the figures; their lines of the report."""
    names = [axis["name"] for axis in axes]
    gold = f"gold_by_{'_'.join(names)}.png"
    lines = [f"![gold by {' and '.join(names)}]({gold})"]
    if len(axes) == 2:
        last = max(row["iteration"] for row in rows)
        final = [row for row in rows if row["method"] == axes[0]["method"] and row["iteration"] == last]
        shown = [row for row in final if row["final_pick"] == final[0]["final_pick"]]
        ablation_figures.heat_map(shown, [axis["label"] for axis in axes], folder / gold)
        return lines
    curve = best_of_n_curve(widest) if axes[0]["is_budget"] else []
    values = [row["value"] for row in rows]
    if all(isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in values):
        ablation_figures.gold_along(rows, axes[0]["label"], curve, folder / gold)
    else:
        ablation_figures.gold_by_choice(rows, axes[0]["label"], folder / gold)
    if axes[0]["is_budget"]:
        wins = f"win_rate_by_{names[0]}.png"
        rivals = [{"n": n + 1, "gold": rate} for n, rate in enumerate(_wins_of_best_of_n(widest))]
        won = [{**row, "gold": _in_percent(row["wins"])} for row in rows if row["wins"]]
        ablation_figures.gold_along(won, axes[0]["label"], rivals, folder / wins, "prompts won over base, %")
        lines.append(f"![win rate by {names[0]}]({wins})")
    return lines


def _wins_of_best_of_n(run: Run) -> list[Estimate]:
    """Share of prompts, in percent, that best-of-1..N from the pool wins over the base, ties counting half."""
    base = run.scores.filter(pl.col("metric") == GOLD, pl.col("method") == "base").sort("prompt_id")["value"]
    pool = run.pool.filter(pl.col("part") == "test").sort("prompt_id", "row")
    curves = []
    for rival, part in zip(base, pool.partition_by("prompt_id", maintain_order=True), strict=True):
        wins = (np.sign(part[GOLD].to_numpy() - rival) + 1) / 2
        curves.append(curve_of_pool(part[PROXY].to_numpy(), wins))
    return [_in_percent(stats.mean(rates)) for rates in zip(*curves, strict=True)]


def _in_percent(rate: Estimate) -> Estimate:
    return Estimate(100 * rate.value, 100 * rate.low, 100 * rate.high, rate.n)


def _markdown(
    name: str,
    axes: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    runs: Mapping[Point, Run],
    reference: Point,
    widest: Run,
) -> str:
    axis, rivals = axes[0], np.stack(best_of_n_by_prompt(widest))  # (P, N)
    most = rivals.shape[1]
    compares = not axis["is_budget"]
    compared_with = rows[0]["value"] if axis["column"] else _shown(reference)
    columns = [" x ".join(a["label"] for a in axes), "method", "final pick", "gold (sd)", "win rate over base"]
    columns += ["gold - best-of-n"]
    columns += [f"gold - same at {compared_with}", "p (Holm)"] if compares else [f"gold - best-of-{most}"]
    lines = [f"# {name}", "", f"| {' | '.join([*columns, 'run'])} |", "|" + "---|" * (len(columns) + 1)]
    shown = [row for row in rows if not row["is_shared"] or row["against_reference"] is not None]
    for row in shown:
        equal, moved, wins = row["against_best_of_n"], row["against_reference"], row["wins"]
        cells = [row["value"] if len(axes) == 1 else _shown(row["point"]), name_of(row), row["final_pick"], row["gold"]]
        cells += [percent(wins) if wins else "", equal.shown("+.2f") if equal else ""]
        if not compares:
            cells += [row["against_widest"].shown("+.2f")]
        elif row["is_shared"]:
            cells += ["the same answers", ""]
        else:
            cells += [moved.shown("+.2f"), p_value(row["p_holm_reference"])] if moved else ["", ""]
        lines.append("| " + " | ".join(map(str, [*cells, row["run_id"]])) + " |")
    n, smallest = rows[0]["gold"].n, stats.detectable_difference(PLANNING_SD, rows[0]["gold"].n)
    lines += [
        "",
        f"{n} prompts: paired differences of {smallest:.2f} sd or more show (80% power, planning sd {PLANNING_SD}). "
        "Gold in standard deviations of the same base samples in all rows; intervals and p are paired by prompt."
        + (" Base and best-of-n, which the axis does not touch, are shown once." if len(shown) < len(rows) else ""),
    ]
    if axis["is_budget"]:
        levels, paid = sorted({min(USUAL, most), most}), best_of_n_costs(widest, most)
        lines += ["", *needed(rows, lambda row: _gold(runs[row["point"]], row), rivals, paid, levels)]
    return "\n".join(lines)


def _shown(point: Point) -> str:
    return " x ".join(map(str, point))
