"""Tables that prove themselves."""

import polars as pl
import pytest

from harness.core.errors import UserError
from harness.evidence.proven_table import DamagedTable, read_table, write_proven
from harness.evidence.store import read_parquet

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


@pytest.mark.parametrize("content", [b"", b"x", b"PAR1", None])
def test_what_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "a[1]" / "t.parquet"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"t.parquet is (not parquet|missing)"):
        read_parquet(path)
