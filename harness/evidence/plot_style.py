"""How every figure looks: one colour a method, the same everywhere, colour-blind safe; saved as PNG and as SVG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from harness.core.files import whole
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
FAINT, TEXT = "#cccccc", "#444444"  # lines of reference; words and error bars that belong to no method
MARKERS = {"value": "o", "reward": "s", "first": "D"}
PICKS = {"value": "picked by value", "reward": "picked by proxy", "first": "first sample"}
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 160,
    "svg.hashsalt": "iro-harness",  # else the ids in an SVG are new each time
    "svg.fonttype": "none",  # text as text: smaller than outlines, and can be searched
}


def colour(method: str) -> str:
    return COLOURS.get(method, "#8c564b")


def shade(iteration: int, last: int) -> float:
    """Opacity: the last iteration is solid, earlier ones are fainter."""
    return 1.0 if iteration in (0, last) else 0.35 + 0.5 * iteration / last


def label(row: Row) -> str:
    name = f"{row.method}, iteration {row.iteration}" if row.iteration else row.method
    return row.name if row.method in ("base", "base_greedy") else f"{name}, {PICKS[row.final_pick]}"


def drawn_as(row: Row, last: int) -> dict[str, Any]:
    """How `errorbar` draws a row of a table."""
    look = {"fmt": MARKERS[row.final_pick], "color": colour(row.method), "alpha": shade(row.iteration, last)}
    return {**look, "capsize": 2, "label": label(row)}


def short_label(row: Row) -> str:
    """The label on several lines, to stand under a bar."""
    name = row.method.replace("_", " ").replace(" ", "\n", 1)
    iteration = f"\niteration {row.iteration}" if row.iteration else ""
    return f"{name}{iteration}\n{PICKS[row.final_pick].replace('picked ', '')}"


def save(fig: Figure, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write `path`, a PNG that keeps `notes`, and an SVG beside it; the same figure gives the same bytes."""
    with whole(path) as part:
        fig.savefig(part, format="png", metadata={"Software": None, **(notes or {})})
    with whole(path.with_suffix(".svg")) as part:
        fig.savefig(part, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(fig)
