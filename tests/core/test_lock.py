"""One process at a time, and who waits says for whom."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.core import lock
from harness.core.lock import LOCKS, alone

HOLD = """
import sys, time
from pathlib import Path
from harness.core.lock import alone
with alone(Path(sys.argv[1]), "toy-1"):
    print("in", flush=True)
    time.sleep(float(sys.argv[2]))
print("out", flush=True)
"""


def holding(name: Path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", HOLD, str(name), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in\n"
    return process


def test_the_second_waits_says_for_whom_and_then_goes_on(tmp_path, capsys):
    process = holding(tmp_path / LOCKS / "toy-1", 1.0)
    with alone(tmp_path / LOCKS / "toy-1", "toy-1"):
        assert process.wait(timeout=10) == 0  # it was out first
    said = capsys.readouterr().err
    assert said.startswith(f"toy-1 is being made by process {process.pid} on ") and said.count("\n") == 1


def test_a_killed_process_holds_nothing(tmp_path, capsys):
    process = holding(tmp_path / LOCKS / "toy-1", 60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with alone(tmp_path / LOCKS / "toy-1", "toy-1"):
        assert capsys.readouterr().err == ""


def test_locks_of_other_names_are_others_and_git_sees_none(tmp_path):
    process = holding(tmp_path / LOCKS / "toy-1", 60)
    start = time.monotonic()
    with alone(tmp_path / LOCKS / "toy-2", "toy-2"):
        assert time.monotonic() - start < 30
    process.kill()
    process.wait()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    seen = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert seen.stdout == ""


def test_an_error_inside_frees_it(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), alone(tmp_path / LOCKS / "toy-1", "toy-1"):
            _ = 1 / 0
    assert not (tmp_path / LOCKS / "toy-1.json").exists()


def test_a_disk_without_locks_lets_everybody_in_and_says_so(tmp_path, monkeypatch, capsys):
    class Without:
        def __init__(self, *_: object) -> None:
            pass

        def acquire(self, **_: object) -> None:
            raise OSError(37, "No locks available")

    monkeypatch.setattr(lock, "FileLock", Without)
    with alone(tmp_path / LOCKS / "toy-1", "toy-1"):
        assert "lies on a disk without locks" in capsys.readouterr().err
