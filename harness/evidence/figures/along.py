"""Gold along numbers: the iterations of a run, or the values of an ablation's axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.core.statistics.stats import Estimate
from harness.evidence.figures.labels import Name, name_points, pixels_of, settle
from harness.evidence.figures.legends import dash_of, dashes_of, legend_below, picks_of
from harness.evidence.figures.style import (
    INCHES,
    STYLE,
    Width,
    aside,
    colour,
    drawn_as,
    ends,
    letters,
    look,
    set_height,
    shade,
    wrapped,
)
from harness.evidence.markdown import in_range
from harness.evidence.names import display_name
from harness.evidence.row import Comparison
from harness.evidence.schema import REFERENCES, Row
from harness.evidence.table import CurvePoint

_HEIGHT: dict[Width, float] = {"column": 2.7, "full": 3.6}
_GOLD = "gold (sd of base samples)"
_PLACES = 20  # that are tried for a name
_LEFT = 0.6  # inches that the vertical axis takes


@dataclass(frozen=True)
class Level:
    """A mean that iterations do not touch: the base, or a best-of-n."""

    method: str
    name: str
    mean: Estimate


@dataclass(frozen=True)
class Drawn:
    """A row at a value of the axis; `mean` is its gold, or another mean over the same prompts."""

    key: Row
    value: Any
    mean: Estimate


def has_iterations(table: Sequence[Comparison]) -> bool:
    return any(row.key.iteration > 1 for row in table)


def gold_by_iteration_of(table: Sequence[Comparison], curve: Sequence[CurvePoint], width: Width) -> Figure:
    """`gold_by_iteration` of a run's table: methods with several iterations, beside the base and best-of-n."""
    several = {row.key.method for row in table if row.key.iteration > 1}
    rows = [Drawn(row.key, row.key.iteration, row.gold) for row in table if row.key.method in several]
    names = {"base": "base", "best_of_n": f"best-of-{len(curve) or 'n'}"}
    found = [row for row in table if row.key.method in names]
    return gold_by_iteration(rows, [Level(r.key.method, names[r.key.method], r.gold) for r in found], width)


@rc_context(STYLE)
def gold_by_iteration(rows: Sequence[Drawn], levels: Sequence[Level], width: Width) -> Figure:
    """Gold with its interval at each iteration, a line a method and pick; `levels` are lines with a band.

    What stands at one iteration stands side by side on the page.
    """
    lines: dict[Row, list[Drawn]] = {}
    for row in rows:
        lines.setdefault(row.key._replace(iteration=0), []).append(row)
    fig, ax = _figure(width)
    for level, dash in zip(levels, ("--", ":"), strict=False):
        ax.axhline(level.mean.value, color=colour(level.method), linestyle=dash, linewidth=1, label=level.name)
        ax.axhspan(level.mean.low, level.mean.high, color=colour(level.method), alpha=0.12, linewidth=0)
    drawn: dict[str, list[Line2D]] = {}
    for i, (key, line) in enumerate(lines.items()):
        how = drawn_as(key, 0) | {"linestyle": ":" if key.final_pick == "reward" else "-", "linewidth": 1}
        x, means = [row.key.iteration for row in line], [row.mean for row in line]
        moved = ax.transData + aside(fig, i - (len(lines) - 1) / 2)
        bar = ax.errorbar(x, [mean.value for mean in means], yerr=ends(means), transform=moved, **how)
        drawn.setdefault(key.method, []).append(bar.lines[0])
    iterations = sorted({row.key.iteration for row in rows})
    set_height(ax, [*(row.mean for row in rows), *(level.mean for level in levels)])
    ax.set_xlim(iterations[0] - 0.5, iterations[-1] + 0.5)
    ax.set_xticks(iterations[:: -(-len(iterations) // 12)])
    ax.set_xlabel(f"iteration (n = {in_range(row.mean.n for row in rows)} prompts)")
    ax.set_ylabel(_GOLD)
    legend_below(fig, picks_of(list(lines)))
    settle(fig)
    names = [_name(display_name(method), method, found) for method, found in drawn.items()]
    for level in levels:
        along = [(x, level.mean.value) for x in np.linspace(iterations[0] - 0.4, iterations[-1] + 0.4, 12)]
        names.append(Name(level.name, [tuple(at) for at in ax.transData.transform(along)], colour(level.method)))
    name_points(ax, names)
    return fig


@rc_context(STYLE)
def gold_along(rows: Sequence[Drawn], axis: str, curve: Sequence[Estimate], width: Width, unit: str = _GOLD) -> Figure:
    """Gold along an axis of numbers, a line an iteration; `curve` is that of best-of-1..N, empty where none is drawn.

    Without a curve best-of-n is a line as well.
    """
    fig, ax = _figure(width)
    drawn: dict[str, list[Line2D]] = {}
    if curve:
        x = list(range(1, len(curve) + 1))
        low, high = [mean.low for mean in curve], [mean.high for mean in curve]
        drawn["best_of_n"] = ax.plot(x, [mean.value for mean in curve], "--", color=colour("best_of_n"))
        ax.fill_between(x, low, high, color=colour("best_of_n"), alpha=0.15, linewidth=0)
        ax.axhline(curve[-1].value, color=colour("best_of_n"), linewidth=0.7, linestyle=":")
    groups: dict[Row, list[Drawn]] = {}
    for row in rows:
        if row.key.method != "base" and not (curve and row.key.method == "best_of_n"):
            groups.setdefault(row.key, []).append(row)
    last = max((key.iteration for key in groups), default=0)
    values = list(dict.fromkeys([*(row.value for row in rows), *([len(curve)] if curve else [])]))
    for key, group in groups.items():
        means, x = [row.mean for row in group], [row.value for row in group]
        how = {**look(key), "linestyle": dash_of(key.iteration, last), "alpha": shade(key.iteration, last)}
        line = ax.plot(x, [mean.value for mean in means], **how, markersize=4, markeredgewidth=0.9)
        drawn.setdefault(key.method, []).extend(line)
        if key.iteration == last and key.final_pick != "reward" and key.method not in REFERENCES:
            low, high = [mean.low for mean in means], [mean.high for mean in means]
            ax.fill_between(x, low, high, color=colour(key.method), alpha=0.1, linewidth=0)
    if max(values) >= 12 * min(values):
        ax.set_xscale("log")
    _name_values(ax, sorted(values), width)
    ax.set_xlabel(wrapped(f"{axis} (n = {in_range(row.mean.n for row in rows)} prompts)", INCHES[width] - _LEFT))
    ax.set_ylabel(unit)
    keys = list(groups)
    legend_below(fig, [*picks_of(keys), *dashes_of(keys)])
    settle(fig)
    said = {"best_of_n": "best-of-n, n = U"} if curve else {}
    name_points(ax, [_name(said.get(m, display_name(m)), m, lines) for m, lines in drawn.items()])
    return fig


def _name(text: str, method: str, lines: Sequence[Line2D]) -> Name:
    """Beside some of the points of a method's lines."""
    places = [place for line in lines for place in pixels_of(line)]
    return Name(text, places[:: len(places) // _PLACES + 1], colour(method))


def _figure(width: Width) -> tuple[Figure, Axes]:
    fig = Figure(figsize=(INCHES[width], _HEIGHT[width]), layout="constrained")
    return fig, fig.subplots()


def _name_values(ax: Axes, values: Sequence[float], width: Width) -> None:
    """A tick at every value, named where the name has room beside the one before it."""
    low, high = ax.get_xlim()
    places = ax.transScale.transform([(value, 0) for value in (low, high, *values)])[:, 0]
    inches = (places[2:] - places[0]) / (places[1] - places[0]) * (INCHES[width] - _LEFT)
    names, free = [], float("-inf")
    for value, at in zip(values, inches, strict=True):
        half = (len(str(value)) + 1) / 2 / letters(1)
        names.append(str(value) if at - half >= free else "")
        free = at + half if names[-1] else free
    ax.set_xticks(list(values), names)
    ax.minorticks_off()
