"""The leaderboard: gold with its interval, one line a method, iteration and settings, a panel a section."""

from collections.abc import Sequence
from itertools import groupby

from matplotlib import rc_context
from matplotlib.figure import Figure

from harness.evidence.figures.legends import legend_below, legend_inches, picks_of
from harness.evidence.figures.lines import Line, Mark, draw_lines, inches_below, inches_beside, inches_of
from harness.evidence.figures.order import family, name_of, ordered_by
from harness.evidence.figures.style import FAINT, INCHES, STYLE, Width, look, wrapped
from harness.evidence.leaderboard_row import Entry

_GOLD = "gold, sd of base samples\n(95% interval)"


@rc_context(STYLE)
def leaderboard(entries: Sequence[Entry], width: Width) -> Figure:
    """Gold of every row of the first table; a line says so where there is none."""
    panels: dict[str, list[Entry]] = {}
    for entry in entries:
        panels.setdefault(entry.title, []).append(entry)
    drawn = {title: _lines(panel) for title, panel in panels.items()}
    if not drawn:
        fig = Figure(figsize=(INCHES[width], 1), layout="constrained")
        fig.text(0.5, 0.5, "no run stands in the first table yet", ha="center", va="center")
        return fig
    beside = inches_beside([line for lines in drawn.values() for line in lines], INCHES[width])
    drawn = {wrapped(title, beside): lines for title, lines in drawn.items()}
    heights = [inches_of(lines) for lines in drawn.values()]
    handles = picks_of([entry.row.key for entry in entries])
    around = sum(0.45 + 0.15 * title.count("\n") for title in drawn) + inches_below(_GOLD)
    height = sum(heights) + around + legend_inches(handles, width)
    fig = Figure(figsize=(INCHES[width], height), layout="constrained")
    axes = fig.subplots(len(drawn), squeeze=False, height_ratios=heights)[:, 0]
    for ax, (title, lines) in zip(axes, drawn.items(), strict=True):
        draw_lines([ax], lines)
        ax.axvline(0, **FAINT)
        ax.set_title(title, loc="left", fontsize=STYLE["axes.titlesize"])
    axes[-1].set_xlabel(wrapped(_GOLD, beside))
    legend_below(fig, handles)
    return fig


def _lines(panel: Sequence[Entry]) -> list[Line]:
    """Lines of one section; rows that differ in the pick alone share one."""
    iterations: dict[str, set[int]] = {}
    for entry in panel:
        iterations.setdefault(entry.row.key.method, set()).add(entry.row.key.iteration)
    rows = ordered_by(panel, lambda entry: entry.row, lambda entry: f"{entry.settings_hash} {entry.run_id}")
    lines = []
    for _, group in groupby(rows, lambda entry: (entry.row.key[:2], entry.settings_hash, entry.run_id)):
        same = list(group)
        key = same[0].row.key
        name = name_of([entry.row for entry in same], len(iterations[key.method]) > 1)
        marks = [Mark(look(entry.row.key), [entry.row.gold]) for entry in same]
        lines.append(Line(name + (", tuned" if same[0].is_tuned else ""), marks, family(same[0].row)))
    return lines
