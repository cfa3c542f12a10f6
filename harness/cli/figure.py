"""`harness figure`: one figure of a stored run, an ablation or a tuning, as a paper needs it; no torch.

python -m harness figure imdb-3f2a                                        # imdb-3f2a...-gold_by_method.pdf, 3.3 inches
python -m harness figure imdb-3f2a --kind gold_against_compute --rows base,best_of_n,iro:last --width full
python -m harness figure imdb-3f2a --columns gold,win_rate_over_base,policy_tokens --format pdf,png
python -m harness figure imdb-width-3f2a --kind win_rate_by_width --to paper/figures
"""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.command import Command
from harness.cli.options import add_out
from harness.core.errors import UserError, unknown
from harness.core.printable import printable
from harness.core.slug import slug

if TYPE_CHECKING:  # what draws is slow to import
    from harness.evidence.figures.kinds import Drawing
    from harness.evidence.store import Run


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `figure` takes."""
    parser.add_argument(
        "run",
        metavar="RUN",
        help="path, id or its beginning, of a run or an ablation; name of a run, or latest; or a tuning by name",
    )
    parser.add_argument("--kind", help="which figure (default: the first that it has; an unknown one lists them)")
    parser.add_argument(
        "--rows", help="rows of the table, by comma: METHOD, METHOD:ITERATION (a number or `last`) or with :PICK"
    )
    parser.add_argument("--columns", help="columns of the table to set side by side, by comma, in place of --kind")
    parser.add_argument("--width", choices=("column", "full"), default="column", help="3.3 or 6.9 inches")
    parser.add_argument("--format", default="pdf", help="pdf, png, svg, or several by comma (default: pdf)")
    parser.add_argument("--to", type=Path, default=Path(), metavar="FOLDER", help="where to (default: this folder)")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    """Draw, and print the files: RUN-KIND.FORMAT. Raises UserError for what is not there to be drawn."""
    from harness.evidence.figures.files import FORMATS, save
    from harness.evidence.foreign import foreign

    formats = list(dict.fromkeys(arguments.format.split(",")))
    if wrong := [name for name in formats if name not in FORMATS]:
        raise unknown("format", wrong[0], FORMATS)
    if arguments.to.exists() and not arguments.to.is_dir():
        raise UserError(f"--to {str(arguments.to)!r} is a file; give a folder")
    if arguments.kind and arguments.columns:
        raise UserError(f"--kind {arguments.kind} and --columns {arguments.columns} name two figures; give one of them")
    folder, what, drawings = _found(arguments)
    name = folder.name
    kind = "columns" if arguments.columns else arguments.kind or next(iter(drawings))
    if kind not in drawings:
        raise unknown(f"kind of figure of {name}", kind, drawings)
    with foreign(folder, what=what):
        drawn = drawings[kind](arguments.width)
    for path in save(drawn, arguments.to / f"{slug(name)}-{slug(kind)}", formats):
        print(printable(str(path)))


def _found(arguments: argparse.Namespace) -> tuple[Path, str, "Mapping[str, Drawing]"]:
    """The folder of what is asked for, what it is, and its figures by kind."""
    from harness.evidence.ablation import find_ablation
    from harness.evidence.ablation_drawings import of_ablation
    from harness.evidence.ablation_rows import read_ablation
    from harness.evidence.foreign import foreign
    from harness.evidence.store import find_run, load_run
    from harness.evidence.tuning import find_tuning, of_tuning

    if (tuning := find_tuning(arguments.out, arguments.run)) is not None:
        _require_whole(arguments, "a tuning")
        with foreign(tuning, what="a tuning"):
            return tuning, "a tuning", of_tuning(tuning)
    if (ablation := find_ablation(arguments.out, arguments.run)) is not None:
        _require_whole(arguments, "an ablation")
        with foreign(ablation, what="an ablation"):
            return ablation, "an ablation", of_ablation(read_ablation(ablation, arguments.out))
    stored = load_run(find_run(arguments.out, arguments.run))
    with foreign(stored.folder):
        return stored.folder, "a run", _of_run(stored, arguments)


def _require_whole(arguments: argparse.Namespace, what: str) -> None:
    for option in ("rows", "columns"):
        if getattr(arguments, option) is not None:
            raise UserError(f"--{option} chooses from the table of a run, and {arguments.run!r} is {what}")


def _of_run(run: "Run", arguments: argparse.Namespace) -> "Mapping[str, Drawing]":
    from harness.evidence.choice import chosen_rows
    from harness.evidence.figures.by_method import columns_by_method
    from harness.evidence.figures.columns import COLUMNS
    from harness.evidence.figures.kinds import of_run
    from harness.evidence.table import best_of_n_curve, comparison

    table = comparison(run)
    values = run.values
    if arguments.rows is not None:
        keys = chosen_rows([row.key for row in table], arguments.rows, run.id)
        table, values = [row for row in table if row.key in keys], None  # calibration shows no rows of the table
    if arguments.columns is None:
        return of_run(table, best_of_n_curve(run), values)
    names = list(dict.fromkeys(arguments.columns.split(",")))
    for name in names:
        if name not in COLUMNS:
            raise unknown("column", name, COLUMNS)
        if all(COLUMNS[name].of(row) is None for row in table):
            raise UserError(f"--columns {name}: none of these rows of {run.id} has a value there; leave it out")
    return {"columns": partial(columns_by_method, table, names)}


COMMAND = Command("figure", "one figure, as a paper needs it", "figure latest", add_options, run)
