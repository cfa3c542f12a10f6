"""Tables made of runs, as parquet that proves itself: the hash of its rows stands in its footer.

    write_proven(frame, path)
    read_table(path)            # DamagedTable where it is no parquet, or holds other rows than were written

The tables of a run are listed in its manifest.json instead; what has neither, of earlier versions, is read as it is.
"""

import hashlib
import json
from pathlib import Path

import polars as pl

from harness.core.files import whole

_PROOF = "sha256"


class DamagedTable(Exception):
    """What is wrong with a file, to follow its name."""


def write_proven(table: pl.DataFrame, path: Path) -> None:
    with whole(path) as part:
        table.write_parquet(part, metadata={_PROOF: _sha256(table)})


def read_table(path: Path) -> pl.DataFrame:
    """Raises FileNotFoundError where there is none, DamagedTable where it is not as it was written."""
    try:
        content = path.read_bytes()
    except (IsADirectoryError, NotADirectoryError) as error:
        raise DamagedTable(f"is not parquet ({error.strerror})") from error
    try:
        table, proof = pl.read_parquet(content), pl.read_parquet_metadata(content).get(_PROOF)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise DamagedTable(f"is not parquet ({_first_line(error)})") from error
    if proof is not None and proof != _sha256(table):
        raise DamagedTable("holds other rows than were written")
    return table


def _sha256(table: pl.DataFrame) -> str:
    """Of names and values, whatever the version that writes the file."""
    rows = json.dumps([table.columns, [list(row) for row in table.iter_rows()]], default=str)
    return hashlib.sha256(rows.encode()).hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
