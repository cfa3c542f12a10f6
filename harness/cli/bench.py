"""`harness bench`: speed of the engine, as ratios within one process on one thread."""

import argparse
import sys

from harness.cli.command import Command
from harness.cli.options import add_out
from harness.core.errors import UserError
from harness.core.files import cache_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="smollm2-135m-instruct", help="folder, hub id or embedded name")
    parser.add_argument("--repeats", type=int, default=3, help="turns; figures are medians (default: 3)")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.core.models.loading import load_model, load_policy
    from harness.running.speed import run_bench, table, write_bench

    if arguments.repeats < 1:
        raise UserError(f"--repeats {arguments.repeats}: give at least 1")
    where = (arguments.model, "cpu", "float32", cache_folder())
    policy = load_policy(*where)
    rows = run_bench(policy, load_model(*where)[0], arguments.repeats)
    print(table(rows))
    print(f"path: {policy.path}; written to {write_bench(policy, rows, arguments.out)}", file=sys.stderr)


COMMAND = Command("bench", "speed of the engine", "bench --repeats 1", add_options, run)
