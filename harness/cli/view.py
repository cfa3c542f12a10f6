"""`harness view`: all stored runs, or one with every answer, as a page in the browser."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_out
from harness.evidence.page.command import add_view_options, view


def add_options(parser: argparse.ArgumentParser) -> None:
    add_view_options(parser)
    add_out(parser)


COMMAND = Command(
    "view", "all stored runs, or one with every answer, as a page in the browser", "view", add_options, view
)
