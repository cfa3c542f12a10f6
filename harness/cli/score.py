"""`harness score`: a new grader on the answers of a stored run."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_out, completed, say_report


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="path, id or its beginning, name, or latest")
    help_ = "FILE.py:function, OpenAI's JSON, a weighted list"
    completed(parser.add_argument("--grader", required=True, help=f"what its answers are scored by: {help_}"))
    help_ = "the file of its prompts, where graders read their rows (default: that of its command)"
    completed(parser.add_argument("--data", metavar="FILE", help=help_))
    parser.add_argument("--endpoint", default="", help="where graders ask chat models, a URL up to /v1")
    parser.add_argument("--key-variable", default="", help="environment variable of its key")
    parser.add_argument("--dry-run", action="store_true", help="say what would be graded, and grade nothing")
    parser.add_argument("--full", action="store_true", help="print the whole report.md instead of a screen of it")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.core.files import cache_folder
    from harness.evidence.foreign import foreign
    from harness.evidence.screens import show_scores
    from harness.evidence.terminal import Terminal
    from harness.running.score_run import Asked, prospect, score_run

    asked = Asked(arguments.grader, arguments.data, arguments.endpoint, arguments.key_variable)
    found = prospect(arguments.out, arguments.run, asked, cache_folder())
    if arguments.dry_run:
        for line in found.said:
            Terminal().say(line)
        return
    folder = score_run(found)
    with foreign(folder, what="a folder of scores"):
        say_report(folder / "report.md", show_scores, arguments.full)


COMMAND = Command(
    "score",
    "a new grader on old answers",
    "score latest --grader checks.py",
    add_options,
    run,
)
