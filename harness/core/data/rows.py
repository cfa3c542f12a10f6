"""The rows of a file of data: JSON lines, a JSON list, CSV or parquet, as plain data and with the place of each.

for row in rows_of(Path("support.jsonl")):
    row.where, row.columns      # "support.jsonl, line 3", {"messages": [...], "reference_answer": "..."}

Whatever is wrong with a file is one UserError that names it, the line, what was seen and what to do.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from harness.core.errors import UserError

LONGEST = 4 * 2**20  # bytes of a row; what a model reads is a thousandth of it
_LARGEST = 2**63  # whole numbers beyond are read as other numbers by most programs


@dataclass(frozen=True)
class DataRow:
    """One row, its columns as JSON has them."""

    where: str  # as errors name it: the file, and the line or the row
    columns: Mapping[str, Any]


def rows_of(path: Path) -> list[DataRow]:
    """All rows in their order. Raises UserError where the file is none of the kinds that its ending says."""
    kinds: dict[str, Callable[[Path], list[DataRow]]] = {
        ".jsonl": _json_lines, ".json": _json, ".csv": _csv, ".parquet": _parquet
    }  # fmt: skip
    if path.is_dir():
        raise UserError(f"the data {str(path)!r} is a folder; give a file in it that ends in {', '.join(kinds)}")
    if not path.exists():
        raise UserError(f"the data {str(path)!r}: there is no such file; give one that ends in {', '.join(kinds)}")
    if path.suffix not in kinds:
        raise UserError(f"the data {str(path)!r} ends in {path.suffix or 'nothing'}; give one of {', '.join(kinds)}")
    if not path.is_file():
        raise UserError(f"the data {str(path)!r} is a pipe or a device; give a file, which is read more than once")
    try:
        rows = kinds[path.suffix](path)
    except OSError as error:
        raise UserError(f"the data {str(path)!r} cannot be read: {error.strerror}") from error
    if not rows:
        raise UserError(f"the data {str(path)!r} is empty; give a file with a row for each prompt")
    for row in rows:
        _require_plain(row)
    return rows


def short(value: Any) -> str:
    """A value as errors show it."""
    shown = f"{value!r}"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _json_lines(path: Path) -> list[DataRow]:
    found = []
    with path.open("rb") as file:
        for n, raw in enumerate(file, 1):
            where = f"{path}, line {n}"
            if len(raw) > LONGEST:
                raise UserError(
                    f"{where} has {len(raw) / 2**20:.1f} MB; rows have at most {LONGEST // 2**20} MB: "
                    "leave out what neither the model nor the grader reads"
                )
            text = _text(raw, where)
            if text.strip():
                found.append(DataRow(where, _object(_parsed(text, where, "one JSON object a line"), where)))
    return found


def _json(path: Path) -> list[DataRow]:
    text = _text(path.read_bytes(), str(path))
    if not text.strip():
        return []
    data = _parsed(text, str(path), "a list of objects (a file with one object a line is named .jsonl)", lines=True)
    if not isinstance(data, list):
        raise UserError(f"{path} holds a {_kind(data)}; give a list of objects, one for each prompt")
    return [DataRow(f"{path}, row {n}", _object(one, f"{path}, row {n}")) for n, one in enumerate(data, 1)]


def _csv(path: Path) -> list[DataRow]:
    """Every value is a text; a column without one in a row is not there."""
    csv.field_size_limit(LONGEST)
    reader = csv.reader(io.StringIO(_text(path.read_bytes(), str(path)), newline=""), strict=True)
    found: list[DataRow] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if not cells:
                continue
            if header is None:
                header = [name.strip() for name in cells]
                if len(set(header)) < len(header) or "" in header:
                    raise UserError(f"{where}: the names of columns are {short(header)}; give each its own name")
                continue
            if len(cells) != len(header):
                raise UserError(
                    f"{where} has {len(cells)} values for {len(header)} columns ({', '.join(header)[:80]}); quote "
                    "values that hold commas or line ends"
                )
            found.append(DataRow(where, {n: cell for n, cell in zip(header, cells, strict=True) if cell != ""}))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num} is no CSV: {error}") from error
    return found


def _parquet(path: Path) -> list[DataRow]:
    import polars as pl

    try:
        table = pl.read_parquet(path, use_pyarrow=False, glob=False)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise UserError(f"{path} is no parquet file ({str(error).splitlines()[0][:80]}); write it anew") from error
    found = []
    for n, row in enumerate(table.iter_rows(named=True), 1):
        where = f"{path}, row {n}"
        found.append(DataRow(where, {name: _plain(value, where, name) for name, value in row.items()}))
    return found


def _text(raw: bytes, where: str) -> str:
    """UTF-8, with or without a byte order mark."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        seen = raw[error.start : error.start + 4].hex(" ")
        raise UserError(f"{where} is no UTF-8 (byte {error.start + 1}: {seen}); save it as UTF-8") from error


def _parsed(text: str, where: str, wanted: str, lines: bool = False) -> Any:
    def refuse(what: str) -> NoReturn:
        raise UserError(f"{where} holds {what}; JSON has finite numbers: write null, or a number below 2^63")

    def number(digits: str) -> float:
        value = float(digits)
        return value if math.isfinite(value) else refuse(f"the number {digits[:20]}")

    def whole(digits: str) -> int:
        value = int(digits) if len(digits) < 25 else _LARGEST
        return value if abs(value) < _LARGEST else refuse(f"the number {digits[:20]}")

    def named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
            raise UserError(f"{where} has {short(twice)} twice in one object; give each name once")
        return found

    try:
        return json.loads(text, parse_constant=refuse, parse_float=number, parse_int=whole, object_pairs_hook=named)
    except json.JSONDecodeError as error:
        place = f"{where}, line {error.lineno}" if lines else where
        at_the_end = error.pos >= len(text.rstrip())
        seen = text.strip()[-40:] if at_the_end else text[error.pos : error.pos + 40].rstrip()
        what = error.msg.removesuffix(" starting at")  # of a string that does not end
        cut = ", as if it was cut off" if at_the_end or what != error.msg else ""
        raise UserError(
            f"{place} is no JSON: {what} in column {error.colno}{cut} ({short(seen)}); write {wanted}"
        ) from error
    except RecursionError as error:
        raise UserError(f"{where} is nested too deeply to be read; write {wanted}") from error


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        hint = "; a file that holds one list is named .json" if isinstance(value, list) else ""
        raise UserError(f"{where} is a {_kind(value)} ({short(value)}); write an object with a prompt{hint}")
    return value


def _plain(value: Any, where: str, column: str) -> Any:
    """A value of parquet as JSON has it."""
    match value:
        case None | bool() | str():
            return value
        case int() | float():
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{where}: {column} is {value}; write null, or a finite number")
            return value
        case dict():
            return {name: _plain(part, where, column) for name, part in value.items()}
        case list():
            return [_plain(part, where, column) for part in value]
        case Decimal():
            return float(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
    raise UserError(f"{where}: {column} holds {type(value).__name__}; write texts, numbers, lists or structs")


def _require_plain(row: DataRow) -> None:
    """Raises UserError for half characters, which a text of JSON can name and no tokenizer reads."""
    try:
        json.dumps(row.columns, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        seen = error.object[error.start : error.start + 1]
        raise UserError(f"{row.where} holds half a character ({seen!a}); write both halves, or none") from error


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "text", bool: "truth value", type(None): "null"}
    return names.get(type(value), "number")
