"""`harness report`: rebuild table and figures of stored runs, without torch."""

import argparse
import sys
from typing import TYPE_CHECKING

from harness.cli.command import Command
from harness.cli.options import add_out, say_report
from harness.core.errors import UserError
from harness.core.printable import printable

if TYPE_CHECKING:
    from harness.evidence.store import Run


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="path, id or its beginning, of a run or an ablation; name of a run, or latest; several runs that differ "
        "in the seed alone make one table over prompts and seeds",
    )
    parser.add_argument("--full", action="store_true", help="print the whole report.md instead of a screen of it")
    parser.add_argument(
        "--reward-price",
        metavar="FLOPS",
        help="the screen as if a call of the reward took so many, or `policy`: a model of the policy's size; nothing "
        "is written",
    )
    parser.add_argument("--html", action="store_true", help="also write report.html: a page with every answer")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.evidence.ablation import find_ablation, write_ablation
    from harness.evidence.foreign import foreign
    from harness.evidence.report import write_report
    from harness.evidence.screen import show_run
    from harness.evidence.screens import show_ablation
    from harness.evidence.store import find_run, imports_beside, load_run
    from harness.evidence.table import comparison

    ablations = {name: found for name in arguments.runs if (found := find_ablation(arguments.out, name)) is not None}
    for name, ablation in ablations.items():
        if arguments.html or arguments.reward_price is not None:
            raise UserError(f"--html and --reward-price show a run, and {name!r} is an ablation; name one of its runs")
        if len(arguments.runs) > 1:
            raise UserError(f"several runs make one table over seeds, and {name!r} is an ablation; report it alone")
        with foreign(ablation, what="an ablation"):
            say_report(write_ablation(ablation, arguments.out), show_ablation, arguments.full)
        return
    if len(arguments.runs) > 1:
        _report_over_seeds(arguments)
        return
    run = load_run(find_run(arguments.out, arguments.runs[0]))
    with foreign(run.folder):
        if arguments.reward_price is not None:
            _at_reward_price(run, arguments)
            return
        table = comparison(run)
        say_report(write_report(run, table), lambda _: show_run(run, table), arguments.full)
        if arguments.html:
            from harness.evidence.page import write_page

            print(f"written to {write_page(run)}", file=sys.stderr)
    for name in imports_beside(run.folder):
        print(f"beside it: answers of another system, in {printable(name)}", file=sys.stderr)


def _at_reward_price(run: "Run", arguments: argparse.Namespace) -> None:
    from harness.evidence.cost import at_reward_price
    from harness.evidence.markdown import giga
    from harness.evidence.screen import show_run
    from harness.evidence.table import comparison

    if arguments.html or arguments.full:
        raise UserError("--reward-price shows the screen of a run, which is not stored; leave --html and --full out")
    priced = at_reward_price(run, arguments.reward_price)
    assert priced.record.flops is not None  # else it could not have another price
    print(f"a call of the reward taken as {giga(priced.record.flops.reward_call)} GFLOPs", file=sys.stderr)
    show_run(priced, comparison(priced))


def _report_over_seeds(arguments: argparse.Namespace) -> None:
    from harness.evidence.foreign import foreign
    from harness.evidence.screens import show_seeds
    from harness.evidence.seeds import write_seeds
    from harness.evidence.store import find_run, load_run

    if arguments.reward_price is not None:
        raise UserError(f"--reward-price is for one run, and {len(arguments.runs)} are given; name one of them")
    if arguments.html:
        raise UserError(f"--html shows one run, and {len(arguments.runs)} are given; name one of them")
    runs = [load_run(find_run(arguments.out, name)) for name in arguments.runs]
    with foreign(*(run.folder for run in runs)):
        path = write_seeds(runs, arguments.out)
    say_report(path, show_seeds, arguments.full)


COMMAND = Command("report", "rebuild table and figures", "report latest", add_options, run)
