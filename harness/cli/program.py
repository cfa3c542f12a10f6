"""The program: its commands, how they are read, and what each kind of failure prints and exits with.

python -m harness run --method iro
python -m harness report imdb-3f2a
python -m harness list
"""

import argparse
import io
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import NoReturn

import shtab

import harness
from harness.cli import (
    ablate,
    align,
    bench,
    cache,
    compare,
    export,
    figure,
    generate,
    grade,
    import_,
    judge,
    leaderboard,
    listing,
    lm_eval,
    name,
    plan,
    report,
    rewards,
    run,
    runs,
    score,
    serve,
    tax,
    tune,
    view,
)
from harness.cli.command import Command
from harness.cli.standard_streams import open_streams, print_no_more
from harness.core.errors import UserError, unknown
from harness.core.printable import printable
from harness.core.registry import require_one_checkout
from harness.core.unwritable import unwritable

ABOUT = str(harness.__doc__).splitlines()[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0: it worked, 1: a check found something, 2: a mistake that the user can mend, 130: Ctrl-C.

    141 where nobody reads what is printed any more, as `harness list | head -1` leaves it; 143 where it is asked to end
    (SIGTERM), by a launcher whose other process died, or by a queue whose time is up.
    """
    open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 lacks letters of texts
    code = 0
    try:
        try:
            code = _answer(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        print_no_more()
        return 141
    except OSError as error:
        if (what := unwritable(error)) is None:
            raise
        print_no_more()
        if code == 0:  # else that is said already
            with suppress(OSError):
                print(f"error: what is printed here cannot be written: {printable(what)}", file=sys.stderr)
        return 2
    return code


class Parser(argparse.ArgumentParser):
    """What reads the words of a command; a word that it cannot read is a mistake like any other."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `{self.prog} --help` shows what it takes")


def parser(program: str = "python -m harness") -> argparse.ArgumentParser:
    """What reads the words of every command; `command` of what it returns is the `Command`, None without one."""
    made = Parser(prog=program, description=ABOUT)
    made.add_argument("--version", action="version", version=f"iro-harness {harness.__version__}")
    made.set_defaults(command=None)
    commands = made.add_subparsers(metavar="COMMAND")
    for command in COMMANDS:
        options = commands.add_parser(
            command.name, help=command.help, description=command.help, epilog=f"example: {program} {command.example}"
        )
        command.add_options(options)
        options.set_defaults(command=command, options=options)
    return made


def _answer(argv: Sequence[str] | None) -> int:
    try:
        arguments = _read(sys.argv[1:] if argv is None else argv)
        if arguments.command is None:
            from harness.cli.overview import show_overview

            show_overview(_program(), ABOUT, GROUPS)
            return 0
        require_one_checkout()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)
        return arguments.command.run(arguments) or 0
    except UserError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        asked = isinstance(stopped, _Terminated)
        how = "terminated" if asked else "interrupted"
        print(f"\n{how}. Finished batches are kept: run the same command again to go on.", file=sys.stderr)
        return 143 if asked else 130
    except Exception as error:
        if (what := unwritable(error)) is None:
            raise
        print(
            f"error: cannot read or write {printable(what)}. Mend that (HARNESS_CACHE and --out name other folders) "
            "and run the same command again; finished batches are kept.",
            file=sys.stderr,
        )
        return 2


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which leaves no half-written files behind, as Ctrl-C does."""


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # who asks twice does not want to wait
    raise _Terminated


def _read(words: Sequence[str]) -> argparse.Namespace:
    """The arguments. Raises UserError, with the nearest, for a command or an option that does not exist."""
    names = [command.name for command in COMMANDS]
    named = next((word for word in words if not word.startswith("-")), None)
    if named is not None and named not in names:
        raise unknown("command", named, names)
    arguments, rest = parser(_program()).parse_known_args(words)
    if rest and arguments.command is None:
        raise UserError(f"unknown option {rest[0]!r}; `{_program()} --help` shows what there is")
    if rest:
        options = arguments.options
        option = next((word for word in rest if word.startswith("-")), rest[0]).partition("=")[0]
        near = get_close_matches(option, options._option_string_actions, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{named} takes no {option!r}.{hint} `{options.prog} --help` shows what it takes")
    return arguments


def _program() -> str:
    """How the command was called: by its own name, or as a module."""
    return "harness" if Path(sys.argv[0]).stem == "harness" else "python -m harness"


def _add_completion_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _complete(arguments: argparse.Namespace) -> None:
    print(shtab.complete(parser("harness"), arguments.shell))


COMPLETION = Command(
    "completion", "what a shell completes commands by", "completion bash",
    _add_completion_options, _complete,
)  # fmt: skip

GROUPS = {
    "Make": (run.COMMAND, plan.COMMAND, ablate.COMMAND, tune.COMMAND, generate.COMMAND, serve.COMMAND),
    "Your data": (grade.COMMAND, align.COMMAND),
    "Look": (
        runs.COMMAND,
        report.COMMAND,
        view.COMMAND,
        export.COMMAND,
        figure.COMMAND,
        leaderboard.COMMAND,
        name.COMMAND,
    ),
    "Judge": (judge.COMMAND, score.COMMAND, compare.COMMAND, import_.COMMAND, lm_eval.COMMAND, tax.COMMAND),
    "Tools": (listing.COMMAND, cache.COMMAND, bench.COMMAND, rewards.COMMAND, COMPLETION),
}
COMMANDS = tuple(chain(*GROUPS.values()))
