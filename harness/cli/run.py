"""`harness run`: fit methods, evaluate them on the same prompts, write tables and figures."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_run_options, read_all_again, say_where


def add_options(parser: argparse.ArgumentParser) -> None:
    add_run_options(parser)
    parser.add_argument("--only", action="store_true", default=None, help="leave base and best_of_n out unless named")
    parser.add_argument("--name", help="what to call it, wherever a RUN is asked for; changes nothing else")
    parser.add_argument("--fresh", action="store_true", default=None, help="recompute without the cache and compare")


def run(arguments: argparse.Namespace) -> None:
    from harness.running.options import read_options

    read_all_again(arguments)
    options = read_options(arguments)  # without torch: what is mistyped is answered at once
    say_where(options.workspace.out)
    from harness.running.config import resolve

    if arguments.dry_run:
        from harness.running.preview import preview
        from harness.running.preview_screen import show_preview

        show_preview(preview(resolve(options.request), options.workspace, options.fresh))
        return
    from harness.running.run import run_and_report

    run_and_report(resolve(options.request), options.workspace, options.fresh)


COMMAND = Command(
    "run",
    "fit methods and compare them",
    "run --task toy",
    add_options,
    run,
)
