"""`python -m harness ablate --axis width`: the same run at several values of one setting, side by side.

Each value is a run of its own in OUT/runs, so that repeating one costs nothing and fits are shared where the setting
does not change them. What is made of them lies in OUT/ablations/<task>-<axis>-<hash>/.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness import figures
from harness.config import RunConfig, parse_setting, resolve
from harness.core import stats
from harness.core.digest import digest
from harness.core.errors import UserError, unknown
from harness.core.files import whole
from harness.ranks import join_ranks
from harness.report import GOLD, best_of_n_by_prompt, best_of_n_curve, comparison, flat_row, write_report
from harness.run import PLANNING_SD, complete
from harness.store import Run, load_run

Settings = list[tuple[str, Any]]


@dataclass(frozen=True)
class Axis:
    label: str  # of the figure
    values: tuple[Any, ...]  # tried unless others are asked for
    settings: Callable[[Any, RunConfig], Settings]  # of one value, given the run as it would be without
    is_budget: bool = False  # then best-of-n is run at the largest value, and read off its curve at the others


def _width(value: Any, plain: RunConfig) -> Settings:
    """U rows a prompt, as many prefixes as successors; values are fitted at the width of the plain run."""
    root = isqrt(value) if isinstance(value, int) and value > 0 else 0
    if root * root != value or not root:
        raise UserError(f"--values {value!r}: the axis width takes squares, U = width x successors, such as 4,9,16")
    if "iro" not in plain.settings:
        raise UserError(f"axis width varies iro; the methods of this run are {', '.join(plain.methods)}")
    iro = plain.settings["iro"]
    fit = [("iro.rollout_width", iro.rollout_width or iro.width)]
    fit += [("iro.rollout_successors", iro.rollout_successors or iro.successors)]
    return [*fit, ("iro.width", root), ("iro.successors", root)]


AXES: dict[str, Axis] = {"width": Axis("rows per prompt, U", (4, 9, 16, 25, 36), _width, is_budget=True)}


def ablate(axis: str, values: str | None, asked: Mapping[str, Any], out: Path, cache: Path, workers: int | None) -> str:
    """Run every value of an axis, write table and figure, and return the report."""
    if axis not in AXES:
        raise unknown("axis", axis, AXES)
    plain = resolve(**asked)
    given = [] if values is None else [parse_setting(f"v={v}")[1] for v in values.split(",")]
    tried = tuple(dict.fromkeys(given)) or AXES[axis].values
    settings = {value: AXES[axis].settings(value, plain) for value in tried}
    budget, most = AXES[axis].is_budget, max(tried) if AXES[axis].is_budget else None
    configs = [
        resolve(**{**asked, "given": [*asked["given"], *more], "only": budget and value != most})
        for value, more in settings.items()
    ]
    n = plain.settings["evaluate"].prompts
    smallest = stats.detectable_difference(PLANNING_SD, n)
    print(
        f"{axis}: {len(tried)} values on {n} prompts; paired differences of {smallest:.2f} sd or more show (80% power)",
        file=sys.stderr,
    )
    ranks = join_ranks()
    folders = [complete(config, out, cache, workers, ranks) for config in configs]
    ranks.leave()
    if not ranks.first:
        return ""
    runs = [load_run(folder) for folder in folders]
    for run in runs:
        write_report(run)
    folder = out / "ablations" / f"{plain.task}-{axis}-{digest([run.id for run in runs])[:10]}"
    folder.mkdir(parents=True, exist_ok=True)
    return _write(folder, axis, dict(zip(tried, runs, strict=True)))


def _write(folder: Path, axis: str, runs: Mapping[Any, Run]) -> str:
    rows = [{"value": value, "run_id": run.id, **row} for value, run in runs.items() for row in comparison(run)]
    widest = runs[max(runs)] if AXES[axis].is_budget else next(iter(runs.values()))
    by_prompt = np.stack(best_of_n_by_prompt(widest))  # (P, N)
    for row in rows:
        gold = _gold(runs[row["value"]], row)
        row["against_widest"] = stats.difference(gold, by_prompt[:, -1])
        if AXES[axis].is_budget:
            row["against_best_of_n"] = stats.difference(gold, by_prompt[:, row["value"] - 1])
    curve = best_of_n_curve(widest) if AXES[axis].is_budget else []
    figures.gold_along(rows, AXES[axis].label, curve, folder / f"gold_by_{axis}.png")
    with whole(folder / "table.parquet") as part:
        pl.DataFrame([flat_row(row) for row in rows], infer_schema_length=None).write_parquet(part)
    with whole(folder / "about.json") as part:
        part.write_text(json.dumps({"axis": axis, "runs": {str(v): run.id for v, run in runs.items()}}, indent=1))
    report = _markdown(folder.name, axis, rows, by_prompt.shape[1])
    with whole(folder / "report.md") as part:
        part.write_text(report)
    return report


def _gold(run: Run, row: Mapping[str, Any]) -> np.ndarray:
    """Gold in sd of base samples by prompt id, of one row of a run's table."""
    same = [pl.col(name) == row[name] for name in ("method", "iteration", "final_pick")]
    part = run.scores.filter(pl.col("metric") == GOLD, *same).sort("prompt_id")
    unit = run.about["units"][GOLD]
    return (part["value"].to_numpy() - unit["mean"]) / unit["sd"]


def _markdown(name: str, axis: str, rows: Sequence[Mapping[str, Any]], most: int) -> str:
    lines = [
        f"# {name}",
        "",
        f"| {AXES[axis].label} | method | final pick | gold (sd) | gold - best-of-n | gold - best-of-{most} | run |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        method = f"{row['method']} (iteration {row['iteration']})" if row["iteration"] else row["method"]
        equal = row["against_best_of_n"]
        cells = [row["value"], method, row["final_pick"], row["gold"], equal.shown("+.2f") if equal else ""]
        cells += [row["against_widest"].shown("+.2f"), row["run_id"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    if axis == "width":
        lines += ["", f"Reaching best-of-{most} (mean gold at least as high; the paired difference in brackets):", ""]
        lines += _reached(rows, most)
    lines += ["", f"![gold by {axis}](gold_by_{axis}.png)", ""]
    return "\n".join(lines)


def _reached(rows: Sequence[Mapping[str, Any]], most: int) -> list[str]:
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
