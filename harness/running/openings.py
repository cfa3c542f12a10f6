"""Every opening of the test slice, also by runs that died: openings.jsonl in the run's folder, a line an opening.

    noted_openings(folder, [{"time": ..., "settings": ..., "commit": ...}])      # all; these are noted first

Lines are added and forced to the disk before the first answer, and never changed; run.json repeats them.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.errors import UserError
from harness.core.files import to_disk
from harness.evidence.store import read_about

_FILE = "openings.jsonl"
_TORN = {"time": "", "settings": "", "commit": "", "dirty": None}  # a line that a power cut left half


def noted_openings(folder: Path, new: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All openings of a run, oldest first, after the new ones are noted."""
    path, in_record = folder / _FILE, _in_record(folder)
    content = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    noted = [_read(line) for line in content.splitlines() if line.strip()]
    end = "\n" if content and not content.endswith("\n") else ""  # of a line that was torn
    added = [*(one for one in in_record if one not in noted), *map(dict, new)]  # of earlier versions, and the new
    if added:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(end + "".join(json.dumps(one) + "\n" for one in added))
            file.flush()
            os.fsync(file.fileno())
        to_disk([path])
    return [*noted, *added]


def _in_record(folder: Path) -> list[dict[str, Any]]:
    """Those that run.json has; none where there is none, or one that cannot be read."""
    if not (folder / "run.json").exists():
        return []
    try:
        noted = read_about(folder).get("openings")
    except UserError:
        return []
    return [one for one in noted if isinstance(one, dict)] if isinstance(noted, list) else []


def _read(line: str) -> dict[str, Any]:
    try:
        one = json.loads(line)
    except ValueError:
        return dict(_TORN)
    return one if isinstance(one, dict) else dict(_TORN)
