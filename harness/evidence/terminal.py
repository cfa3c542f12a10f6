"""Text on a terminal, by rich: nothing wider than it is, colour where it is one, plain lines where it is none.

screen = Terminal()                                     # stdout
screen.say("imdb-3f2a", "300 test prompts")             # words, wrapped
screen.show(grid([Column("method", names), Column("gold (sd)", golds)], screen.width))

What comes from files and models is printed as it is read, with what would steer a terminal as its code.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from harness.core.printable import printable
from harness.core.statistics.stats import Estimate

USUAL_WIDTH = 80  # where nothing says how wide a page is
_NARROWEST, _WIDEST = 7, 28  # cells of a plot
_WRAPPED = 24  # cells of a column that wraps, at least


class Terminal:
    """Where a command prints what it found."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = sys.stdout if file is None else file
        is_one = self._file.isatty()
        self._console = Console(
            file=self._file,
            width=None if is_one else _columns(),
            force_terminal=is_one,
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def width(self) -> int:
        return self._console.width

    @property
    def is_plain(self) -> bool:
        """Whether it takes no more than ASCII."""
        return not self._console.encoding.startswith("utf")

    def say(self, text: str, style: str = "") -> None:
        """Words in as many lines as they need; a word that is wider than a line is broken."""
        self.show(Text(one_line(text), style, overflow="fold"))

    def say_after(self, label: str, text: str, style: str = "") -> None:
        """The same behind a label, further lines below the first word."""
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row(Text(label, "dim"), Text(one_line(text), style))
        self.show(table)

    def show(self, what: RenderableType) -> None:
        with self._console.capture() as captured:
            self._console.print(what)
        lines = captured.get().splitlines()  # without the blanks that rich fills lines up with
        self._file.write("".join(f"{line.rstrip()}\n" for line in lines))
        self._file.flush()


@dataclass(frozen=True)
class Column:
    """Of a grid. Where the terminal is too narrow, `shorter` stands for `cells`, then what `may_go` is left out."""

    title: str
    cells: Sequence[str]
    shorter: Sequence[str] | None = None
    is_text: bool = False  # to the left, and not a number to the right
    wraps: bool = False  # into several lines, so that others need not
    may_go: bool = False


def grid(
    columns: Sequence[Column],
    width: int,
    plotted: Sequence[Estimate] = (),
    best: int | None = None,
    plain: bool = False,
) -> Table:
    """A table that fits `width`: with a plot of `plotted` behind the first column where there is room for one.

    At last rich cuts what is still too wide. Row `best` stands out.
    """
    fewest = _NARROWEST if plotted else -1  # cells that a plot needs
    for shortened in (False, True):
        columns = [_shortened(column) for column in columns] if shortened else columns
        room = width - sum(_width(column) + 1 for column in columns)
        if room >= fewest:
            break
    while room < -1 and (dispensable := [column for column in columns if column.may_go]):
        columns = [column for column in columns if column is not dispensable[-1]]
        room += _width(dispensable[-1]) + 1
    gap = int(room - len(columns) >= 2 * fewest)  # a second blank between columns, where a plot keeps its room
    room -= gap * len(columns)
    table = Table(box=_RULE_ASCII if plain else _RULE, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for i, column in enumerate(columns):
        side: JustifyMethod = "left" if column.is_text else "right"
        table.add_column(Text(column.title, "bold"), justify=side, no_wrap=not column.wraps, overflow="ellipsis")
        if i == 0 and plotted and room >= _NARROWEST:
            table.add_column("", no_wrap=True)
    plots = intervals(plotted, min(room, _WIDEST), plain) if plotted and room >= _NARROWEST else []
    for i in range(len(columns[0].cells)):
        cells = [Text(one_line(column.cells[i])) for column in columns]
        if plots:
            cells.insert(1, Text(plots[i], "cyan"))
        table.add_row(*cells, style="bold green" if i == best else "")
    return table


def intervals(estimates: Sequence[Estimate], width: int, plain: bool = False) -> list[str]:
    """Each estimate as `width` cells: its interval as a line, its value a dot, and zero where the axis holds it."""
    line, dot, zero = "-o:" if plain else "─●┊"
    known = [x for of in estimates for x in (of.value, of.low, of.high) if not isnan(x)]
    if not known:
        return [" " * width] * len(estimates)
    low, high = min(known), max(known)

    def place(x: float) -> int:
        return round((x - low) / (high - low) * (width - 1)) if high > low else (width - 1) // 2

    drawn = []
    for of in estimates:
        cells = [" "] * width
        if low <= 0 <= high:
            cells[place(0.0)] = zero
        if not isnan(of.low):
            cells[place(of.low) : place(of.high) + 1] = line * (place(of.high) - place(of.low) + 1)
        if not isnan(of.value):
            cells[place(of.value)] = dot
        drawn.append("".join(cells))
    return drawn


def one_line(text: str) -> str:
    """The text with blanks for line ends and tabs, and what could steer a terminal as its code."""
    return printable("".join(" " if c.isspace() else c for c in text))


_RULE = box.Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
_RULE_ASCII = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def _columns() -> int:
    """The width of what is no terminal: COLUMNS, as a shell may export it."""
    said = os.environ.get("COLUMNS", "")
    return max(20, int(said)) if said.isdecimal() else USUAL_WIDTH


def _shortened(column: Column) -> Column:
    return column if column.shorter is None else replace(column, cells=column.shorter)


def _width(column: Column) -> int:
    widest = max(cell_len(one_line(text)) for text in (column.title, *column.cells))
    return min(widest, _WRAPPED) if column.wraps else widest
