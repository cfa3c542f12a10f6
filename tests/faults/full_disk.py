"""A disk that is full at every write in turn: one error each time, and the same command goes on when there is room.

Where file systems may be mounted, a small one in memory is the disk, which grows by a page or by a file from one try to
the next, so that every write of every library fails once as it does on a real one. Elsewhere the n-th file that is
begun finds no space.
"""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import harness.core.files as files
from tests.faults.child import call
from tests.faults.jobs import Job
from tests.faults.kills import difference, reference

KINDS = ("KB", "files")  # of disks, where they can be mounted
BEGUN = "begun files"  # elsewhere
_PAGE = 4  # KB


@dataclass(frozen=True)
class Full:
    disk: str  # "112 KB", "31 files", "file 12"
    problem: str  # empty: one error then, and the same bytes afterwards
    fits: bool = False  # nothing was missing: there is no larger one to try


def full_disks(job: Job, kind: str, steps: Iterable[int], place: Path) -> Iterator[Full]:
    """Disks of one kind, one for each step from 1 on, until one has room for all."""
    made = begun_files(job, place, steps) if kind == BEGUN else small_disk(job, place, steps, kind)
    for full in made:
        yield full
        if full.fits:
            return


def may_mount(place: Path) -> bool:
    """Whether a file system in memory can be mounted here."""
    place.mkdir(parents=True, exist_ok=True)
    if not shutil.which("mount") or subprocess.run(_mount(place, "size=4k"), capture_output=True).returncode:
        return False
    subprocess.run(["umount", place], check=True)
    return True


def small_disk(job: Job, place: Path, steps: Iterable[int], kind: str) -> Iterator[Full]:
    """Disks of so many pages ("KB") or of so many files ("files")."""
    expected, code, _ = reference(job, place / "whole")
    disk = place / "disk"
    disk.mkdir()
    for step in steps:
        size = f"{step * _PAGE} KB" if kind == "KB" else f"{step} files"
        limit = f"size={step * _PAGE}k" if kind == "KB" else f"nr_inodes={step + 8}"  # folder, output, files of the job
        subprocess.run(_mount(disk, limit), check=True)
        try:
            if not _prepared(job, disk):
                yield Full(size, "")  # it does not even take what the job reads
                continue
            failed = call(job.arguments, disk, output=place / ".output")
            if failed.code == code:
                yield Full(size, "", fits=True)
                continue
            grow = ["mount", "-o", "remount,size=64m,nr_inodes=100000", disk]
            subprocess.run(grow, check=True)
            yield Full(size, _problem(job, disk, failed.code, failed.text, failed.is_traceback, expected, code))
        finally:
            subprocess.run(["umount", "-l", disk], check=True)


def _prepared(job: Job, disk: Path) -> bool:
    try:
        job.prepare(disk)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


def begun_files(job: Job, place: Path, steps: Iterable[int]) -> Iterator[Full]:
    """Every n-th file of `steps` that a command begins, and all that follow, find no space."""
    expected, code, _ = reference(job, place / "whole")
    for n in steps:
        folder = place / f"full-{n}"
        folder.mkdir()
        job.prepare(folder)
        failed = call(job.arguments, folder, before=_failing_at(n))
        fits = failed.code == code
        wrong = "" if fits else _problem(job, folder, failed.code, failed.text, failed.is_traceback, expected, code)
        yield Full(f"file {n}", wrong, fits)
        shutil.rmtree(folder)


def _problem(
    job: Job, folder: Path, ended: int, text: str, is_traceback: bool, expected: dict[str, bytes], code: int
) -> str:
    if ended != 2 or is_traceback or "error: " not in text:
        return f"exit code {ended}: {text[-700:]}"
    done = call(job.arguments, folder)
    if done.code != code or done.is_traceback:
        return f"afterwards exit code {done.code}: {done.text[-700:]}"
    return difference(expected, job.results(folder))


def _failing_at(n: int) -> Callable[[], None]:
    def install() -> None:
        plain, count = files._beside, 0

        def beside(path: Path):
            nonlocal count
            count += 1
            if count >= n:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return plain(path)

        files._beside = beside

    return install


def _mount(place: Path, options: str) -> list[str | Path]:
    return ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]
