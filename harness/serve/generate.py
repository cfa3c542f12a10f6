"""`python -m harness generate RUN --prompt "..."`: answers of what a run fitted, as text or as JSON, one a line.

python -m harness generate imdb-3f2a --prompt "The film was" --method iro --iteration 2
python -m harness generate aligned/ --prompts questions.jsonl --json
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.core.errors import UserError
from harness.core.given_prompts import prompts_of
from harness.core.printable import for_stdout, json_line


def add_generate_options(parser: argparse.ArgumentParser) -> None:
    """What `generate` takes."""
    parser.add_argument(
        "run", metavar="RUN", help="path, id or its beginning, name, latest, or a folder of harness.align"
    )
    parser.add_argument("--prompt", action="append", default=[], help="a text to continue; may be given repeatedly")
    parser.add_argument(
        "--prompts", type=Path, metavar="FILE", help="a text a line; .jsonl, .json, .csv, .parquet: rows with a prompt"
    )
    parser.add_argument("--method", help="whose answers (default: the one that fitted something)")
    parser.add_argument("--iteration", type=int, help="after how many fits (default: all)")
    parser.add_argument(
        "--pick", help="who chooses among the finalists: value, first or reward (default: the cheapest)"
    )
    parser.add_argument("--seed", type=int, help="of what is sampled (default: the run's)")
    parser.add_argument("--model", help="where the model lies now (default: where it lay)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: text, picks, values, costs")


def generated(arguments: argparse.Namespace) -> Iterator[str]:
    """What is printed, an answer at a time. Raises UserError for what cannot be read or answered."""
    prompts: list[Any] = [*arguments.prompt, *(_read(arguments.prompts) if arguments.prompts is not None else [])]
    if not prompts:
        raise UserError("give prompts: --prompt TEXT, or --prompts FILE")
    from harness.core.data.given import is_row

    prompts_of([prompt for prompt in prompts if not is_row(prompt)])
    from harness.serve.opening import load  # with torch

    where = {name: vars(arguments)[name] for name in ("model", "device", "out", "key_variable")}
    aligned = load(arguments.run, arguments.method, arguments.iteration, **where)
    answers = aligned.answers(prompts, pick=arguments.pick, seed=arguments.seed)
    for i, answer in enumerate(answers):
        if arguments.json:
            about = {"method": aligned.method, "iteration": aligned.iteration}
            yield json_line({**asdict(answer), **about})
        else:
            yield for_stdout(answer.text) + ("\n" if i < len(answers) - 1 else "")


def _read(path: Path) -> list[Any]:
    """The prompts of a file."""
    if not path.is_file():
        raise UserError(f"--prompts {str(path)!r}: no such file")
    if path.suffix in (".json", ".csv", ".parquet"):
        from harness.core.data.rows import rows_of

        return [row.columns for row in rows_of(path)]
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # texts may hold ends of lines of other kinds
    except UnicodeDecodeError as error:
        raise UserError(f"--prompts {str(path)!r} is no UTF-8 text: {error}") from error
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    if path.suffix != ".jsonl":
        return [line for _, line in numbered]
    rows = []
    for n, line in numbered:
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise UserError(f"line {n} of {path} is no JSON ({error}): write a row with prompt or messages") from error
    return rows
