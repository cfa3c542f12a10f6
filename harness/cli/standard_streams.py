"""What a command reads and prints to, where whoever started it has closed that, or it takes no more.

open_streams()        # stdin, stdout and stderr that are closed are empty from now on
print_no_more()       # after a full disk or a broken pipe: Python prints what is left once more when it ends
"""

import os
import sys

_NAMES = {"stdin": "r", "stdout": "w", "stderr": "w"}  # in the order of their numbers


def open_streams() -> None:
    """Let a stream that is closed, as `harness runs >&-` leaves it, read and write nothing.

    Their numbers are taken, too: else the next file that is opened would have one, and get what others print.
    """
    for number, (name, mode) in enumerate(_NAMES.items()):
        if getattr(sys, name) is None:
            _take(number)
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # as long as the process


def print_no_more() -> None:
    """Throw away what waits to be printed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _take(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        nothing = os.open(os.devnull, os.O_RDWR)
        if nothing != number:
            os.dup2(nothing, number)
            os.close(nothing)
