"""`harness plan`: what a run of models and data of the hub takes, told from its configuration alone."""

import argparse
from pathlib import Path

from harness.cli.command import Command
from harness.cli.options import completed


def add_options(parser: argparse.ArgumentParser) -> None:
    completed(parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML as `run --config` takes it"))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, e.g. iro.width=4")
    parser.add_argument(
        "--gpu", choices=("h100", "a100"), default="h100", help="on which hours are told (default: h100)"
    )


def run(arguments: argparse.Namespace) -> int:
    """1 where the run would end at a problem."""
    from harness.running.options import options_from, parse_setting

    options = options_from({}, [parse_setting(text) for text in arguments.set], arguments.config)
    from harness.running.config import resolve
    from harness.running.unloaded import unloaded
    from harness.running.unloaded_screen import show_unloaded

    config = resolve(options.request)
    found = unloaded(config, arguments.gpu)
    show_unloaded(config, found)
    return int(bool(found.problems))


COMMAND = Command(
    "plan",
    "what a run of the hub's models takes: memory, hours, downloads",
    "plan tasks/setups/tldr-pythia.yaml",
    add_options,
    run,
)
