"""The long form of the faults: python -m tests.faults kills run --count 100 --seed 0 [--to results/reliability]

    kills run|tune|ablate|align|parallel     killed at random moments (SIGKILL, SIGTERM, power cut): same bytes
    flips                                    bit flips, cuts and deletions over cache and results: none silently wrong
    malformed                                odd inputs over every command: no traceback, no hang
    together                                 equal commands at once: one run, same bytes
    full-disk                                a disk that is full at every write in turn (--count 0), or at some

Prints a line a problem, and adds the numbers, with the command that made them, to FOLDER/<what>.jsonl.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.running.provenance import commit_of_code
from tests.faults.child import without_drawing
from tests.faults.flips import faults
from tests.faults.full_disk import Full, begun_files, may_mount, small_disk
from tests.faults.jobs import JOBS, PARALLEL, Job
from tests.faults.kills import killed
from tests.faults.malformed import malformed
from tests.faults.together import together

_ALL = {**JOBS, "parallel": PARALLEL}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("what", choices=("kills", "flips", "malformed", "together", "full-disk"))
    parser.add_argument("job", nargs="?", choices=sorted(_ALL), default="run")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="stop after so many; what was done until then is counted")
    parser.add_argument("--to", type=Path, help="folder of the numbers")
    given = parser.parse_args()
    without_drawing()
    place, started = Path(tempfile.mkdtemp(prefix="faults-")), time.time()
    try:
        found = _found(given, place, started)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    commit, dirty = commit_of_code()
    command = " ".join(["python -m tests.faults", *sys.argv[1:]])
    line = {"command": command, "commit": commit[:10], "dirty": dirty, "seconds": round(time.time() - started), **found}
    print(json.dumps(line))
    if given.to is not None:
        given.to.mkdir(parents=True, exist_ok=True)
        with (given.to / f"{given.what}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return 1 if found["problems"] else 0


def _found(given: argparse.Namespace, place: Path, started: float) -> dict[str, Any]:
    def is_time() -> bool:
        return given.minutes is not None and time.time() - started > 60 * given.minutes

    job, counts, problems = _ALL[given.job], Counter[str](), list[str]()
    if given.what == "kills":
        ways = Counter[str]()
        for one in killed(job, given.count, place, given.seed):
            ways[one.way] += 1
            counts["kills"] += one.kills
            problems += [f"{one.way}: {one.problem}"] if one.problem else []
            if is_time():
                break
        return {"asked": given.count, "sequences": dict(ways), **counts, **_told(problems)}
    if given.what == "flips":
        for fault in faults(job, given.count, place, given.seed):
            counts[fault.end] += 1
            if fault.end not in ("nothing", "mended", "named"):
                problems.append(json.dumps(asdict(fault)))
            if is_time():
                break
        return {"asked": given.count, "faults": counts.total(), "ends": dict(counts), **_told(problems)}
    if given.what == "malformed":
        for bad in malformed(given.count, place, given.seed):
            counts[bad.end] += 1
            if bad.end in ("traceback", "hang"):
                problems.append(json.dumps(asdict(bad)))
            if is_time():
                break
        return {"asked": given.count, "inputs": counts.total(), "ends": dict(counts), **_told(problems)}
    if given.what == "together":
        made = together(job, given.count, place)
        wrong = made.problem or made.did_the_run != 1 or made.openings != 1
        return {**asdict(made), **_told([str(made)] if wrong else [])}
    tries = []
    for full in _full_disks(job, place, given.count):
        tries.append(full)
        if is_time():
            break
    kinds = Counter(one.disk.split()[-1] if one.disk[0].isdigit() else "begun files" for one in tries)
    return {"disks": dict(kinds), **_told([f"{one.disk}: {one.problem}" for one in tries if one.problem])}


def _full_disks(job: Job, place: Path, count: int) -> Iterator[Full]:
    """Every write in turn with a count of 0; else `count` of them, at equal distances over a toy run."""
    steps = range(1, 400, max(1, 120 // count)) if count else range(1, 400)
    if not may_mount(place / "try"):
        yield from begun_files(job, place / "files", steps)
        return
    for kind in ("KB", "files"):
        yield from small_disk(job, place / kind, steps, kind)


def _told(problems: list[str]) -> dict[str, Any]:
    for problem in problems:
        print(problem, file=sys.stderr, flush=True)
    return {"problems": len(problems), "examples": [problem[:400] for problem in problems[:5]]}


if __name__ == "__main__":
    raise SystemExit(main())
