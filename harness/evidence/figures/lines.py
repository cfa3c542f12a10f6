"""Means with their intervals, one line a name down the page, in one panel or in several side by side.

fig, axes = panels(lines, columns=2, width="column", inches=0.9)
draw_lines(axes, lines)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import isnan
from typing import Any

from matplotlib.axes import Axes

from harness.core.statistics.stats import Estimate
from harness.evidence.figures.style import BARS, INK, letters

LINE = 0.165  # inches
_MARKS = 2  # in the height of a line; more make it higher
_BETWEEN = 0.4  # lines, below one that is higher


@dataclass(frozen=True)
class Mark:
    """A mean in each panel; None: not there."""

    look: dict[str, Any]  # as `errorbar` takes it
    means: Sequence[Estimate | None]
    each: Sequence[float] = ()  # in the first panel, small: of every refit alone


@dataclass(frozen=True)
class Line:
    """A name and what stands beside it: marks that share the line stand one below the other."""

    name: str
    marks: Sequence[Mark]
    heading: str = field(default="")  # lines of one heading follow each other; it has a line of its own

    @property
    def height(self) -> float:
        """In lines."""
        return max(1.0, len(self.marks) / _MARKS + _BETWEEN * (len(self.marks) > _MARKS))


def inches_of(lines: Sequence[Line]) -> float:
    """How high the lines are together."""
    return LINE * (sum(line.height for line in lines) + len(_headings(lines)) + 0.4)


def inches_beside(lines: Sequence[Line], page: float) -> float:
    """How much of a page's width names and headings leave."""
    longest = max(map(len, [*(part for line in lines for part in line.name.split("\n")), *_headings(lines)]), default=0)
    return page - longest / letters(1) - 0.15


def inches_below(label: str) -> float:
    """How much an axis with this label takes below the lines."""
    return 0.3 + 0.14 * len(label.split("\n"))


def draw_lines(axes: Sequence[Axes], lines: Sequence[Line]) -> None:
    """The lines down axes that share them: names at the left of the first, headings above what they hold."""
    y, places, names, headings = 0.0, [], [], []
    shown = _headings(lines)
    for heading, group in groupby(lines, lambda line: line.heading):
        if shown:
            places.append(y)
            names.append(heading)
            headings.append(len(names) - 1)
            y += 1
        for line in group:
            middle = y + (line.height - 1) / 2
            places.append(middle)
            names.append(line.name)
            for i, mark in enumerate(line.marks):
                _draw(axes, mark, middle + (i - (len(line.marks) - 1) / 2) * 0.9 / _MARKS)
            y += line.height
    axes[0].set_yticks(places, names)
    for i in headings:
        axes[0].get_yticklabels()[i].set_alpha(0.6)
    for ax in axes:
        ax.set_ylim(y - 0.4, -0.7)
        ax.tick_params(axis="y", labelleft=ax is axes[0], length=0)


def _headings(lines: Sequence[Line]) -> list[str]:
    """Nothing where all lines stand under one."""
    found = list(dict.fromkeys(line.heading for line in lines))
    return found if len(found) > 1 else []


def _draw(axes: Sequence[Axes], mark: Mark, y: float) -> None:
    for ax, mean in zip(axes, mark.means, strict=True):
        if mean is None or isnan(mean.value):
            continue
        error = None if isnan(mean.low) else [[mean.value - mean.low], [mean.high - mean.value]]
        ax.errorbar(mean.value, y, xerr=error, **BARS, **mark.look)
    for value in mark.each:
        axes[0].plot(value, y, "|", color=INK, markersize=5, markeredgewidth=0.8, zorder=3)
