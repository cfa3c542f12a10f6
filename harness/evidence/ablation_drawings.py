"""The figures of an ablation by name: gold along its axis, and where that is a budget the wins over base as well.

drawings = of_ablation(read_ablation(folder, out))
drawings["gold_by_width"]("column")        # a matplotlib Figure
"""

from functools import partial

import numpy as np
import polars as pl

from harness.core.statistics import stats
from harness.core.statistics.best_of_n import curve_of_pool
from harness.core.statistics.stats import Estimate
from harness.evidence.ablation_rows import Ablation, Axis
from harness.evidence.budgets import budget_of
from harness.evidence.clusters import clusters_of
from harness.evidence.figures.along import Drawn, Level, gold_along, gold_by_iteration
from harness.evidence.figures.choices import gold_by_choice, heat_map
from harness.evidence.figures.kinds import Drawing
from harness.evidence.row import in_percent
from harness.evidence.schema import EVALUATED, GOLD, PROXY
from harness.evidence.store import Run
from harness.evidence.table import best_of_n_curve, comparison


def of_ablation(ablation: Ablation) -> dict[str, Drawing]:
    """The kinds that the axes have, by the names of their files."""
    axes, rows, widest = ablation.axes, ablation.rows, ablation.widest
    axis, name = axes[0], f"gold_by_{'_'.join(axis.name for axis in axes)}"
    if len(axes) == 2:
        last = max(row.row.key.iteration for row in rows)
        final = [row for row in rows if row.row.key.method == axis.method and row.row.key.iteration == last]
        shown = [row for row in final if row.row.key.final_pick == final[0].row.key.final_pick]
        return {name: partial(heat_map, {row.point: row.row.gold for row in shown}, [axis.label for axis in axes])}
    drawn = [Drawn(row.row.key, row.value, row.row.gold) for row in rows]
    if axis.column == "iteration":
        return {name: partial(gold_by_iteration, drawn, _levels(axis, widest))}
    if not all(
        isinstance(row.value, int | float) and not isinstance(row.value, bool) and row.value > 0 for row in rows
    ):
        return {name: partial(gold_by_choice, drawn, axis.label)}
    if not axis.is_budget:
        return {name: partial(gold_along, drawn, axis.label, [])}
    curve = [point.gold for point in best_of_n_curve(widest)]
    won = [Drawn(row.row.key, row.value, in_percent(row.wins)) for row in rows if row.wins]
    rivals = _wins_of_best_of_n(widest)
    return {
        name: partial(gold_along, drawn, axis.label, curve),
        f"win_rate_by_{axis.name}": partial(gold_along, won, axis.label, rivals, unit="prompts won over base, %"),
    }


def _levels(axis: Axis, run: Run) -> list[Level]:
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
    return [in_percent(stats.mean(rates, clusters=clusters_of(run))) for rates in zip(*curves, strict=True)]
