"""Best-of-n as a curve and every other row as a point: gold against compute, and gold against proxy."""

from collections.abc import Callable, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.evidence.figures.labels import Name, name_points, pixels_of, settle
from harness.evidence.figures.legends import iterations_of, legend_below, picks_of
from harness.evidence.figures.style import (
    FAINT,
    INCHES,
    INK,
    STYLE,
    Width,
    aside,
    colour,
    drawn_as,
    ends,
    log_ticks,
    set_height,
    wrapped,
)
from harness.evidence.markdown import in_range
from harness.evidence.names import display_name
from harness.evidence.row import Comparison, Costs
from harness.evidence.table import CurvePoint

_ON_EACH_OTHER = 0.03  # costs that differ by less are drawn in the same place
_HEIGHT: dict[Width, float] = {"column": 2.9, "full": 3.6}
_LEFT = 0.6  # inches that the vertical axis takes
_NUMBERS = 5  # along the curve
_CURVE = "best-of-1..N"
_GOLD = "gold (sd of base samples)"


@rc_context(STYLE)
def gold_against_compute(table: Sequence[Comparison], curve: Sequence[CurvePoint], width: Width) -> Figure:
    """Gold against GFLOPs per test prompt, or policy tokens: best-of-n as a curve, every other row as a point.

    A point stands at the cost that was measured. Rows of one method that cost the same, as its iterations and picks
    often do, stand side by side on the page; those of different methods never change places.
    """
    unit = "policy tokens" if any(row.costs.flops is None for row in table) else "GFLOPs"

    def cost(of: Costs | CurvePoint) -> float:
        return of.policy_tokens if of.flops is None else of.flops / 1e9

    fig, ax = _figure(width)
    _curve(ax, curve, cost)
    ax.set_xscale("log")
    shown, last, most = _points_of([row for row in table if row.costs.are_known], curve), _last_iterations(table), 1
    for row in shown:
        at = cost(row.costs)
        beside = [other for other in shown if other.key.method == row.key.method]
        beside = [other for other in beside if abs(cost(other.costs) / at - 1) < _ON_EACH_OTHER]
        most = max(most, len(beside))
        moved = ax.transData + aside(fig, beside.index(row) - (len(beside) - 1) / 2)
        drawn = drawn_as(row.key, last[row.key.method])
        ax.errorbar(at, row.gold.value, yerr=ends([row.gold]), transform=moved, **drawn)
    costs = [cost(row.costs) for row in shown] + [cost(point) for point in curve]
    ax.set_xlim(min(costs) / 1.3, max(costs) * 1.3)
    set_height(ax, [row.gold for row in shown] + [point.gold for point in curve])
    note = "\n(equal costs of a method side by side)" if most > 1 else ""
    ax.set_xlabel(wrapped(f"{unit} per test prompt, log scale{note}", INCHES[width] - _LEFT))
    ax.set_ylabel(_GOLD)
    ax.axhline(0, **FAINT)
    ticks = log_ticks(min(costs) / 1.3, max(costs) * 1.3, int(INCHES[width] / 0.55))
    ax.set_xticks(ticks, [f"{t:,.10g}" for t in ticks])
    ax.minorticks_off()
    _finish(fig, ax, shown, curve)
    return fig


@rc_context(STYLE)
def proxy_against_gold(table: Sequence[Comparison], curve: Sequence[CurvePoint], width: Width) -> Figure:
    """Gold against proxy: best-of-n as a curve along n, every other row as a point; level or falling is too much."""
    fig, ax = _figure(width)
    _curve(ax, curve, lambda point: point.proxy.value)
    shown, last = _points_of(table, curve), _last_iterations(table)
    for row in shown:
        x, y, drawn = row.proxy, row.gold, drawn_as(row.key, last[row.key.method])
        ax.errorbar(x.value, y.value, xerr=ends([x]), yerr=ends([y]), **drawn)
    ax.margins(0.08)
    ax.axline((0, 0), slope=1, **{**FAINT, "linestyle": "--"})
    ax.set_xlabel(wrapped("proxy (sd of base samples);\ndashed: gold = proxy", INCHES[width] - _LEFT))
    ax.set_ylabel(f"{_GOLD}\nn = {in_range(row.gold.n for row in table)} prompts" if width == "full" else _GOLD)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    powers = [point for point in curve if point.n & (point.n - 1) == 0]  # 1, 2, 4, 8, ...
    powers = powers[:: -(-len(powers) // _NUMBERS)] if powers else []
    proxies, golds = [point.proxy.value for point in powers], [point.gold.value for point in powers]
    ax.plot(proxies, golds, "s", color=colour("best_of_n"), markersize=3)
    _finish(fig, ax, shown, curve, [(f"n = {point.n}", at) for point, *at in zip(powers, proxies, golds, strict=True)])
    return fig


def _figure(width: Width) -> tuple[Figure, Axes]:
    fig = Figure(figsize=(INCHES[width], _HEIGHT[width]), layout="constrained")
    return fig, fig.subplots()


def _curve(ax: Axes, curve: Sequence[CurvePoint], across: Callable[[CurvePoint], float]) -> None:
    """Best-of-1..N with its band."""
    if curve:
        x, low, high = [across(point) for point in curve], [p.gold.low for p in curve], [p.gold.high for p in curve]
        ax.plot(x, [point.gold.value for point in curve], "-", color=colour("best_of_n"), label=_CURVE)
        ax.fill_between(x, low, high, color=colour("best_of_n"), alpha=0.15, linewidth=0)


def _points_of(table: Sequence[Comparison], curve: Sequence[CurvePoint]) -> list[Comparison]:
    return [row for row in table if not (curve and row.key.method == "best_of_n")]


def _finish(
    fig: Figure,
    ax: Axes,
    shown: Sequence[Comparison],
    curve: Sequence[CurvePoint],
    numbers: Sequence[tuple[str, Sequence[float]]] = (),
) -> None:
    """Legend, then the name of each method beside one of its points, and that of the curve and of points along it."""
    keys = [row.key for row in shown]
    legend_below(fig, [*picks_of(keys), *iterations_of(keys)])
    settle(fig)
    points: dict[str, list[tuple[float, float]]] = {}
    drawn = [container for container in ax.containers if isinstance(container, ErrorbarContainer)]
    for row, container in zip(shown, drawn, strict=True):
        points.setdefault(row.key.method, []).extend(pixels_of(container.lines[0]))
    names = [Name(display_name(method), places, colour(method)) for method, places in points.items()]
    for line in [line for line in ax.lines if line.get_label() == _CURVE]:
        places = pixels_of(line)[len(curve) // 3 :]  # not where it meets the base
        names.append(Name(f"best-of-n, n = 1 to {len(curve)}", places[:: len(places) // 8 + 1], colour("best_of_n")))
    names += [Name(text, [tuple(ax.transData.transform(at))], INK) for text, at in numbers]
    name_points(ax, names)


def _last_iterations(table: Sequence[Comparison]) -> dict[str, int]:
    """Method -> its last iteration."""
    return {row.key.method: row.key.iteration for row in sorted(table, key=lambda row: row.key.iteration)}
