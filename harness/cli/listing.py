"""`harness list`: methods, tasks, their settings, defaults and sources."""

import argparse

from harness.cli.command import Command


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", help="of these alone: names or FILE.py:Class, by comma")
    parser.add_argument("--task", help="of this one alone: a name or FILE.py:Class")


def run(arguments: argparse.Namespace) -> None:
    from harness.listing import listing

    print(listing(arguments.method, arguments.task))


COMMAND = Command("list", "methods, tasks, their settings, defaults and sources", "list", add_options, run)
