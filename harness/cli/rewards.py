"""`harness rewards`: the rewards that ship with the task imdb, and how to train them anew."""

import argparse
from pathlib import Path

import shtab

from harness.cli.command import Command
from harness.cli.options import add_out, completed
from harness.core.files import cache_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rebuild", action="store_true", help="train them anew, and say how far both agree")
    help_ = "write the rebuilt ones there, as rewards ship"
    completed(parser.add_argument("--export", type=Path, metavar="FOLDER", help=help_), shtab.DIRECTORY)
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.running.rewards import rebuild, require_rebuild, shown

    require_rebuild(arguments.rebuild, arguments.export)
    print(rebuild(arguments.out, cache_folder(), arguments.export) if arguments.rebuild else shown())


COMMAND = Command("rewards", "the rewards that ship with imdb", "rewards", add_options, run)
