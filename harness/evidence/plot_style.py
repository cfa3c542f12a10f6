"""How every figure looks: one colour a method, the same everywhere, colour-blind safe; saved as PNG and as SVG.

look(row)      # {"color": "#0072B2", "marker": "o", "fillstyle": "full"}: of a shipped method the marker tells the pick

A method of somebody's own has a colour and a marker by its name, the same in every figure and beside whatever else; its
filling tells the pick.
"""

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from harness.core.digest import digest
from harness.core.files import whole
from harness.core.statistics.stats import Estimate
from harness.evidence.schema import Row

matplotlib.use("Agg")

# Okabe and Ito's palette
COLOURS = {
    "base": "#7f7f7f",
    "base_greedy": "#b8b8b8",
    "best_of_n": "#E69F00",
    "iro": "#0072B2",
    "args": "#D55E00",
    "controlled_decoding": "#009E73",
    "cards": "#CC79A7",
    "weak_to_strong": "#56B4E9",
    "dpo": "#000000",
}
_APART = 3.0  # points of the page (1/72 inch) between marks that would lie on each other
FAINT, TEXT = "#cccccc", "#444444"  # lines of reference; words and error bars that belong to no method
MARKERS = {"value": "o", "reward": "s", "first": "D"}
# six of Paul Tol's muted colours, at least 7 apart in lightness, so that they differ in grey
OWN_COLOURS = ("#332288", "#882255", "#117733", "#CC6677", "#44AA99", "#88CCEE")
OWN_MARKERS = ("^", "v", "<", ">", "P", "X", "p", "h", "*")
FILLINGS = {"value": "full", "reward": "none", "first": "left"}
PICKS = {"value": "picked by value", "reward": "picked by proxy", "first": "no pick"}  # the only text, or the first
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 160,
    "svg.hashsalt": "iro-harness",  # else the ids in an SVG are new each time
    "svg.fonttype": "none",  # text as text: smaller than outlines, and can be searched
}


def colour(method: str) -> str:
    return COLOURS.get(method) or OWN_COLOURS[_number(method) % len(OWN_COLOURS)]


def look(row: Row) -> dict[str, Any]:
    """Colour, marker and filling of a row of a table, as matplotlib calls them."""
    if row.method in COLOURS:
        return {"color": colour(row.method), "marker": MARKERS[row.final_pick], "fillstyle": "full"}
    own = OWN_MARKERS[_number(row.method) // len(OWN_COLOURS) % len(OWN_MARKERS)]
    return {"color": colour(row.method), "marker": own, "fillstyle": FILLINGS[row.final_pick]}


def shade(iteration: int, last: int) -> float:
    """Opacity: the last iteration is solid, earlier ones are fainter."""
    return 1.0 if iteration in (0, last) else 0.35 + 0.5 * iteration / last


def label(row: Row) -> str:
    name = f"{row.method}, iteration {row.iteration}" if row.iteration else row.method
    return row.name if row.method in ("base", "base_greedy") else f"{name}, {PICKS[row.final_pick]}"


def drawn_as(row: Row, last: int) -> dict[str, Any]:
    """How `errorbar` draws a row of a table."""
    return {**look(row), "linestyle": "none", "alpha": shade(row.iteration, last), "capsize": 2, "label": label(row)}


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


def short_label(row: Row) -> str:
    """The label on several lines, to stand under a bar."""
    name = row.method.replace("_", " ").replace(" ", "\n", 1)
    iteration = f"\niteration {row.iteration}" if row.iteration else ""
    return f"{name}{iteration}\n{PICKS[row.final_pick].replace('picked ', '')}"


def _number(name: str) -> int:
    return int(digest(name)[:8], 16)


def save(fig: Figure, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write `path`, a PNG that keeps `notes`, and an SVG beside it; the same figure gives the same bytes."""
    with whole(path) as part:
        fig.savefig(part, format="png", metadata={"Software": None, **(notes or {})})
    with whole(path.with_suffix(".svg")) as part:
        fig.savefig(part, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(fig)
