"""`harness tune`: search settings of methods on development prompts, as many tries for each."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_run_options, read_all_again, say_where
from harness.core.errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tries", type=int, default=8, help="settings tried for each method (default: 8)")
    parser.add_argument("--most-tries", type=int, help="of a method whose best lies at an end of a range, which then "
                        "grows (default: 3 times --tries)")  # fmt: skip
    parser.add_argument("--iterations", type=int, help="value functions that a try of a method that iterates fits, so "
                        "that it costs less (default: as many as its settings have)")  # fmt: skip
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.running.options import read_options

    if arguments.tries < 1:
        raise UserError(f"--tries {arguments.tries}: give at least 1")
    if arguments.iterations is not None and arguments.iterations < 1:
        raise UserError(f"--iterations {arguments.iterations}: give at least 1, or leave it out")
    read_all_again(arguments)
    options = read_options(arguments)
    options.require_for_several("tune")
    say_where(options.workspace.out)
    from harness.sweeps.tune import most_tries, preview_tuning, tune

    if arguments.dry_run:
        from harness.running.preview_screen import show_previews, tries_in_words

        most = most_tries(arguments.tries, arguments.most_tries)
        found = preview_tuning(options.request, options.workspace, arguments.iterations)
        show_previews("method", found, [tries_in_words(found, arguments.tries, most)])
        return

    tries, most = arguments.tries, arguments.most_tries
    if (folder := tune(tries, most, options.request, options.workspace, arguments.iterations)) is not None:
        from harness.evidence.screens import show_tuning

        show_tuning(folder)


COMMAND = Command(
    "tune",
    "search the settings of methods",
    "tune --task toy --tries 2",
    add_options,
    run,
)
