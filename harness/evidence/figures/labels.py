"""Names beside what they name, where they cover neither each other nor a mark.

name_points(ax, [Name("IRO", [(412.0, 380.0)], "#0072B2")])      # after limits, labels and legends are set
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from harness.evidence.figures.style import INK, SMALL

Floats = NDArray[np.float64]
_RADII = (4, 7, 11, 16, 24, 34, 46, 60, 80, 110, 150)  # points of the page from a mark to its name
_LEADER = 9  # points from which on a thin line leads from the mark to its name
_MARK, _BAR, _LINE = 60.0, 15.0, 12.0  # what it costs to cover a mark, and a piece of a bar or of a line
_NEIGHBOUR, _WIDER = 20.0, np.array((-6, -6, 6, 6))  # likewise to stand so near (points) to a mark of another name
_PIECE = 6.0  # pixels
_ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)


@dataclass(frozen=True)
class Name:
    text: str
    places: Sequence[tuple[float, float]]  # marks that have the name, in pixels; see `pixels_of`
    colour: str


def pixels_of(line: Line2D) -> list[tuple[float, float]]:
    """Where the points of a line lie on the page. Changes with the layout: read it after `settle`."""
    return [(float(x), float(y)) for x, y in line.get_transform().transform(line.get_xydata())]


def settle(fig: Figure) -> None:
    """Lay the figure out once, so that places on the page stay as they are."""
    FigureCanvasAgg(fig).draw()  # type: ignore[no-untyped-call]
    fig.set_layout_engine("none")


def name_points(ax: Axes, names: Sequence[Name]) -> None:
    """Write each name near one of its marks, inside the axes; a name for which there is no room is left out."""
    fig = ax.get_figure(root=True)
    assert isinstance(fig, Figure)
    canvas, scale = FigureCanvasAgg(fig), fig.dpi / 72
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    room, covered, costs = ax.get_window_extent(renderer), *_drawn(ax, scale)
    taken = np.zeros((0, 4))
    to_figure = fig.transFigure.inverted()
    for name in names:
        text = fig.text(0, 0, name.text, fontsize=SMALL, ha="center", va="center", in_layout=False)
        size = text.get_window_extent(renderer)
        marks, boxes = _candidates(name.places, size.width, size.height, scale)  # (C, 2), (C, 4)
        free = (boxes[:, 0] >= room.x0) & (boxes[:, 2] <= room.x1) & (boxes[:, 1] >= room.y0) & (boxes[:, 3] <= room.y1)
        free &= ~_meet(boxes, taken).any(axis=1)
        if not free.any():
            text.remove()
            continue
        edges = np.clip(marks, boxes[:, :2], boxes[:, 2:])  # of each box, what is nearest to its mark
        others = np.array([place for other in names if other is not name for place in other.places]).reshape(-1, 2)
        cost = np.hypot(*(edges - marks).T) / scale + _meet(boxes, covered) @ costs
        cost += _NEIGHBOUR * _meet(boxes + _WIDER * scale, np.hstack([others, others])).any(axis=1)
        i = int(np.where(free, cost, np.inf).argmin())
        taken = np.vstack([taken, boxes[i]])
        across, up = to_figure.transform((boxes[i, :2] + boxes[i, 2:]) / 2)
        text.set_position((float(across), float(up)))
        if np.hypot(*(edges[i] - marks[i])) > _LEADER * scale:
            (x, y), (to_x, to_y) = to_figure.transform((marks[i], edges[i]))
            fig.add_artist(Line2D([x, to_x], [y, to_y], color=name.colour or INK, linewidth=0.5, zorder=1))


def _candidates(places: Sequence[tuple[float, float]], width: float, height: float, scale: float) -> tuple[Any, Any]:
    """Every mark and box (x0, y0, x1, y1) that could be tried, in pixels."""
    mark, radius, angle = np.meshgrid(np.arange(len(places)), np.array(_RADII) * scale, _ANGLES, indexing="ij")
    marks = np.array(places)[mark.ravel()]  # (C, 2)
    half = np.array((width / 2, height / 2))
    beside = np.stack([np.cos(angle.ravel()), np.sin(angle.ravel())], axis=1)
    middle = marks + beside * (radius.reshape(-1, 1) + half)
    return marks, np.hstack([middle - half, middle + half])


def _drawn(ax: Axes, scale: float) -> tuple[Floats, Floats]:
    """Boxes (B, 4) in pixels of what names should not cover, and what it costs to cover each (B,)."""
    boxes: list[tuple[float, ...]] = []
    costs: list[float] = []
    for line in ax.lines:
        path = line.get_transform().transform(line.get_xydata())
        if str(line.get_marker()) not in ("None", "none", "", " "):
            half = line.get_markersize() / 2 * scale
            boxes += [(x - half, y - half, x + half, y + half) for x, y in path]
            costs += [_MARK] * len(path)
        if line.get_linestyle() != "None":
            pieces = _pieces(path)
            boxes, costs = boxes + pieces, costs + [_LINE] * len(pieces)
    for collection in ax.collections:
        if isinstance(collection, LineCollection):  # bars of intervals
            for segment in collection.get_segments():
                pieces = _pieces(collection.get_transform().transform(segment))
                boxes, costs = boxes + pieces, costs + [_BAR] * len(pieces)
    return np.array(boxes).reshape(-1, 4), np.array(costs)


def _pieces(path: Any) -> list[tuple[float, ...]]:
    """A line in pixels as boxes small enough to follow it."""
    found = []
    for a, b in pairwise(path):
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue  # of a row that has no scores
        steps = np.linspace(a, b, min(int(np.hypot(*(b - a)) // _PIECE), 500) + 2)
        found += [(*np.minimum(c, d), *np.maximum(c, d)) for c, d in pairwise(steps)]
    return found


def _meet(a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Whether boxes (A, 4) and (B, 4) overlap: (A, B)."""
    across = (a[:, None, 0] <= b[None, :, 2]) & (b[None, :, 0] <= a[:, None, 2])
    up = (a[:, None, 1] <= b[None, :, 3]) & (b[None, :, 1] <= a[:, None, 3])
    return np.asarray(across & up)
