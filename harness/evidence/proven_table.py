"""Tables made of runs, as parquet, each with a file of its sha256 beside it: what is damaged is not even opened.

    write_proven(frame, folder / "table.parquet")     # and table.sha256, as `sha256sum -c` reads it
    read_table(folder / "table.parquet")              # DamagedTable where it is no parquet, or not as it was written

The tables of a run are listed in its manifest.json instead; what has neither, of earlier versions, is read as it is.
A damaged parquet file can end the whole process that opens it.
"""

from pathlib import Path

import polars as pl

from harness.core.contents import file_sha256
from harness.core.files import put_parquet, require_ends, stored_text, whole


class DamagedTable(Exception):
    """What is wrong with a file, to follow its name."""


def write_proven(table: pl.DataFrame, path: Path) -> None:
    """The proof comes last: without it, the table is one of before."""
    with whole(path) as part:
        put_parquet(table, part)
        sha256 = file_sha256(part)
    with whole(_proof(path)) as part:
        part.write_text(f"{sha256}  {path.name}\n", encoding="utf-8")


def carries_proof(path: Path) -> bool:
    return _proof(path).exists()


def read_table(path: Path) -> pl.DataFrame:
    """Raises FileNotFoundError where there is none, DamagedTable where it is not as it was written."""
    try:
        require_ends(path)
        content = path.read_bytes()
        proof = stored_text(_proof(path), errors="replace") if _proof(path).exists() else None
    except (IsADirectoryError, NotADirectoryError) as error:
        raise DamagedTable(f"is not parquet ({error.strerror})") from error
    except ValueError as error:
        raise DamagedTable(f"is not parquet ({error})") from error
    if proof is not None and proof.partition(" ")[0] != file_sha256(path):
        raise DamagedTable(f"is not as it was written ({_proof(path).name} says so)")
    try:
        return pl.read_parquet(content)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise DamagedTable(f"is not parquet ({_first_line(error)})") from error


def _proof(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
