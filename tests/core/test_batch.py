"""Arrays of a batch: written as numpy does, and nothing is said where somebody stops it in the middle."""

import gc
import io
import signal
import sys
from zipfile import ZipFile

import numpy as np
import pytest

from harness.core.batch import read_batch, write_batch

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "longer name": np.zeros((0, 4)), "c": np.array(["é", "b"])}


def test_arrays_are_written_as_numpy_writes_them(tmp_path):
    write_batch(tmp_path / "batch-0000.json", [], [1], ARRAYS)
    by_numpy = io.BytesIO()
    np.savez(by_numpy, **ARRAYS)
    assert (tmp_path / "batch-0000.npz").read_bytes() == by_numpy.getvalue()
    assert read_batch(tmp_path / "batch-0000.json").is_proven


def test_a_signal_while_a_file_is_closed_leaves_no_file_and_no_traceback(tmp_path, monkeypatch):
    """The collector closed the archive after its file: `ValueError: seek of closed file` behind the words for users."""
    close, calls, said = ZipFile.close, [], []

    def closing(archive):
        calls.append(archive.filename)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGTERM)
        close(archive)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ZipFile, "close", closing)
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            write_batch(tmp_path / "batch-0000.json", [], [], ARRAYS)
    finally:
        signal.signal(signal.SIGTERM, before)
    gc.collect()
    assert len(calls) > 1 and not said and not list(tmp_path.iterdir())
