"""`harness align`: the whole job, from prompts and a grader to a folder that answers new prompts and a verdict."""

import argparse
from pathlib import Path

import shtab

from harness.cli.command import Command
from harness.cli.options import add_job_options, completed, read_all_again


def add_options(parser: argparse.ArgumentParser) -> None:
    add_job_options(parser)
    help_ = "folder of the aligned model and its report.md"
    completed(parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=help_), shtab.DIRECTORY)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, what it costs, and do nothing")
    help_ = "answer held-out prompts until the gain is known to +- so many sd of gold, e.g. 0.05"
    parser.add_argument("--until", type=float, metavar="WIDTH", help=help_)
    parser.add_argument("--replace", action="store_true", help="in place of another aligned model in DIR")


def run(arguments: argparse.Namespace) -> int:
    from harness.running.options import read_options

    read_all_again(arguments)
    options = read_options(arguments)
    options.require_for_several("align")
    from harness.serve.align_file import align_file, preview_alignment, show_aligned

    if arguments.dry_run:
        from harness.running.preview_screen import show_preview

        show_preview(preview_alignment(options.request, options.workspace, arguments.until))
        return 0
    made = align_file(options.request, options.workspace, arguments.out, arguments.replace, arguments.until)
    show_aligned(made)
    return 0 if made.gains else 1


COMMAND = Command(
    "align",
    "a model by your prompts and grader",
    "align --data prompts.jsonl --grader checks.py --out aligned",
    add_options,
    run,
)
