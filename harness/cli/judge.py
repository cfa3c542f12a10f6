"""`harness judge`: win rates of a stored run's answers over an opponent's, without torch."""

import argparse
import sys

from harness.cli.command import Command
from harness.cli.options import add_out, say_report
from harness.core.errors import UserError
from harness.judging.options import add_judge_options, chosen_judge, require_import_alone


def add_options(parser: argparse.ArgumentParser) -> None:
    add_judge_options(parser)
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.evidence.foreign import foreign
    from harness.evidence.screens import show_judgement
    from harness.evidence.terminal import Terminal
    from harness.judging.alpaca_eval import export
    from harness.judging.judge import import_judgement, judge_run, preview_judgement
    from harness.judging.opponents import Selection

    if arguments.annotations is not None:
        require_import_alone(arguments)
        folder = import_judgement(arguments.out, arguments.annotations)
    elif arguments.run is None:
        raise UserError("name the run to judge (path, id or its beginning, name, or latest), or --import a file")
    else:
        rows = Selection(arguments.method, arguments.iteration, arguments.final_pick)
        theirs = Selection(arguments.opponent_method, arguments.opponent_iteration, arguments.opponent_final_pick)
        asked = arguments.out, arguments.run, rows, arguments.opponent or "base", theirs, chosen_judge(arguments)
        if arguments.dry_run:
            for line in preview_judgement(*asked):
                Terminal().say(line)
            return
        folder = judge_run(*asked)
    with foreign(folder, what="a judgement"):
        say_report(folder / "report.md", show_judgement, arguments.full)
    if arguments.export is not None:
        export(folder, arguments.export)
        print(f"AlpacaEval's files: {arguments.export}", file=sys.stderr)


COMMAND = Command(
    "judge",
    "win rates over an opponent's answers",
    "judge latest --opponent best_of_n",
    add_options,
    run,
)
