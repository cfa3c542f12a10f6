"""Which harness wrote a file, told from what it holds, and its records.

read_records(Path("results"), "samples_gsm8k_2026-11-25.jsonl")      # a stored run by its name, else a file
"""

from pathlib import Path

from harness.comparing import alpaca_eval, inspect_log, lm_eval, rows, stored_run
from harness.comparing.json_file import list_of, parsed, text_of
from harness.comparing.records import Records
from harness.core.data.rows import rows_of
from harness.core.errors import UserError

_TABLES = (".csv", ".parquet")
_READ = (
    "a stored run, lm-eval's samples_*.jsonl, inspect's .eval or .json logs, AlpacaEval's annotations or "
    "outputs, or rows of prompts with scores or answers (.jsonl, .json, .csv, .parquet)"
)


def read_any(out: Path, reference: str, chosen_filter: str | None = None) -> Records:
    """A row of a stored run, or a file. Raises UserError for what is neither."""
    path = Path(reference)
    if path.is_file():
        return read_file(path, chosen_filter)
    if chosen_filter is None and (path.is_dir() or not path.suffix or "@" in reference):
        return stored_run.read(out, reference)
    raise UserError(f"{reference!r}: there is no such file; give {_READ}")


def read_file(path: Path, chosen_filter: str | None = None) -> Records:
    """The records of a file. Raises UserError that names the file and the place."""
    if path.suffix == ".eval":
        return inspect_log.read_archive(path)
    if path.suffix in _TABLES:
        named = [(row.where.removeprefix(f"{path}, "), dict(row.columns)) for row in rows_of(path)]
        return rows.read(
            path.name, [(where, rows.numbered(row)) for where, row in named] if path.suffix == ".csv" else named
        )
    if path.suffix not in (".json", ".jsonl"):
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
    if chosen_filter is not None:
        raise UserError(f"--filter belongs to lm-eval's samples, and {path} holds none; leave it out")
    if alpaca_eval.is_annotation(found[0][1]):
        return alpaca_eval.read(path.name, found)
    return rows.read(path.name, found)
