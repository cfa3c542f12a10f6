"""Commands that are killed at random moments and begun again must end with the same bytes.

Three ways: SIGKILL and SIGTERM to all processes of a command, and a power cut, which is SIGKILL and then the files that
were written last cut short or filled with zeros, as a disk leaves them that had not written them yet.
"""

import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.child import begin, call
from tests.faults.jobs import Job

WAYS = ("SIGKILL", "SIGTERM", "power cut")
_LAST = 0.3  # seconds before a power cut: what was written then may be lost
_MOST_KILLS = 3  # of one command in a row


@dataclass(frozen=True)
class Killed:
    """One command, killed once or several times, then let go on to its end."""

    way: str
    kills: int
    problem: str  # empty: the same bytes


def killed(job: Job, numbers: Iterable[int], place: Path, seed: int, ways: tuple[str, ...] = WAYS) -> Iterator[Killed]:
    """The sequences of these numbers, the ways in turn; each is decided by seed and number.

    A command that ended before it could be killed counts as killed 0 times.
    """
    expected, code, seconds = reference(job, place / "whole")
    for i in numbers:
        folder = place / f"killed-{i}"
        folder.mkdir(parents=True)
        job.prepare(folder)
        yield _kill(job, folder, ways[i % len(ways)], seconds, np.random.default_rng([seed, i]), expected, code)
        shutil.rmtree(folder)


def reference(job: Job, place: Path) -> tuple[dict[str, bytes], int, float]:
    """Results, exit code and seconds of a command that nobody disturbs."""
    place.mkdir(parents=True)
    job.prepare(place)
    started = time.monotonic()
    done = call(job.arguments, place)
    assert done.code in (0, 1) and not done.is_traceback, done.text
    results = job.results(place)
    assert results, "a job without results proves nothing"
    return results, done.code, time.monotonic() - started


def _kill(
    job: Job, folder: Path, way: str, seconds: float, rng: np.random.Generator, expected: dict[str, bytes], code: int
) -> Killed:
    kills = 0
    for _ in range(int(rng.integers(1, _MOST_KILLS + 1))):
        child = begin(job.arguments, folder)
        time.sleep(rng.uniform(0, seconds))
        child.kill(signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL)
        ended = child.wait()
        if ended.code == code:
            break
        kills += 1
        if ended.is_traceback:
            return Killed(way, kills, f"traceback when killed: {ended.text[-600:]}")
        if way == "power cut":
            lose_last_writes(folder, rng)
    done = call(job.arguments, folder)
    if done.hangs:
        return Killed(way, kills, "it hangs afterwards")
    if done.code != code or done.is_traceback:
        return Killed(way, kills, f"exit code {done.code} afterwards: {done.text[-600:]}")
    return Killed(way, kills, difference(expected, job.results(folder)))


def lose_last_writes(folder: Path, rng: np.random.Generator) -> None:
    """Cut short, empty or fill with zeros half of the files that were written last."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".output"]
    written = {path: path.stat().st_mtime for path in files}
    last = max(written.values(), default=0.0) - _LAST
    for path in sorted(path for path, when in written.items() if when >= last and path.suffix not in (".py", ".jsonl")):
        content = path.read_bytes()
        if rng.random() < 0.5 or not content:
            continue
        kept = int(rng.integers(0, len(content)))
        lost = b"" if rng.random() < 0.5 else bytes(len(content) - kept)
        path.write_bytes(content[:kept] + lost)


def difference(expected: dict[str, bytes], found: dict[str, bytes]) -> str:
    """Which results are missing, more, or have other bytes; empty where all are the same."""
    names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    return f"other bytes: {', '.join(names[:5])}" if names else ""
