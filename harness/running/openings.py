"""Every opening of the test slice, also by runs that died: openings.jsonl in the run's folder, a line an opening.

    noted_openings(folder, [{"time": ..., "settings": ..., "commit": ...}])      # all; these are noted first

Lines are added and forced to the disk before the first answer, each with the hash of what it says, and never changed.
run.json repeats them: a line that is torn or damaged, which one message says, is taken from there, and counts as an
opening of which nothing else is known where that is gone, too.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import stored_text, to_disk
from harness.core.printable import printable
from harness.evidence.store import read_about

_FILE, _PROOF = "openings.jsonl", "sha256"
_TORN = {"time": "", "settings": "", "commit": "", "dirty": None}  # of a line that cannot be read

Opening = dict[str, Any]


def noted_openings(folder: Path, new: Sequence[Mapping[str, Any]]) -> list[Opening]:
    """All openings of a run, oldest first, after the new ones are noted."""
    path = folder / _FILE
    try:
        content = stored_text(path, errors="replace") if path.exists() else ""
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}; remove it and run the same command again") from error
    lines = [_read(line) for line in content.split("\n") if line.strip()]
    missing = _without(_in_record(folder), [line for line in lines if line is not None])
    damaged = [number for number, line in enumerate(lines, 1) if line is None]
    if damaged:
        where, known = ", ".join(map(str, damaged)), min(len(damaged), len(missing))
        print(
            printable(
                f"{path}: line {where} is not as it was written; {known} of {len(damaged)} known from run.json, and "
                "all count as openings"
            ),
            file=sys.stderr,
        )
    noted = [line if line is not None else missing.pop(0) if missing else dict(_TORN) for line in lines]
    added = [*missing, *map(dict, new)]  # of earlier versions, and the new
    if added:
        end = "\n" if content and not content.endswith("\n") else ""  # of a line that was torn
        folder.mkdir(parents=True, exist_ok=True)
        _append(path, end + "".join(json.dumps({**one, _PROOF: digest(one)}) + "\n" for one in added))
    return [*noted, *added]


def _append(path: Path, lines: str) -> None:
    """In one write, so that what another process appends at once, on a disk without locks, comes before or behind."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        written = lines.encode()
        while written:
            written = written[os.write(handle, written) :]
    finally:
        os.close(handle)
    to_disk([path])


def _in_record(folder: Path) -> list[Opening]:
    """Those that run.json has; none where there is none, or one that cannot be read."""
    if not (folder / "run.json").exists():
        return []
    try:
        noted = read_about(folder).get("openings")
    except UserError:
        return []
    return [one for one in noted if isinstance(one, dict)] if isinstance(noted, list) else []


def _without(openings: Iterable[Opening], known: Iterable[Opening]) -> list[Opening]:
    """Those of `openings` that are not among the known, each as often as it is there more often."""
    left, found = Counter(digest(one) for one in known), list[Opening]()
    for one in openings:
        if left[name := digest(one)]:
            left[name] -= 1
        else:
            found.append(one)
    return found


def _read(line: str) -> Opening | None:
    """What a line says; None where it is not as it was written. Lines of earlier versions carry no proof."""
    try:
        one = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(one, dict):
        return None
    proof = one.pop(_PROOF, None)
    return one if proof in (None, digest(one)) else None
