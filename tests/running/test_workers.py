"""Batches over processes, which live no longer than who started them."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness.core.errors import UserError
from harness.running.workers import choose_workers, run_batches


def test_every_batch_is_done_once_whatever_the_number_of_workers(tmp_path):
    for workers in (1, 2, 5):
        folder = tmp_path / str(workers)
        folder.mkdir()
        done = list(run_batches(lambda i, f=folder: (f / str(i)).touch(exist_ok=False), range(7), workers))
        assert sorted(done) == list(range(7))
        assert len(list(folder.iterdir())) == 7


def test_an_accelerator_is_never_forked():
    assert choose_workers(None, "cuda", 1.0) == choose_workers(1, "mps", 1.0) == 1
    with pytest.raises(UserError, match="--workers 2 on cuda"):
        choose_workers(2, "cuda", 1.0)
    assert choose_workers(None, "cpu", 0.01) >= 1 and choose_workers(3, "cpu", 1e9) == 3
    assert choose_workers(None, "cpu", 1e9) == 1


WORK = """
import os, sys, time
from harness.running.workers import run_batches
def job(i):
    if i < 2:
        open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
        time.sleep(600)
for _ in run_batches(job, range(8), 3):
    pass
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_die_with_their_parent(tmp_path, how):
    """Killed alone, it left workers of 416 MB asleep for ever: those at work and those without."""
    process = subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path)])
    _until(lambda: len(list(tmp_path.iterdir())) == 2)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 3
    os.kill(process.pid, how)
    process.wait(timeout=10)
    _until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))


HALF = """
import pathlib, sys, time
from harness.core.files import whole
from harness.running.workers import run_batches
def job(i):
    with whole(pathlib.Path(sys.argv[1]) / str(i)) as part:
        part.write_text("half")
        time.sleep(600)
for _ in run_batches(job, range(4), 2):
    pass
"""


@pytest.mark.parametrize("to", [os.kill, os.killpg])
def test_workers_remove_what_they_have_half_written_when_their_parent_is_interrupted(tmp_path, to):
    """A worker that was ended between the writing of a file and its renaming left it under its temporary name."""
    process = subprocess.Popen(
        [sys.executable, "-c", HALF, str(tmp_path)], start_new_session=True, stderr=subprocess.DEVNULL
    )
    _until(lambda: len([p for p in tmp_path.iterdir() if p.read_text() == "half"]) == 2)
    to(process.pid, signal.SIGINT)
    process.wait(timeout=60)
    assert not list(tmp_path.iterdir())


class _Unsendable(Exception):
    def __init__(self, what, where):
        super().__init__(f"{what} at {where}")


@pytest.mark.parametrize(
    "raised, seen",
    [(UserError("no such layer"), UserError), (OSError(28, "full"), OSError), (_Unsendable(1, 2), RuntimeError)],
)
def test_a_failure_of_a_worker_is_that_of_the_parent_and_says_where_it_was(raised, seen):
    def job(i: int) -> None:
        if i == 3:
            raise raised

    with pytest.raises(seen, match=re.escape(str(raised))) as caught:
        list(run_batches(job, range(6), 2))
    assert "in job\n    raise raised" in "".join(caught.value.__notes__)
    assert getattr(caught.value, "errno", None) == getattr(raised, "errno", None)


def test_a_worker_that_is_killed_is_one_clear_error():
    with pytest.raises(UserError, match="a worker process died"):
        list(run_batches(lambda i: os.kill(os.getpid(), signal.SIGKILL) if i == 3 else None, range(6), 2))


MANY = """
from harness.running.workers import run_batches
print("begins", flush=True)
for _ in run_batches(lambda i: None, range(10**6), 3):
    pass
"""


@pytest.mark.slow
def test_an_interruption_at_any_moment_ends_them_all():
    """Workers shared locks: one that was ended with a lock in its hands kept the parent waiting for ever, 2 of 40."""
    pauses = random.Random(0)
    for _ in range(40):
        process = subprocess.Popen(
            [sys.executable, "-c", MANY], start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout.readline() == b"begins\n"
        time.sleep(0.2 * pauses.random())
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert said.endswith(b"KeyboardInterrupt\n") and said.count(b"Traceback") == 1, said


def _until(holds) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
