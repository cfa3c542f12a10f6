"""`harness leaderboard`: one table of all stored runs, without torch."""

import argparse
import sys
from pathlib import Path

import shtab

from harness.cli.command import Command
from harness.cli.options import add_out, completed
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.printable import printable


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 where the files are out of date"
    )
    parser.add_argument("--rescore", type=int, metavar="N", help="score N stored completions of each task once more")
    help_ = "write it there for the hub: a model card and files of results"
    completed(parser.add_argument("--export", type=Path, metavar="FOLDER", help=help_), shtab.DIRECTORY)
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.rescore is not None:
        return _rescore(arguments)
    from harness.evidence.leaderboard import board_of, difference, write_leaderboard

    if arguments.export is not None:
        from harness.evidence.leaderboard_export import export

        print(export(board_of(arguments.out).shown, arguments.export))
        return 0
    if arguments.check:
        found = difference(arguments.out)
        print(printable(found) if found else f"the leaderboard in {arguments.out} is what its runs give")
        return 1 if found else 0
    path = write_leaderboard(arguments.out)
    print(printable(path.read_text(encoding="utf-8")))
    for folder, why in board_of(arguments.out).left_out.items():
        print(printable(f"left out: {folder}: {why}"), file=sys.stderr)
    return 0


def _rescore(arguments: argparse.Namespace) -> int:
    from harness.running.rescore import TOLERANCE, rescore

    if arguments.rescore < 1:
        raise UserError(f"--rescore {arguments.rescore}: give at least 1")
    found = rescore(arguments.out, arguments.rescore, cache_folder())
    print(printable("\n".join(map(str, found))))
    return 1 if max(task.largest for task in found) > TOLERANCE else 0


COMMAND = Command("leaderboard", "one table of all stored runs", "leaderboard", add_options, run)
