"""A disk that takes no more is one line, whatever library met it."""

import shutil

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from harness import cli
from harness.core.unwritable import unwritable


def written_by_python(path):
    with path.open("w") as file:
        file.write("x")


def written_by_shutil(path):
    (path.parent / "source").write_text("x")
    shutil.copytree(path.parent, path, ignore=lambda *_: [])


@pytest.mark.skipif(not shutil.os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "write",
    [
        written_by_python,
        lambda path: pl.DataFrame({"a": [1] * 10_000}).write_parquet(path),
        lambda path: np.savez(path.open("wb"), a=np.ones(100_000)),
    ],
)
def test_a_full_disk_is_known_from_what_each_library_says(tmp_path, write):
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    with pytest.raises(Exception) as raised:  # each library has its own
        write(path)
    assert "No space left on device" in unwritable(raised.value)


def test_a_folder_that_is_none_is_known_too(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(Exception) as raised:
        save_file({"a": np.ones(2)}, tmp_path / "file" / "below")
    assert "Not a directory" in unwritable(raised.value)
    several = shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")])
    assert unwritable(several) == "a file: No space left on device"


def test_faults_of_the_code_stay_what_they_are(place, monkeypatch):
    for fault in (KeyError("x"), ValueError("os error"), OSError(2, "No such file", "x"), RuntimeError("[Errno 2] no")):
        assert unwritable(fault) is None
    monkeypatch.setattr("harness.running.run.complete", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["run", "--task", "toy"])
