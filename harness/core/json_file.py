"""JSON files that prove themselves: an object with the sha256 of everything else in it.

    write_json(path, {"status": "done"})        # {"status": "done", "sha256": "5d3c..."}
    read_json(path, "remove it")                # {"status": "done"}; UserError where it is not as it was written

Files without a sha256, of earlier versions or by hand, are read as they are. Who edits one takes its sha256 out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import stored_text, whole

_PROOF = "sha256"


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain data with its proof; what has one already gets another."""
    plain = {name: value for name, value in data.items() if name != _PROOF}
    with whole(path) as part:
        part.write_text(json.dumps({**plain, _PROOF: digest(plain)}, indent=1) + "\n", encoding="utf-8")


def json_problems(path: Path) -> list[str]:
    """What is wrong with such a file, for who only looks; a list is of an earlier version, and proves nothing."""
    try:
        if isinstance(json.loads(stored_text(path)), list):
            return []
        read_json(path, "")
    except (OSError, ValueError, RecursionError, UserError):
        return [f"{path.name} is not as it was written"]
    return []


def is_proven(path: Path) -> bool:
    """Whether a file carries a proof of what it says."""
    try:
        said = json.loads(stored_text(path))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and _PROOF in said


def read_json(path: Path, mend: str) -> dict[str, Any]:
    """What such a file says, without its proof. The UserError for a damaged one ends with `mend`, what to do."""
    try:
        said = json.loads(stored_text(path))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {mend}") from error
    except (ValueError, IsADirectoryError, NotADirectoryError, RecursionError) as error:  # UnicodeDecodeError is one
        raise UserError(f"{path} is not JSON ({error}); {mend}") from error
    if not isinstance(said, dict):
        raise UserError(f"{path} holds a {type(said).__name__} where names and values belong; {mend}")
    proof = said.pop(_PROOF, None)
    if proof is not None and proof != digest(said):
        raise UserError(f"{path} is not as it was written; {mend}")
    return said
