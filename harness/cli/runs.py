"""`harness runs`: which runs are stored, newest first, and which answers of other systems were imported beside them."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.cli.command import Command
from harness.cli.options import add_out
from harness.core.printable import json_line, printable

if TYPE_CHECKING:
    from harness.evidence.runs import Stored, StoredRun
    from harness.evidence.schema import Row


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", help="those of this task alone")
    parser.add_argument("--model", help="those of this model alone")
    parser.add_argument("--method", help="those with this method alone")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.evidence.runs import stored_runs

    found = stored_runs(arguments.out).only(arguments.task, arguments.model, arguments.method)
    if arguments.json:
        for run in (*found.runs, *found.imports):
            print(json_line(run.as_json()))
    else:
        _show(found, arguments)
    lines = [f"not finished: {name}" for name in found.unfinished]
    lines += [f"left out: {folder}: {why}" for folder, why in found.left_out.items()]
    for line in lines:
        print(printable(line), file=sys.stderr)


def _show(found: "Stored", arguments: argparse.Namespace) -> None:
    _show_runs(found, arguments)
    if found.imports:
        print()
        _show_imports(found)


def _show_imports(found: "Stored") -> None:
    """What was made elsewhere and graded by a run's rewards, which `harness import` wrote."""
    from harness.cli.tables import cell, made_table, show

    table = made_table("date", "import", "beside", "its answers are", whole=("date", "import"), gap=1)
    for one in found.imports:
        table.add_row(*map(cell, (one.date[:10], one.id, one.beside, ", ".join(one.imported))))
    count = f"{len(found.imports)} {'import' if len(found.imports) == 1 else 'imports'}"
    show(cell(f"{count}: answers of other systems, graded as those of the run that they stand beside.\n"), table)


def _show_runs(found: "Stored", arguments: argparse.Namespace) -> None:
    from harness.cli.tables import cell, is_narrow, made_table, show

    if not found.runs:
        print(f"no finished run in {arguments.out / 'runs'}; `harness run --task toy` makes one in seconds")
        return
    columns = {name: [read(run) for run in found.runs] for name, read in _COLUMNS.items()}
    alike = {name: cells[0] for name in _SHARED if len(set(cells := columns[name])) == 1}
    shown = {name: cells for name, cells in columns.items() if name not in alike and any(cells)}
    if is_narrow():
        shown = {name: cells for name, cells in shown.items() if name not in ("date", "of")}
    title = f"{len(found.runs)} {'run' if len(found.runs) == 1 else 'runs'} in {arguments.out}"
    about = ", ".join([title, *(text for text in alike.values() if text)])
    table = made_table(*shown, whole=("date", "run", "best gain", "of"), gap=1)  # one line a run, in 80 columns
    for row in zip(*shown.values(), strict=True):
        table.add_row(*map(cell, row))
    show(
        cell(f"{about}. Best gain: over best-of-n, of the rows that train no weights, in sd of base samples.\n"), table
    )


def _row(row: "Row") -> str:
    return f"{row.method} {row.iteration} {row.final_pick}" if row.iteration else row.method


_SLICES: dict[str, str] = {"development": "dev"}
_COLUMNS: dict[str, Callable[["StoredRun"], str]] = {
    "date": lambda run: run.date[:10],
    "run": lambda run: run.id,
    "name": lambda run: ", ".join(run.names),
    "task": lambda run: run.task,
    "model": lambda run: run.model,
    "profile": lambda run: run.profile,
    "methods": lambda run: ", ".join(run.methods),
    "prompts": lambda run: f"{run.prompts or ''} {_SLICES.get(run.slice, run.slice)}",
    "best gain": lambda run: "" if run.gain is None else run.gain.against_best_of_n.shown("+.2f"),
    "of": lambda run: "" if run.gain is None else _row(run.gain.row) + " (oracle)" * run.gain.is_oracle,
}
_SHARED = ("task", "model", "profile")  # said once, above the table, where all runs have the same

COMMAND = Command("runs", "stored runs, newest first", "runs", add_options, run)
