"""The program: its commands, how they are read, and what each kind of failure prints and exits with.

python -m harness run --method iro
python -m harness report imdb-3f2a
python -m harness list
"""

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import shtab

import harness
from harness.cli import (
    ablate,
    bench,
    generate,
    judge,
    leaderboard,
    listing,
    name,
    report,
    rewards,
    run,
    runs,
    tune,
    view,
)
from harness.cli.command import Command
from harness.core.errors import UserError
from harness.core.registry import require_one_checkout

_UNWRITABLE = {
    errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EPERM, errno.ENAMETOOLONG,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0: it worked, 1: a check found something, 2: a mistake that the user can mend, 130: Ctrl-C.

    141 where nobody reads what is printed any more, as `harness list | head -1` leaves it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 lacks letters of texts
    try:
        try:
            return _answer(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # python flushes once more when it ends
        return 141


def parser(program: str = "python -m harness") -> argparse.ArgumentParser:
    """What reads the words of a command; `command` of what it returns does it."""
    made = argparse.ArgumentParser(prog=program, description=str(harness.__doc__).splitlines()[0])
    made.add_argument("--version", action="version", version=f"iro-harness {harness.__version__}")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        options = commands.add_parser(command.name, help=command.help)
        command.add_options(options)
        options.set_defaults(command=command.run)
    return made


def _answer(argv: Sequence[str] | None) -> int:
    arguments = parser(_program()).parse_args(argv)
    try:
        require_one_checkout()
        return arguments.command(arguments) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted. Finished batches are kept: run the same command again to go on.", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        print(
            f"error: cannot write {error.filename or 'a file'}: {error.strerror}. Mend that (HARNESS_CACHE and "
            "--out name other folders) and run the same command again; finished batches are kept.",
            file=sys.stderr,
        )
        return 2


def _program() -> str:
    """How the command was called: by its own name, or as a module."""
    return "harness" if Path(sys.argv[0]).stem == "harness" else "python -m harness"


def _add_completion_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _complete(arguments: argparse.Namespace) -> None:
    print(shtab.complete(parser("harness"), arguments.shell))


COMPLETION = Command(
    "completion", "what a shell needs to complete the command `harness`", "completion bash",
    _add_completion_options, _complete,
)  # fmt: skip

COMMANDS = (
    run.COMMAND, ablate.COMMAND, tune.COMMAND, generate.COMMAND, runs.COMMAND, name.COMMAND, report.COMMAND,
    view.COMMAND, judge.COMMAND, leaderboard.COMMAND, bench.COMMAND, rewards.COMMAND, listing.COMMAND, COMPLETION,
)  # fmt: skip
