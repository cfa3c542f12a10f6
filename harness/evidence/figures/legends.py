"""What marks mean: at most eight entries below a figure, which name methods, iterations and picks apart.

legend_below(fig, [*methods_of(keys), *picks_of(keys)])
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.evidence.figures.style import FILLINGS, INCHES, INK, ONE_TEXT, PICKS, Width, colour, letters, marker
from harness.evidence.names import display_name
from harness.evidence.schema import Row

MOST = 8  # entries; what is more is told from direct labels
DASHES = ("-", "--", ":", "-.")  # of the last iteration, the one before it, ...
_ROW = 0.16  # inches
_HANDLE = 6  # letters that the handle of an entry and the space beside it take


def methods_of(keys: Sequence[Row]) -> list[Line2D]:
    """An entry a method: its colour and its marker."""
    methods = dict.fromkeys(key.method for key in keys)
    return [entry(display_name(method), color=colour(method), marker=marker(method)) for method in methods]


def picks_of(keys: Sequence[Row]) -> list[Line2D]:
    """An entry a final pick, where methods that have several of them show more than one."""
    shown = dict.fromkeys(key.final_pick for key in keys if key.method not in ONE_TEXT)
    several = [pick for pick in PICKS if pick in shown] if len(shown) > 1 else []
    return [entry(PICKS[pick], color=INK, marker="o", fillstyle=FILLINGS[pick]) for pick in several]


def iterations_of(keys: Sequence[Row]) -> list[Line2D]:
    """An entry that says how earlier iterations look, where there are some."""
    iterations = {key.iteration for key in keys} - {0}
    earlier = [entry("earlier iteration", color=INK, marker="o", alpha=0.5)]
    return earlier if len(iterations) > 1 else []


def dashes_of(keys: Sequence[Row]) -> list[Line2D]:
    """An entry a dash of lines: one for each iteration that has its own."""
    iterations = sorted({key.iteration for key in keys} - {0}, reverse=True)
    named = {dash_of(iteration, iterations[0]): iteration for iteration in reversed(iterations)}
    entries = []
    for dash in reversed(named):
        upto = "" if dash != DASHES[-1] or named[dash] == iterations[-1] else " and earlier"
        entries.append(entry(f"iteration {named[dash]}{upto}", color=INK, linestyle=dash))
    return entries[::-1] if len(iterations) > 1 else []


def dash_of(iteration: int, last: int) -> str:
    """How the line of an iteration is dashed; the last one's is whole."""
    return DASHES[min(last - iteration, len(DASHES) - 1)] if iteration else DASHES[0]


def legend_below(fig: Figure, handles: Sequence[Any]) -> None:
    """The entries below the figure, in as many columns as its width holds; of too many the last says how many more."""
    if len(handles) > MOST:
        handles = [*handles[: MOST - 1], entry(f"and {len(handles) - MOST + 1} more")]
    if handles:
        columns = _columns(handles, fig.get_size_inches()[0])
        fig.legend(handles=list(handles), loc="outside lower center", ncols=columns)


def legend_inches(handles: Sequence[Any], width: Width) -> float:
    """How high the legend of a figure will be."""
    return _ROW * -(-len(handles) // _columns(handles, INCHES[width])) + 0.1 if handles else 0.0


def _columns(handles: Sequence[Any], inches: float) -> int:
    widest = max(len(str(handle.get_label())) for handle in handles) + _HANDLE
    return min(max(letters(inches) // widest, 1), len(handles))


def entry(name: str, **drawn: Any) -> Line2D:
    return Line2D([], [], **{"linestyle": "none", "label": name, "markeredgewidth": 0.9, **drawn})
