"""What the program says when it is called without a command: the commands by what one wants, with examples."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from harness.cli.command import Command
from harness.cli.tables import cell, is_narrow, show


def show_overview(program: str, about: str, groups: Mapping[str, Sequence[Command]]) -> None:
    """A line a command: its example, to be copied as it stands, and what it does."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold", no_wrap=not is_narrow())  # to be copied
    grid.add_column(overflow="fold")
    for group, commands in groups.items():
        grid.add_row(cell(group, style="bold"))
        for command in commands:
            grid.add_row(cell(f"  {program} {command.example}", style="cyan"), cell(command.help))
    last = f"Options: {program} COMMAND --help. `latest` is the newest run; a path, an id or a name does as well."
    show(cell(about), "", grid, "", cell(last))
