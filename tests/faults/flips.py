"""Random bit flips, cuts and deletions over the cache and the results must never go by silently.

Of each fault there are four ends: nothing came of it (the same results), it was mended (the same results, and a line
says so), it was named (one error, exit code 2), or it was silently wrong (other results, exit code 0): it must not.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.child import call
from tests.faults.jobs import Job
from tests.faults.kills import difference, reference

KINDS = ("flip", "flip", "flip", "delete", "empty", "cut")


@dataclass(frozen=True)
class Fault:
    """What was done to which file, and what came of it."""

    kind: str
    file: str
    command: str
    end: str  # nothing, mended, named, silently wrong, traceback, hang
    said: str


def faults(job: Job, numbers: Iterable[int], place: Path, seed: int) -> Iterator[Fault]:
    """Break one file of a finished command's cache or results, then ask for the same and for a report.

    Which file and how is decided by seed and number.

    Where it is in the cache, the results are removed first, so that they are made of what the cache has.
    """
    whole = place / "whole"
    expected, code, _ = reference(job, whole)
    [stored] = (whole / "out" / "runs").iterdir()
    shown = call(["export", stored.name, "--csv", "--out", "out"], whole).text
    for i in numbers:
        folder, rng = place / f"fault-{i}", np.random.default_rng([seed, i])
        shutil.copytree(whole, folder, symlinks=True)
        in_cache = i % 2 == 0
        files = sorted(path for path in (folder / ("cache" if in_cache else "out")).rglob("*") if path.is_file())
        files = [path for path in files if ".locks" not in path.parts and path.suffix not in (".png", ".svg", ".pdf")]
        path, kind = files[int(rng.integers(len(files)))], KINDS[int(rng.integers(len(KINDS)))]
        damage(path, kind, rng)
        name = path.relative_to(folder).as_posix()
        if in_cache:
            shutil.rmtree(folder / "out")
            yield _after(job, folder, kind, name, expected, code)
        elif rng.random() < 0.5:
            yield _after(job, folder, kind, name, expected, code)
        else:
            yield _shown(stored.name, folder, kind, name, shown)
        shutil.rmtree(folder)


def damage(path: Path, kind: str, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    if kind == "delete":
        path.unlink()
    elif kind == "empty" or not content:
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(content[: int(rng.integers(len(content)))])
    else:
        bit = int(rng.integers(8 * len(content)))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)


def _after(job: Job, folder: Path, kind: str, name: str, expected: dict[str, bytes], code: int) -> Fault:
    done = call(job.arguments, folder)
    if done.code == code:
        wrong = difference(expected, job.results(folder))
        end = "silently wrong" if wrong else "mended" if "again" in done.text else "nothing"
        return Fault(kind, name, "run", end, wrong or done.text[-300:])
    return Fault(kind, name, "run", _failed(done.hangs, done.is_traceback), done.text[-900:])


def _shown(run: str, folder: Path, kind: str, name: str, shown: str) -> Fault:
    done = call(["export", run, "--csv", "--out", "out"], folder)
    if done.code == 0:
        return Fault(kind, name, "export", "nothing" if done.text == shown else "silently wrong", done.text[-300:])
    return Fault(kind, name, "export", _failed(done.hangs, done.is_traceback), done.text[-900:])


def _failed(hangs: bool, is_traceback: bool) -> str:
    return "hang" if hangs else "traceback" if is_traceback else "named"
