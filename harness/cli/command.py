"""What a command is: a name, a line of help, an example, its options, and the function that does it.

COMMAND = Command("list", "what can be run and set", "list iro", add_options, run)  # one in each file of this folder
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """`run` returns the exit code, None for 0; heavy imports are inside it, since --help loads every command."""

    name: str
    help: str
    example: str  # its words after the name of the program; a test runs each
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]
