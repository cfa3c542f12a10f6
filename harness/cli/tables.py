"""How tables reach the screen: as wide as the terminal and no wider; where there is none, a line a row, uncut.

table = made_table("run", "task")
table.add_row(cell("toy-3f2a90c1d7"), cell("toy"))
show(table)
"""

import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from harness.core.printable import printable

_USUAL = 80
_UNCUT = 10_000  # columns where nobody looks: what reads a pipe wants a row on a line


def made_table(
    *columns: str, whole: Sequence[str] = (), most: Mapping[str, int] = MappingProxyType({}), gap: int = 2
) -> Table:
    """An empty table with `gap` blanks between columns.

    The cells of columns in `whole` are never broken; on a terminal those in `most` are so wide at most, for the others.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for name in columns:
        width = most.get(name) if sys.stdout.isatty() else None
        table.add_column(name, no_wrap=name in whole, max_width=width, overflow="fold")
    return table


def is_narrow() -> bool:
    """Whether this is a terminal of fewer columns than the usual 80, where a table must leave something out."""
    return sys.stdout.isatty() and Console().width < _USUAL


def cell(text: str, style: str = "") -> Text:
    """Text of anybody's for the screen."""
    return Text(printable(text), style=style)


def show(*parts: RenderableType) -> None:
    """Print tables and texts one below the other. Colours are the terminal's; NO_COLOR is heeded."""
    if sys.stdout.isatty():
        console = Console(highlight=False, markup=False, emoji=False)
        console.print(*parts, sep="\n")
        return
    console = Console(width=_UNCUT, highlight=False, markup=False, emoji=False, color_system=None)
    with console.capture() as made:
        console.print(*parts, sep="\n")
    print("\n".join(line.rstrip() for line in made.get().rstrip("\n").split("\n")))
