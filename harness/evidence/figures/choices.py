"""Gold at values that have no order, one below the other, and at every pair of values of two axes."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from harness.core.statistics.stats import Estimate
from harness.evidence.figures.along import Drawn
from harness.evidence.figures.legends import MOST, iterations_of, legend_below, legend_inches, methods_of, picks_of
from harness.evidence.figures.lines import Line, Mark, draw_lines, inches_below, inches_of
from harness.evidence.figures.style import INCHES, SMALL, STYLE, Width, letters, look, shade, wrapped
from harness.evidence.names import display_name

_NAMES = 1.2  # inches


@rc_context(STYLE)
def gold_by_choice(rows: Sequence[Drawn], axis: str, width: Width) -> Figure:
    """Gold with its interval at each value of an axis that has no order; rows of one value stand one below another."""
    shown = [row for row in rows if row.key.method != "base"]
    last = max(row.key.iteration for row in shown)
    keys = [row.key for row in shown]
    handles = [*methods_of(keys), *picks_of(keys), *iterations_of(keys)]
    is_named = len(handles) > MOST  # then methods have lines of their own
    lines = []
    for (value, name), group in groupby(
        shown, lambda row: (str(row.value), display_name(row.key.method) if is_named else "")
    ):
        marks = [Mark({**look(row.key), "alpha": shade(row.key.iteration, last)}, [row.mean]) for row in group]
        line = Line(name, marks, value) if is_named else Line(wrapped(value, _NAMES, SMALL), marks)
        lines.append(line)
    handles = handles[len(methods_of(keys)) :] if is_named else handles
    said = f"gold, sd of base samples\n(95% interval, n = {rows[0].mean.n} prompts)"
    height = inches_of(lines) + inches_below(said) + legend_inches(handles, width)
    fig = Figure(figsize=(INCHES[width], height), layout="constrained")
    ax = fig.subplots()
    draw_lines([ax], lines)
    ax.set_ylabel(wrapped(axis, inches_of(lines)))
    ax.set_xlabel(said)
    legend_below(fig, handles)
    return fig


@rc_context(STYLE)
def heat_map(gold: Mapping[tuple[Any, ...], Estimate], labels: Sequence[str], width: Width) -> Figure:
    """Gold at every pair of values of two axes; with its interval where that has room."""
    down, across = (list(dict.fromkeys(point[i] for point in gold)) for i in (0, 1))
    fig = Figure(figsize=(INCHES[width], max(0.36 * len(down) + 0.9, 1.7)), layout="constrained")
    ax = fig.subplots()
    grid = [[gold[a, b].value for b in across] for a in down]
    image = ax.imshow(grid, cmap="cividis", aspect="auto")
    middle = (min(map(min, grid)) + max(map(max, grid))) / 2
    room = letters((INCHES[width] - 1.5) / len(across))
    for i, a in enumerate(down):
        for j, b in enumerate(across):
            ink = "black" if grid[i][j] > middle else "white"
            said = gold[a, b].shown().replace(" ", "\n", 1)
            if max(map(len, said.split("\n"))) > room:
                said = f"{gold[a, b].value:.2f}" if room >= 4 else ""
            ax.text(j, i, said, ha="center", va="center", color=ink, fontsize=SMALL)
    ax.set_yticks(range(len(down)), list(map(str, down)))
    longest = max(len(str(value)) for value in across) + 1
    step = max(-(-longest // room), 1)
    ax.set_xticks(range(0, len(across), step), list(map(str, across[::step])))
    ax.set_ylabel(labels[0])
    ax.set_xlabel(labels[1])
    n = next(iter(gold.values())).n
    fig.colorbar(image, label=f"gold (sd), n = {n}")
    return fig
