"""`harness grade`: what a grader makes of base samples, before anything is fitted."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_job_options, read_all_again, say_where


def add_options(parser: argparse.ArgumentParser) -> None:
    add_job_options(parser)


def run(arguments: argparse.Namespace) -> int:
    from harness.running.options import read_options

    read_all_again(arguments)
    options = read_options(arguments)
    say_where(options.workspace.out)
    from harness.evidence.terminal import Terminal
    from harness.running.config import resolve
    from harness.running.grading import graded
    from harness.running.grading_screen import show_graded
    from harness.running.preview import preview
    from harness.running.preview_screen import cost_of, show_unknown, time_of

    config, screen = resolve(options.request), Terminal()
    found = graded(config, options.workspace)
    show_graded(found, screen)
    if found.problems:
        return 1
    ahead = preview(config, options.workspace)
    screen.say_after("cost", cost_of(ahead))
    screen.say_after("time", time_of(ahead))
    show_unknown(ahead, screen)
    return 0


COMMAND = Command(
    "grade",
    "a grader on base samples, first",
    "grade --data prompts.jsonl --grader checks.py",
    add_options,
    run,
)
