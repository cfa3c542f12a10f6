"""Tables that prove themselves."""

import os
from pathlib import Path

import polars as pl
import pytest

from harness.core.errors import UserError
from harness.core.files import put_parquet
from harness.core.unwritable import unwritable
from harness.evidence.proven_table import DamagedTable, read_table, write_proven
from harness.evidence.store import read_parquet

ROOT = Path(__file__).parents[2]
TABLE = pl.DataFrame({"method": ["iro", None, "bäse"], "gold": [0.5, float("nan"), -1.25], "n": [1, 2, None]})


def test_what_was_written_is_read(tmp_path):
    write_proven(TABLE, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").equals(TABLE, null_equal=True)
    TABLE.write_parquet(tmp_path / "earlier.parquet")
    assert read_table(tmp_path / "earlier.parquet").equals(TABLE, null_equal=True)


def test_every_flipped_bit_is_found_before_anything_opens_the_table(tmp_path, monkeypatch):
    """Of 2,000 flips one ended the whole process inside polars."""
    path = tmp_path / "t.parquet"
    write_proven(TABLE, path)
    whole = path.read_bytes()
    monkeypatch.setattr(pl, "read_parquet", None)
    for i in range(0, 8 * len(whole), 5):
        damaged = bytearray(whole)
        damaged[i // 8] ^= 1 << i % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedTable, match=r"t.sha256 says so"):
            read_table(path)
    (tmp_path / "t.sha256").write_bytes(b"\xff")
    with pytest.raises(DamagedTable, match=r"t.sha256 says so"):
        read_table(path)


@pytest.mark.skipif(os.name != "posix", reason="it has no limits of files")
def test_a_disk_that_is_full_at_any_byte_of_a_table_is_known_as_one(tmp_path):
    """Where a file ended, polars said "Invalid thrift: transport error": a traceback, or a run that holds none."""
    import resource

    path, (soft, hard) = tmp_path / "t.parquet", resource.getrlimit(resource.RLIMIT_FSIZE)
    put_parquet(TABLE, path)
    TABLE.write_parquet(tmp_path / "polars.parquet")
    whole = path.read_bytes()
    assert whole == (tmp_path / "polars.parquet").read_bytes()
    for size in range(0, len(whole), 61):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(OSError) as raised:
                put_parquet(TABLE, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert unwritable(raised.value), size


def test_every_table_is_written_so():
    wrong = [path for folder in ("harness", "methods", "tasks") for path in (ROOT / folder).rglob("*.py")
             if "write_parquet(" in path.read_text(encoding="utf-8") and path.name != "files.py"]  # fmt: skip
    assert not wrong


@pytest.mark.parametrize("content", [b"", b"x", b"PAR1", None])
def test_what_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "a[1]" / "t.parquet"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"t.parquet is (not parquet|missing)"):
        read_parquet(path)
