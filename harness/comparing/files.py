"""Which harness wrote a file, told from what it holds, and its records.

read_sides(Path("results"), ["latest", "samples_gsm8k_2026-11-25.jsonl"], "strict-match")   # runs by name, or files
"""

from collections.abc import Sequence
from pathlib import Path

from harness.comparing import alpaca_eval, inspect_log, lm_eval, rows, stored_run
from harness.comparing.json_file import list_of, parsed, text_of
from harness.comparing.records import Records
from harness.core.data.rows import rows_of
from harness.core.errors import UserError

_TABLES = (".csv", ".parquet")
_LISTS = (".json", ".jsonl")
_ARCHIVE = ".eval"
_READ = (
    "a stored run, lm-eval's samples_*.jsonl, inspect's .eval or .json logs, AlpacaEval's annotations or "
    "outputs, or rows of prompts with scores or answers (.jsonl, .json, .csv, .parquet)"
)


def read_sides(out: Path, references: Sequence[str], chosen_filter: str | None = None) -> list[Records]:
    """Rows of stored runs, or files; the filter is that of those that lm-eval wrote.

    Raises UserError for what is neither, and for a filter that none of them has.
    """
    sides = [_read_any(out, reference, chosen_filter) for reference in references]
    _require_read(chosen_filter, sides)
    return sides


def read_file(path: Path, chosen_filter: str | None = None) -> Records:
    """The records of a file. Raises UserError that names the file and the place."""
    found = _read_file(path, chosen_filter)
    _require_read(chosen_filter, [found])
    return found


def _require_read(chosen_filter: str | None, sides: Sequence[Records]) -> None:
    """Raises UserError for a filter under which nothing was read."""
    if chosen_filter is None or any(side.filter == chosen_filter for side in sides):
        return
    if of_lm_eval := [side.source for side in sides if side.filter is not None]:
        raise UserError(f"--filter {chosen_filter}: there are no filters in {' and '.join(of_lm_eval)}; leave it out")
    given = " and ".join(side.source for side in sides)
    raise UserError(f"--filter belongs to lm-eval's samples: there are none in {given}; leave it out")


def _read_any(out: Path, reference: str, chosen_filter: str | None) -> Records:
    path = Path(reference)
    if path.is_file():
        return _read_file(path, chosen_filter)
    if path.suffix in (*_TABLES, *_LISTS, _ARCHIVE) and not stored_run.is_there(out, reference):
        raise UserError(f"{reference!r}: there is no such file; give {_READ}")
    return stored_run.read(out, reference)


def _read_file(path: Path, chosen_filter: str | None) -> Records:
    if path.suffix == _ARCHIVE:
        return inspect_log.read_archive(path)
    if path.suffix in _TABLES:
        named = [(row.where.removeprefix(f"{path}, "), dict(row.columns)) for row in rows_of(path)]
        return rows.read(
            path.name, [(where, rows.numbered(row)) for where, row in named] if path.suffix == ".csv" else named
        )
    if path.suffix not in _LISTS:
        raise UserError(f"{path} ends in {path.suffix or 'nothing'}; give {_READ}")
    if path.suffix == ".json" and text_of(path).lstrip()[:1] == "{":
        log = parsed(text_of(path), str(path))
        if inspect_log.is_log(log):
            return inspect_log.read(path.name, log)
        raise UserError(f"{path} is one JSON object and no log of inspect; give {_READ}")
    found = list_of(path)
    if not found:
        raise UserError(f"{path} is empty; give {_READ}")
    if lm_eval.is_samples(found[0][1]):
        return lm_eval.read(path.name, found, chosen_filter)
    if alpaca_eval.is_annotation(found[0][1]):
        return alpaca_eval.read(path.name, found)
    return rows.read(path.name, found)
