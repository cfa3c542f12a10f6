"""`harness import`: answers of any other system beside a stored run, graded as the run's own were."""

import argparse
import sys
from pathlib import Path

import shtab

from harness.cli.command import Command
from harness.cli.options import add_benchmark_options, add_file_options, add_key_option, add_out, completed
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.printable import printable


def add_options(parser: argparse.ArgumentParser) -> None:
    help_ = (
        "answers: rows with a prompt or its id and a response (.jsonl, .json, .csv, .parquet), AlpacaEval's outputs, "
        "lm-eval's samples, a log of inspect, an OpenAI batch's output"
    )
    completed(parser.add_argument("file", type=Path, metavar="FILE", help=help_), shtab.FILE)
    parser.add_argument("--run", help="the run beside which they are graded (path, id or its beginning, name, latest)")
    parser.add_argument("--task", help="the newest run of this task instead")
    parser.add_argument("--method", required=True, metavar="NAME", help="how tables call the system")
    parser.add_argument("--rows", type=int, help="rows a prompt that it took, to be set beside best-of-n of as many")
    parser.add_argument("--filter", help="which filter of lm-eval's answers")
    add_file_options(parser)
    add_benchmark_options(parser)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FILE", help="where another file of the "
                        "run's task lies, e.g. ifeval.official=input_data.jsonl")  # fmt: skip
    add_key_option(parser)
    parser.add_argument("--full", action="store_true", help="print the whole report.md instead of a screen of it")
    parser.add_argument("--html", action="store_true", help="also write report.html: a page with every answer")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.cli.options import say_report
    from harness.comparing.files import read_file
    from harness.core.api.use import Use
    from harness.evidence.page import write_page
    from harness.evidence.report import imported_in_words, write_report
    from harness.evidence.screen import show_run
    from harness.evidence.store import load_run
    from harness.evidence.table import comparison
    from harness.running.imported import Imported, import_answers
    from harness.running.options import parse_setting
    from harness.running.request import NAMING_FILES

    if not arguments.file.is_file():
        raise UserError(f"{str(arguments.file)!r}: there is no such file; give one with answers")
    reference = _reference(arguments)
    words = vars(arguments)
    files = {of: words[option] for option, of in NAMING_FILES.items() if words[option] is not None}
    files |= dict(map(parse_setting, arguments.set))
    given, of = read_file(arguments.file, arguments.filter), Imported(arguments.method, arguments.rows)
    folder = import_answers(arguments.out, reference, given, of, files, cache_folder(), Use(arguments.key_variable))
    made = load_run(folder)
    print(printable(imported_in_words(made.record)[-1]), file=sys.stderr)
    table = comparison(made)
    say_report(write_report(made, table), lambda _: show_run(made, table), arguments.full)
    if arguments.html:
        print(f"written to {write_page(made)}", file=sys.stderr)


def _reference(arguments: argparse.Namespace) -> str:
    """The run that is named, or the newest of a task."""
    if (arguments.run is None) == (arguments.task is None):
        raise UserError("name the run beside which the answers are graded: --run RUN, or --task TASK for its newest")
    if arguments.run is not None:
        return str(arguments.run)
    from harness.evidence.runs import stored_runs

    found = stored_runs(arguments.out).only(arguments.task, None, None).runs
    if not found:
        raise UserError(f"--task {arguments.task}: no run of it is stored in {arguments.out / 'runs'}; "
                        "`harness runs` lists what is")  # fmt: skip
    return found[0].id


COMMAND = Command(
    "import",
    "another system's answers beside a run",
    "import answers.jsonl --run latest --method theirs",
    add_options,
    run,
)
