"""Whether values predict how rollouts end: mean reward against mean V, a panel for the texts of each iteration."""

import polars as pl
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.evidence.figures.legends import DASHES, entry, legend_below, methods_of
from harness.evidence.figures.style import FAINT, INCHES, INK, SMALL, STYLE, Width, colour, marker, shade
from harness.evidence.schema import Row

_ACROSS: dict[Width, int] = {"column": 2, "full": 4}  # panels
_PANEL = 1.5  # inches


@rc_context(STYLE)
def calibration(values: pl.DataFrame, width: Width) -> Figure:
    """Mean final reward against mean V, in tenths of the prefixes half-way."""
    panels = sorted(values["rollouts"].unique().to_list())
    positions = values["position"].unique().to_list()
    half = min(positions, key=lambda position: abs(position - max(positions) * 2 / 3))
    across = min(_ACROSS[width], len(panels))
    down = -(-len(panels) // across)
    fig = Figure(figsize=(INCHES[width], _PANEL * down + 0.8), layout="constrained")
    axes = fig.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    numbers = sorted(values["value"].unique().to_list())
    for ax, rollouts in zip(axes.flat, panels, strict=False):
        part = values.filter(pl.col("rollouts") == rollouts, pl.col("position") == half)
        for row in part.iter_rows(named=True):
            drawn = {"color": colour(row["method"]), "marker": marker(row["method"]), "markersize": 3}
            dash = _dash(row["value"], numbers[-1])
            ax.plot(row["predicted"], row["reward"], **drawn, linestyle=dash, alpha=shade(row["value"], numbers[-1]))
        ax.axline((0, 0), slope=1, **FAINT)
        ax.set_title("base samples" if rollouts == 1 else f"rollouts of iteration {rollouts}", fontsize=SMALL)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.yaxis.set_major_locator(MaxNLocator(4))
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax in axes.flat[len(panels) - across : len(panels)]:  # the lowest of their columns
        ax.tick_params(labelbottom=True)
    for ax in axes[-1]:
        ax.set_xlabel(f"V at {half} tokens")
    fig.supylabel("final proxy reward (sd)", fontsize=STYLE["axes.labelsize"])
    methods = methods_of([Row(method, 0, "first") for method in values["method"].unique(maintain_order=True)])
    legend_below(fig, [*(methods if len(methods) > 1 else []), *_values(numbers)])
    return fig


def _dash(number: int, last: int) -> str:
    return DASHES[min(last - number, len(DASHES) - 1)]


def _values(numbers: list[int]) -> list[Line2D]:
    """An entry a dash, the last value's whole; those before the last dash share it."""
    named = {_dash(number, numbers[-1]): f"V{number}" for number in numbers}
    if len(numbers) > len(DASHES):
        named[DASHES[-1]] += " and earlier"
    return [entry(name, color=INK, linestyle=dash) for dash, name in named.items()]
