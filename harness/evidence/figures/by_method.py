"""One line a method and iteration: gold, win rates, or any columns of the table side by side."""

from collections.abc import Sequence
from itertools import groupby

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.evidence.figures.columns import COLUMNS
from harness.evidence.figures.legends import entry, legend_below, legend_inches, picks_of
from harness.evidence.figures.lines import Line, Mark, draw_lines, inches_below, inches_beside, inches_of
from harness.evidence.figures.order import family, name_of, ordered
from harness.evidence.figures.style import (
    FAINT,
    INCHES,
    INK,
    LARGE,
    SMALL,
    STYLE,
    Width,
    colour,
    log_ticks,
    look,
    wrapped,
)
from harness.evidence.markdown import in_range
from harness.evidence.row import Comparison

_NARROW = 0.55  # inches of a panel


@rc_context(STYLE)
def gold_by_method(table: Sequence[Comparison], width: Width) -> Figure:
    """Gold with its interval, best-of-n as a dashed reference; of several fits also what each gave alone."""
    fig = columns_by_method(table, ["gold"], width)
    ax = fig.axes[0]
    for row in table:
        if row.key.method == "best_of_n":
            ax.axvline(row.gold.value, color=colour("best_of_n"), linestyle="--", linewidth=0.9, zorder=0)
    label = f"gold, sd of base samples\n(95% interval, n = {in_range(row.gold.n for row in table)})"
    label = wrapped(label, inches_beside(lines_of(table, ["gold"]), INCHES[width]))
    ax.set_xlabel(label, fontsize=LARGE)
    fig.set_figheight(fig.get_figheight() + inches_below(label) - inches_below(""))
    return fig


def win_rates(table: Sequence[Comparison], width: Width) -> Figure:
    """Share of prompts won over best-of-n and over base, and mean gold."""
    rows = [row for row in table if row.key.method != "base"] or table
    return columns_by_method(rows, ["win_rate_over_best_of_n", "win_rate_over_base", "gold"], width)


@rc_context(STYLE)
def columns_by_method(table: Sequence[Comparison], columns: Sequence[str], width: Width) -> Figure:
    """A panel a column of `COLUMNS`, one line a method and iteration, the picks of one side by side."""
    lines, keys = lines_of(table, columns), [row.key for row in table]
    handles = picks_of(keys)
    if any(mark.each for line in lines for mark in line.marks):
        handles = [*handles, entry("each fit alone", color=INK, marker="|")]
    inches = inches_beside(lines, INCHES[width]) / len(columns)
    titles = [wrapped(COLUMNS[name].title, inches, SMALL) for name in columns]
    below = max(map(inches_below, titles)) + legend_inches(handles, width)
    fig = Figure(figsize=(INCHES[width], inches_of(lines) + below), layout="constrained")
    axes = fig.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    draw_lines(axes, lines)
    for ax, name, title in zip(axes, columns, titles, strict=True):
        column = COLUMNS[name]
        if column.level is not None:
            ax.axvline(column.level, **FAINT)
        if column.log and _several_decades(table, name):
            ax.set_xscale("log")
            low, high = ax.get_xlim()
            ticks = log_ticks(low, high, max(int(inches / 0.5), 1))
            ax.set_xticks(ticks, [f"{tick:,.10g}" for tick in ticks])
            ax.minorticks_off()
        else:
            ax.xaxis.set_major_locator(MaxNLocator(max(int(inches / 0.4), 1), steps=[1, 2, 2.5, 5, 10]))
            if inches < _NARROW:
                low, high = ax.get_xlim()
                inside = [tick for tick in ax.get_xticks() if low <= tick <= high]
                ax.set_xticks(inside[:: max(len(inside) - 1, 1)])
        if column.share:
            ax.set_xlim(0, 100)
            ax.set_xticks([0, 50, 100] if inches > _NARROW else [0, 100])
        ax.set_xlabel(title, fontsize=SMALL)
    legend_below(fig, handles)
    return fig


def lines_of(table: Sequence[Comparison], columns: Sequence[str]) -> list[Line]:
    """The lines of a table: rows that differ in the pick alone share one."""
    iterations: dict[str, set[int]] = {}
    for row in table:
        iterations.setdefault(row.key.method, set()).add(row.key.iteration)
    lines = []
    for (method, _), group in groupby(ordered(table), lambda row: (row.key.method, row.key.iteration)):
        rows = list(group)
        name = name_of(rows, len(iterations[method]) > 1)
        lines.append(Line(name, [_mark(row, columns) for row in rows], family(rows[0])))
    return lines


def _mark(row: Comparison, columns: Sequence[str]) -> Mark:
    each = row.over_refits.gold_of_refits if row.over_refits and columns[0] == "gold" else ()
    return Mark(look(row.key), [COLUMNS[name].of(row) for name in columns], each)


def _several_decades(table: Sequence[Comparison], name: str) -> bool:
    values = [mean.value for row in table if (mean := COLUMNS[name].of(row)) is not None]
    return bool(values) and min(values) > 0 and max(values) > 20 * min(values)
