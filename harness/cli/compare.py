"""`harness compare`: two systems on the same prompts, from stored runs and the files of other harnesses."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_out, completed
from harness.core.printable import json_line


def add_options(parser: argparse.ArgumentParser) -> None:
    for name in ("a", "b"):
        help_ = (
            "a run (RUN, RUN@METHOD, RUN@METHOD/ITERATION/PICK), lm-eval's samples_*.jsonl, a log of inspect, "
            "AlpacaEval's annotations, or rows with scores"
        )
        completed(parser.add_argument(name, metavar=name.upper(), help=help_))
    parser.add_argument("--metric", help="which score (default: a run's gold, or the only one)")
    parser.add_argument("--metric-b", help="which score of B, where it is called otherwise")
    parser.add_argument("--filter", help="which filter of lm-eval's answers, on the sides that have some")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a screen")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.comparing.compare import compare
    from harness.comparing.files import read_sides
    from harness.comparing.screen import as_json, show_compared

    a, b = read_sides(arguments.out, (arguments.a, arguments.b), arguments.filter)
    found = compare(a, b, arguments.metric, arguments.metric_b)
    if arguments.json:
        print(json_line(as_json(found)))
    else:
        show_compared(found)


COMMAND = Command(
    "compare",
    "two systems on the same prompts",
    "compare latest@iro latest@best_of_n",
    add_options,
    run,
)
