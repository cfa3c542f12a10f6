"""`harness ablate`: the same run at several values of one setting, side by side."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_run_options, read_all_again, say_where


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--axis", required=True, help="what is varied, or two of them by comma: METHOD.SETTING, or "
                        "an axis that `list axes` shows")  # fmt: skip
    parser.add_argument("--values", help="by comma, those of a second axis after a semicolon (default: the axis's own)")
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.running.options import read_options

    read_all_again(arguments)
    options = read_options(arguments)
    options.require_for_several("ablate")
    say_where(options.workspace.out)
    if arguments.dry_run:
        from harness.running.preview_screen import show_previews
        from harness.sweeps.ablate import preview_ablation

        found = preview_ablation(arguments.axis, arguments.values, options.request, options.workspace)
        show_previews(arguments.axis, found, ["Stages that several runs share are made once, and counted for each."])
        return
    from harness.sweeps.ablate import ablate

    if (folder := ablate(arguments.axis, arguments.values, options.request, options.workspace)) is not None:
        from harness.evidence.screens import show_ablation

        show_ablation(folder)


COMMAND = Command(
    "ablate",
    "one setting at several values",
    "ablate --task toy --axis width",
    add_options,
    run,
)
