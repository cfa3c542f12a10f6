"""The long form of the faults: python -m tests.faults kills run --count 100 --seed 0 [--to results/reliability]

    kills run|tune|ablate|align|parallel     killed at random moments (SIGKILL, SIGTERM, power cut): same bytes
    flips                                    bit flips, cuts and deletions over cache and results: none silently wrong
    malformed run|others                     odd inputs over every command, in two groups: no traceback, no hang
    together                                 equal commands at once: one run, same bytes
    full-disk run|tune|ablate|align          a disk that is full at every write in turn (--count 0), or at some

Prints a line a problem, and puts the numbers, with the command that made them, into FOLDER/<what>.jsonl. Kills, flips
and odd inputs are decided by seed and number each, full disks by their size, and FOLDER/sequences/ has a line of each
as it ends: the same command, interrupted or with --minutes, goes on from there, and with a larger --count does what is
missing alone.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import count, tee
from pathlib import Path
from typing import Any

from harness.running.provenance import commit_of_code
from tests.faults.child import without_drawing
from tests.faults.flips import faults
from tests.faults.full_disk import BEGUN, KINDS, full_disks, may_mount
from tests.faults.jobs import JOBS, PARALLEL, Job
from tests.faults.kills import killed
from tests.faults.malformed import GROUPS, malformed
from tests.faults.sequences import Sequences
from tests.faults.together import together

_ALL = {**JOBS, "parallel": PARALLEL}
Make = Callable[[str, Sequence[int], Path, int], Iterator[Any]]
_SEQUENCES: dict[str, tuple[Make, Callable[[dict[str, Any]], bool]]] = {  # how they are made, and which are problems
    "kills": (lambda name, *asked: killed(_ALL[name], *asked), lambda line: bool(line["problem"])),
    "flips": (
        lambda name, *asked: faults(_ALL[name], *asked),
        lambda line: line["end"] not in ("nothing", "mended", "named"),
    ),
    "malformed": (malformed, lambda line: line["end"] in ("traceback", "hang")),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("what", choices=("kills", "flips", "malformed", "together", "full-disk"))
    parser.add_argument("job", nargs="?", choices=sorted({*_ALL, *GROUPS}), default="run")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="stop after so many; the same command goes on")
    parser.add_argument("--to", type=Path, help="folder of the numbers")
    given = parser.parse_args()
    without_drawing()
    place, started = Path(tempfile.mkdtemp(prefix="faults-")), time.time()
    try:
        found = _found(given, place, started)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    of = f"{given.what} {given.job} --count {given.count} --seed {given.seed}"
    commit, dirty = commit_of_code()
    line = {"command": f"python -m tests.faults {of}", "commit": commit[:10], "dirty": dirty, **found}
    print(json.dumps(line))
    if given.to is not None:
        given.to.mkdir(parents=True, exist_ok=True)
        _put(given.to / f"{given.what}.jsonl", line)
    return 1 if found["problems"] else 0


def _put(path: Path, line: dict[str, Any]) -> None:
    """A line of the same command is of what was done until then, and gives way."""
    stored = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    kept = [one for one in stored if json.loads(one)["command"] != line["command"]]
    path.write_text("".join([*kept, json.dumps(line) + "\n"]), encoding="utf-8")


def _found(given: argparse.Namespace, place: Path, started: float) -> dict[str, Any]:
    def is_time() -> bool:
        return given.minutes is not None and time.time() - started > 60 * given.minutes

    if given.what in _SEQUENCES:
        make, wrong = _SEQUENCES[given.what]
        name = f"{given.what}-{given.job}-{given.seed}.jsonl"
        stored = Sequences(None if given.to is None else given.to / "sequences" / name)
        _go_on(stored, make, given.job, given.count, place, given.seed, is_time)
        return _counted(given.count, list(stored.lines.values()), wrong)
    job = _ALL[given.job]
    if given.what == "together":
        made = together(job, given.count, place)
        wrong_one = made.problem or made.did_the_run != 1 or made.openings != 1
        return {**asdict(made), **_told([str(made)] if wrong_one else [])}
    return _full_disks(given, job, place, is_time)


def _go_on(
    stored: Sequences, make: Make, name: str, count: int, place: Path, seed: int, is_time: Callable[[], bool]
) -> None:
    """Do what is not stored yet, in order, and store each as it ends."""
    missing = stored.missing(count)
    _store_each(stored, missing, make(name, missing, place, seed), is_time)


def _store_each(stored: Sequences, numbers: Iterable[int], made: Iterator[Any], is_time: Callable[[], bool]) -> None:
    commit = commit_of_code()[0][:10]
    clock, cpu = time.monotonic(), _cpu_seconds()
    for number, one in zip(numbers, made, strict=False):
        now, spent = time.monotonic(), _cpu_seconds()
        times = {"seconds": round(now - clock, 2), "cpu_seconds": round(spent - cpu, 2), "commit": commit}
        stored.add(number, {**_as_plain(one), **times})
        clock, cpu = now, spent
        if is_time():
            return


def _as_plain(one: Any) -> dict[str, Any]:
    """What is too long to be kept of every sequence is cut; places of this machine are no part of it."""
    said = json.loads(json.dumps(asdict(one), default=str, ensure_ascii=True))
    return {name: value[-900:] if isinstance(value, str) else value for name, value in said.items()}


def _counted(asked: int, lines: Sequence[dict[str, Any]], wrong: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The numbers of all sequences that are stored, of this call and those before."""
    kinds = Counter(line["way"] if "way" in line else line["end"] for line in lines)
    kills = {"kills": sum(line["kills"] for line in lines)} if any("kills" in line for line in lines) else {}
    return {
        "asked": asked,
        "done": len(lines),
        "kinds": dict(sorted(kinds.items())),
        **kills,
        "cpu_seconds": round(sum(line["cpu_seconds"] for line in lines)),
        "commits": sorted({line["commit"] for line in lines}),
        **_told([json.dumps(line) for line in lines if wrong(line)]),
    }


def _cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _full_disks(given: argparse.Namespace, job: Job, place: Path, is_time: Callable[[], bool]) -> dict[str, Any]:
    """Every write in turn with a count of 0; else `count` of them, at equal distances over a toy run."""
    done: dict[str, Any] = {}
    wrong, commits = [], set[str]()
    for kind in KINDS if may_mount(place / "try") else (BEGUN,):
        name = f"full-disk-{given.job}-{kind.replace(' ', '-')}.jsonl"
        stored = Sequences(None if given.to is None else given.to / "sequences" / name)
        if not (any(line["fits"] for line in stored.lines.values()) or is_time()):
            steps = count(1) if given.count == 0 else range(1, 400, max(1, 120 // given.count))
            ours, theirs = tee(step for step in steps if step not in stored.lines)
            _store_each(stored, ours, full_disks(job, kind, theirs, place / kind), is_time)
        lines = list(stored.lines.values())
        all_of_them = given.count == 0 and any(line["fits"] for line in lines)
        done[kind] = {"tried": len(lines), "fits": [line["disk"] for line in lines if line["fits"]], "all": all_of_them}
        wrong += [f"{line['disk']}: {line['problem']}" for line in lines if line["problem"]]
        commits |= {line["commit"] for line in lines}
    return {"disks": done, "commits": sorted(commits), **_told(wrong)}


def _told(problems: list[str]) -> dict[str, Any]:
    for problem in problems:
        print(problem, file=sys.stderr, flush=True)
    return {"problems": len(problems), "examples": [problem[:400] for problem in problems[:5]]}


if __name__ == "__main__":
    raise SystemExit(main())
