"""How every figure looks: two widths, one colour and one marker a method, the same everywhere, also in grey.

look(row)      # {"color": "#0072B2", "marker": "o", "fillstyle": "full"}: a marker a method, a filling a final pick

A method of somebody's own has a colour and a marker by its name, the same in every figure and beside whatever else.
"""

from collections.abc import Sequence
from math import isnan
from textwrap import fill
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from harness.core.digest import digest
from harness.core.statistics.stats import Estimate
from harness.evidence.names import display_name
from harness.evidence.schema import Row

Width = Literal["column", "full"]
INCHES: dict[Width, float] = {"column": 3.3, "full": 6.9}  # of a page with two columns
INK = "#191919"  # text, axes and what belongs to no method; in an SVG the page's own colour (files.py)
COLOURS = {  # Okabe and Ito's palette
    "base": "#7f7f7f",
    "base_greedy": "#9a9a9a",
    "best_of_n": "#E69F00",
    "iro": "#0072B2",
    "args": "#D55E00",
    "controlled_decoding": "#009E73",
    "cards": "#CC79A7",
    "weak_to_strong": "#56B4E9",
    "dpo": INK,
}
MARKERS = {
    "base": "D",
    "base_greedy": "d",
    "best_of_n": "s",
    "iro": "o",
    "args": "^",
    "controlled_decoding": "v",
    "cards": "p",
    "weak_to_strong": "*",
    "dpo": "P",
}
# six of Paul Tol's muted colours, at least 7 apart in lightness, so that they differ in grey
OWN_COLOURS = ("#332288", "#882255", "#117733", "#CC6677", "#44AA99", "#88CCEE")
OWN_MARKERS = ("<", ">", "h", "X")
PICKS = {"value": "picked by value", "reward": "picked by proxy", "first": "no pick"}  # the only text, or the first
FILLINGS = {"value": "full", "reward": "none", "first": "left"}
ONE_TEXT = ("base", "base_greedy", "best_of_n", "args", "cards", "dpo")  # one pick each, which says nothing
SMALL, LARGE = 7, 8  # points; nothing is smaller
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a figure is the same everywhere
    "font.size": LARGE,
    "axes.labelsize": LARGE,
    "axes.titlesize": LARGE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
    "text.parse_math": False,  # names may hold a dollar sign
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "iro-harness",  # else the ids in an SVG are new each time
    "svg.fonttype": "none",  # text as text: smaller than outlines, and can be searched
    "pdf.fonttype": 42,  # TrueType, which publishers ask for
}
FAINT: dict[str, Any] = {"color": INK, "alpha": 0.25, "linewidth": 0.8, "zorder": 0}  # lines of reference
BARS: dict[str, Any] = {"linestyle": "none", "capsize": 1.5, "elinewidth": 0.9, "markeredgewidth": 0.9}  # `errorbar`
_APART = 3.0  # points of the page (1/72 inch) between marks that would lie on each other
_LETTER = 0.6  # of the size of the type: how wide a letter is, on average and rounded up


def colour(method: str) -> str:
    return COLOURS.get(method) or OWN_COLOURS[_number(method) % len(OWN_COLOURS)]


def marker(method: str) -> str:
    return MARKERS.get(method) or OWN_MARKERS[_number(method) // len(OWN_COLOURS) % len(OWN_MARKERS)]


def look(row: Row) -> dict[str, Any]:
    """Colour, marker and filling of a row of a table, as matplotlib calls them."""
    filling = "full" if row.method in ONE_TEXT else FILLINGS[row.final_pick]
    return {"color": colour(row.method), "marker": marker(row.method), "fillstyle": filling}


def shade(iteration: int, last: int) -> float:
    """Opacity: the last iteration is solid, earlier ones are fainter."""
    return 1.0 if iteration in (0, last) else 0.45 + 0.4 * iteration / last


def label(row: Row) -> str:
    name = display_name(row.method)
    name += f", iteration {row.iteration}" if row.iteration else ""
    return name if row.method in ONE_TEXT else f"{name}, {PICKS[row.final_pick]}"


def drawn_as(row: Row, last: int) -> dict[str, Any]:
    """How `errorbar` draws a row of a table."""
    return {**look(row), **BARS, "alpha": shade(row.iteration, last), "label": label(row)}


def aside(fig: Figure, steps: float) -> ScaledTranslation:
    """A shift to the right on the page, to add to `transData`: what is drawn moves, and its data do not.

    Autoscaling does not know of it, so set the limits of the axes after it.
    """
    return ScaledTranslation(steps * _APART / 72, 0, fig.dpi_scale_trans)


def ends(means: Sequence[Estimate]) -> list[list[float]]:
    """The intervals of means as `errorbar` takes them."""
    return [[mean.value - mean.low for mean in means], [mean.high - mean.value for mean in means]]


def set_height(ax: Axes, means: Sequence[Estimate]) -> None:
    """Let the vertical axis reach from the lowest to the highest end of intervals."""
    bounds = [x for mean in means for x in (mean.value, mean.low, mean.high) if not isnan(x)]
    low, high = min(bounds, default=0.0), max(bounds, default=1.0)
    margin = 0.05 * (high - low or 1.0)
    ax.set_ylim(low - margin, high + margin)


def letters(inches: float, size: float = SMALL) -> int:
    """How many letters of a size, in points, stand side by side."""
    return max(int(72 * inches / (_LETTER * size)), 1)


def wrapped(text: str, inches: float, size: float = LARGE) -> str:
    """A text on as many lines as a width needs."""
    return "\n".join(fill(line, letters(inches, size)) for line in text.split("\n"))


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers on a logarithmic axis, no more than `most`."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [t for k in range(-9, 18) for m in steps if low <= (t := 10.0**k * m) <= high]
        if len(found) <= most:
            break
    return found[:: -(-len(found) // most)] if found else [low]


def _number(name: str) -> int:
    return int(digest(name)[:8], 16)
