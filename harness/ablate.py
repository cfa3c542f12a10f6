"""`python -m harness ablate --axis keep`: the same run at several values of one setting, or of two, side by side.

Each value is a run of its own in OUT/runs, so that repeating one costs nothing and fits and answers are shared where
the setting does not change them. What is made of them lies in OUT/ablations/<task>-<axis>-<hash>/. All golds are in
standard deviations of the base samples of the run without the axis's setting (or of the first value).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness import figures
from harness.axes import AXES
from harness.config import RunConfig, parse_setting, resolve
from harness.core import stats
from harness.core.digest import digest
from harness.core.errors import UserError, unknown
from harness.core.files import whole
from harness.markdown import name_of, p_value
from harness.ranks import join_ranks
from harness.report import write_report
from harness.run import PLANNING_SD, complete
from harness.store import Run, load_run
from harness.table import GOLD, best_of_n_by_prompt, best_of_n_curve, comparison, flat_row

Point = tuple[Any, ...]  # a value of each axis


def ablate(axes: str, values: str | None, asked: Mapping[str, Any], out: Path, cache: Path, workers: int | None) -> str:
    """Run every value of an axis, or of two by comma, write table and figure, and return the report.

    `values` are by comma, those of a second axis after a semicolon.
    """
    names, plain = [name.strip() for name in axes.split(",")], resolve(**asked)
    points = _points(names, values, plain)
    budget = AXES[names[0]].is_budget
    settings = {p: [s for a, v in zip(names, p, strict=True) for s in AXES[a].settings(v, plain)] for p in points}
    configs = {}
    for point, given in settings.items():
        only = budget and point != max(points)
        configs[point] = resolve(**{**asked, "given": [*asked["given"], *given], "only": only or asked["only"]})
    n = plain.settings["evaluate"].prompts
    smallest = stats.detectable_difference(PLANNING_SD, n)
    print(
        f"{axes}: {len(points)} runs on {n} prompts; paired differences of {smallest:.2f} sd or more show (80% power)",
        file=sys.stderr,
    )
    ranks = join_ranks()
    folders = {point: complete(config, out, cache, workers, ranks) for point, config in configs.items()}
    ranks.leave()
    if not ranks.first:
        return ""
    for folder in folders.values():
        write_report(load_run(folder))
    reference = next((p for p, config in configs.items() if config.run_id == plain.run_id), points[0])
    unit = load_run(folders[reference]).about["units"]
    runs = {p: replace(run, about={**run.about, "units": unit}) for p, f in folders.items() for run in [load_run(f)]}
    folder = out / "ablations" / f"{plain.task}-{'-'.join(names)}-{digest([run.id for run in runs.values()])[:10]}"
    folder.mkdir(parents=True, exist_ok=True)
    return _write(folder, names, runs, reference)


def _points(names: Sequence[str], values: str | None, plain: RunConfig) -> list[Point]:
    """The values to run: of one axis, or all pairs of two."""
    for name in names:
        if name not in AXES:
            raise unknown("axis", name, AXES)
        if AXES[name].method not in plain.settings:
            methods = ", ".join(plain.methods)
            raise UserError(f"axis {name} varies {AXES[name].method}; the methods of this run are {methods}")
    if len(names) > 2 or (len(names) == 2 and any(AXES[n].is_budget or AXES[n].column for n in names)):
        raise UserError(
            f"--axis {','.join(names)}: give one axis, or two of which none is width, iteration, final_pick"
        )
    given = [None] * len(names) if values is None else values.split(";")
    if len(given) != len(names):
        raise UserError(f"--values {values!r}: {len(names)} axes need as many lists, parted by a semicolon")
    lists = []
    for name, text in zip(names, given, strict=True):
        if text is not None and AXES[name].column:
            raise UserError(f"--values {text!r}: axis {name} shows what a single run has; leave --values out")
        asked = [parse_setting(f"v={v}")[1] for v in text.split(",")] if text is not None else AXES[name].values
        lists.append(list(dict.fromkeys(asked)) or [None])
    return list(product(*lists))


def _write(folder: Path, names: Sequence[str], runs: Mapping[Point, Run], reference: Point) -> str:
    axis = AXES[names[0]]
    rows = [
        {**({"value": point[0]} if axis.column is None else {}), "run_id": run.id, "point": point, **row}
        for point, run in runs.items()
        for row in comparison(run)
    ]
    if axis.column is not None:
        rows = [{**row, "value": row[axis.column]} for row in rows if row["method"] == axis.method]
    widest = runs[max(runs)] if axis.is_budget else runs[reference]
    by_prompt = np.stack(best_of_n_by_prompt(widest))  # (P, N)
    most = by_prompt.shape[1]
    for row in rows:
        gold = _gold(runs[row["point"]], row)
        row["against_widest"] = stats.difference(gold, by_prompt[:, -1])
        if axis.is_budget:
            row["against_best_of_n"] = stats.difference(gold, by_prompt[:, row["value"] - 1])
        same = _gold(runs[reference], row)
        moved = axis.column is None and row["point"] != reference and row["method"] not in ("base", "best_of_n")
        row["against_reference"] = stats.difference(gold, same) if moved and len(same) else None
    compared = [row for row in rows if row["against_reference"] is not None]
    for row, p in zip(compared, stats.holm([row["against_reference"].p for row in compared]), strict=True):
        row["p_holm_reference"] = p
    if len(names) == 2:
        last = [r for r in rows if r["method"] == axis.method and r["iteration"] == max(x["iteration"] for x in rows)]
        cheapest = [r for r in last if r["final_pick"] == last[0]["final_pick"]]
        figures.heat_map(cheapest, [AXES[name].label for name in names], folder / _figure(names))
    else:
        curve = best_of_n_curve(widest) if axis.is_budget else []
        figures.gold_along(rows, axis.label, curve, folder / _figure(names))
    with whole(folder / "table.parquet") as part:
        flat = [{**flat_row(row), "point": json.dumps(row["point"])} for row in rows]
        flat = [{**row, "value": row["value"] if axis.is_budget else str(row["value"])} for row in flat]
        pl.DataFrame(flat, infer_schema_length=None).write_parquet(part)
    with whole(folder / "about.json") as part:
        ids = {json.dumps(point): run.id for point, run in runs.items()}
        part.write_text(json.dumps({"axes": names, "reference": reference, "runs": ids}, indent=1) + "\n")
    report = _markdown(folder.name, names, rows, reference, most)
    with whole(folder / "report.md") as part:
        part.write_text(report)
    return report


def _gold(run: Run, row: Mapping[str, Any]) -> np.ndarray:
    """Gold in sd of base samples by prompt id, of one row of a run's table."""
    same = [pl.col(name) == row[name] for name in ("method", "iteration", "final_pick")]
    part = run.scores.filter(pl.col("metric") == GOLD, *same).sort("prompt_id")
    unit = run.about["units"][GOLD]
    return (part["value"].to_numpy() - unit["mean"]) / unit["sd"]


def _figure(names: Sequence[str]) -> str:
    return f"gold_by_{'_'.join(names)}.png"


def _shown(point: Point) -> str:
    return " x ".join(map(str, point))


def _markdown(name: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]], reference: Point, most: int) -> str:
    axis, label = AXES[names[0]], " x ".join(AXES[n].label for n in names)
    columns = [label, "method", "final pick", "gold (sd)", "gold - best-of-n", f"gold - best-of-{most}"]
    columns += [f"gold - same at {_shown(reference)}", "p (Holm)"] if axis.column is None and not axis.is_budget else []
    lines = [f"# {name}", "", f"| {' | '.join([*columns, 'run'])} |", "|" + "---|" * (len(columns) + 1)]
    for row in rows:
        equal, moved = row["against_best_of_n"], row["against_reference"]
        cells = [row["value"] if len(names) == 1 else _shown(row["point"]), name_of(row), row["final_pick"]]
        cells += [row["gold"], equal.shown("+.2f") if equal else "", row["against_widest"].shown("+.2f")]
        if len(columns) > 6:
            cells += [moved.shown("+.2f"), p_value(row["p_holm_reference"])] if moved else ["", ""]
        lines.append("| " + " | ".join(map(str, [*cells, row["run_id"]])) + " |")
    n, smallest = rows[0]["gold"].n, stats.detectable_difference(PLANNING_SD, rows[0]["gold"].n)
    lines += [
        "",
        f"{n} prompts: paired differences of {smallest:.2f} sd or more show (80% power, planning sd {PLANNING_SD}). "
        "Gold in standard deviations of the same base samples in all rows; intervals and p are paired by prompt.",
    ]
    if axis.is_budget:
        lines += ["", f"Reaching best-of-{most} (mean gold at least as high; the paired difference in brackets):", ""]
        lines += _reached(rows)
    lines += ["", f"![gold by {' and '.join(names)}]({_figure(names)})", ""]
    return "\n".join(lines)


def _reached(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The smallest U at which each row of IRO is level with the largest best-of-n."""
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["method"] == "iro":
            groups.setdefault((row["iteration"], row["final_pick"]), []).append(row)
    lines = []
    for (iteration, pick), group in groups.items():
        level = [row for row in group if row["against_widest"].value >= 0]
        if level:
            first = min(level, key=lambda row: row["value"])
            where = f"U = {first['value']} ({first['against_widest'].shown('+.2f')})"
        else:
            where = f"not up to U = {max(row['value'] for row in group)}"
        lines.append(f"* iteration {iteration}, picked by {'proxy' if pick == 'reward' else pick}: {where}")
    return lines
