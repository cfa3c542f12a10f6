"""`harness export`: a run's table as a paper wants it, or its answers."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.command import Command
from harness.cli.options import add_out, completed
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.printable import for_stdout

if TYPE_CHECKING:
    from harness.evidence.store import Run


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="path, id or its beginning, name, or latest")
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--csv", action="store_true", help="the table's numbers, an estimate with its interval, n and p")
    kinds.add_argument("--latex", action="store_true", help="the table with booktabs' rules and a caption")
    kinds.add_argument("--markdown", action="store_true", help="the same in Markdown")
    kinds.add_argument(
        "--jsonl", action="store_true", help="every answer, a JSON object a line; scores in sd, as shown"
    )
    parser.add_argument(
        "--rows", help="METHOD, METHOD:ITERATION (or :last) or METHOD:ITERATION:PICK, by comma (default: all)"
    )
    parser.add_argument("--columns", help="names of the table's columns, by comma (default: those of quality and cost)")
    completed(parser.add_argument("--to", type=Path, metavar="FILE", help="write it there instead of on the screen"))
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    if arguments.jsonl and arguments.columns is not None:
        raise UserError("--columns chooses columns of the table; --jsonl has one answer a line, always the same fields")
    if arguments.to is not None:
        _require_writable(arguments.to)
    from harness.evidence.foreign import foreign
    from harness.evidence.store import find_run, load_run

    stored = load_run(find_run(arguments.out, arguments.run))
    with foreign(stored.folder):
        text = _text(stored, arguments)
    if arguments.to is None:
        print(for_stdout(text), end="")
        return
    _write(Path(os.path.realpath(arguments.to)), text)
    print(f"written to {arguments.to}")


def _write(path: Path, text: str) -> None:
    """A link stays one, and so does a device: a file with its name would take the place of /dev/null."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def _text(run: "Run", arguments: argparse.Namespace) -> str:
    from harness.evidence.export import csv_text, latex, markdown, part_of
    from harness.evidence.export_answers import answer_lines

    if arguments.jsonl:
        return "".join(f"{line}\n" for line in answer_lines(run, arguments.rows))
    part = part_of(run, arguments.rows, arguments.columns)
    return csv_text(part) if arguments.csv else latex(part) if arguments.latex else markdown(part)


def _require_writable(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"--to {str(path)!r} is a folder; name a file in it")
    if (Path(os.path.realpath(path)).parent / "run.json").exists():
        raise UserError(f"--to {str(path)!r} lies in the folder of a run, where nothing is overwritten; name another")


COMMAND = Command("export", "table or answers, for a paper", "export latest --latex", add_options, run)
