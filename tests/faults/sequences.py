"""What was done already of a long count: a line a sequence, added as it comes, so that the same command goes on.

stored = Sequences(folder / "sequences" / "kills-run-1.jsonl")
for number in stored.missing(100): ...
    stored.add(number, {"way": "SIGKILL", "problem": ""})
stored.lines                       # all, of this call and those before
"""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

_CHECKOUT = str(Path(__file__).parents[2])
_PLACE = re.compile(re.escape(tempfile.gettempdir()) + r"/[^/\s]+")


class Sequences:
    """Without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path, self.lines = path, dict[int, dict[str, Any]]()
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    one = json.loads(line)
                except ValueError:  # the call was killed while it wrote it; its number is done again
                    continue
                self.lines[one["number"]] = one

    def missing(self, count: int) -> list[int]:
        return [number for number in range(count) if number not in self.lines]

    def add(self, number: int, said: dict[str, Any]) -> None:
        self.lines[number] = {"number": number, **{name: _placeless(value) for name, value in said.items()}}
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        torn = self._path.exists() and self._path.read_bytes()[-1:] not in (b"", b"\n")
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + json.dumps(self.lines[number]) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _placeless(value: Any) -> Any:
    """What was said, without where on this machine it was: lines are committed."""
    return _PLACE.sub("PLACE", value.replace(_CHECKOUT, "CHECKOUT")) if isinstance(value, str) else value
