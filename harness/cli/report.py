"""`harness report`: rebuild table and figures of stored runs, without torch."""

import argparse
import sys

from harness.cli.command import Command
from harness.cli.options import add_out
from harness.core.errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="path, id or its beginning, of a run or an ablation; name of a run, or latest; several runs that differ "
        "in the seed alone make one table over prompts and seeds",
    )
    parser.add_argument("--html", action="store_true", help="also write report.html: a page with every answer")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.evidence.ablation import find_ablation, write_ablation
    from harness.evidence.report import write_report
    from harness.evidence.store import find_run, load_run

    ablations = {name: found for name in arguments.runs if (found := find_ablation(arguments.out, name)) is not None}
    for name, ablation in ablations.items():
        if arguments.html:
            raise UserError(f"--html shows a run, and {name!r} is an ablation; name one of its runs")
        if len(arguments.runs) > 1:
            raise UserError(f"several runs make one table over seeds, and {name!r} is an ablation; report it alone")
        print(write_ablation(ablation, arguments.out).read_text(encoding="utf-8"))
        return
    if len(arguments.runs) > 1:
        _report_over_seeds(arguments)
        return
    run = load_run(find_run(arguments.out, arguments.runs[0]))
    path = write_report(run)
    print(path.read_text(encoding="utf-8"))
    if arguments.html:
        from harness.evidence.page import write_page

        path = write_page(run)
    print(f"written to {path.parent}", file=sys.stderr)


def _report_over_seeds(arguments: argparse.Namespace) -> None:
    from harness.evidence.seeds import write_seeds
    from harness.evidence.store import find_run, load_run

    if arguments.html:
        raise UserError(f"--html shows one run, and {len(arguments.runs)} are given; name one of them")
    path = write_seeds([load_run(find_run(arguments.out, name)) for name in arguments.runs], arguments.out)
    print(path.read_text(encoding="utf-8"))
    print(f"written to {path.parent}", file=sys.stderr)


COMMAND = Command("report", "rebuild table and figures", "report latest", add_options, run)
