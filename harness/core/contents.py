"""What a folder holds, file by file: names and sha256, each file read once and remembered while it stays as it is.

contents(Path("my-model"), cache)      # {"config.json": "9f86...", "tokenizer/merges.txt": "60303..."}
"""

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import require_ends, stored_text, whole

_SETTLED_NS = 2 * 10**9  # a file younger than this may change again within one tick of its file system's clock


def contents(folder: Path, cache: Path) -> dict[str, str]:
    """Name (with slashes, below the folder) -> sha256 of every file in it, links followed, hidden ones left out."""
    return {name: sha256_of(path, cache) for name, path in files_below(folder).items()}


def files_below(folder: Path) -> dict[str, Path]:
    """Every file below a folder by its name there, sorted. Raises UserError for a link that leads nowhere."""
    found: dict[str, Path] = {}
    walked: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = Path(root).resolve()
        if real in walked:  # a link back to a folder above, or to one that is listed already
            folders.clear()
            continue
        walked.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(root, name)
            if name.startswith("."):
                continue
            if not path.exists():
                raise UserError(f"{path} is a link that leads nowhere; mend or remove it")
            try:
                require_ends(path)
            except ValueError as error:
                raise UserError(f"{path} cannot be read: {error}; remove it") from error
            found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def sha256_of(path: Path, cache: Path) -> str:
    """sha256 of a file, from `cache`/hashes where path, size, times and inode are those it was read at.

    A file that was written less than two seconds ago is read but not remembered: another write of the same size could
    leave it with the same times. Raises UserError where the file changes while it is read.
    """
    resolved = path.resolve()
    note = cache / "hashes" / f"{digest(str(resolved))[:32]}.json"
    before = _stamp(resolved)
    if (remembered := _remembered(note)) and remembered["stamp"] == before:
        return str(remembered["sha256"])
    read_at = time.time_ns()
    found = file_sha256(resolved)
    if _stamp(resolved) != before:
        raise UserError(f"{path} changes while it is read; wait until it is written, and run the same command again")
    if read_at - max(before["mtime_ns"], before["ctime_ns"]) > _SETTLED_NS:
        noted = {"path": str(resolved), "stamp": before, "sha256": found}
        with suppress(PermissionError), whole(note) as part:  # of a cache that may only be read
            part.write_text(json.dumps({**noted, "proof": digest(noted)}) + "\n", encoding="utf-8")
    return found


def forget(cache: Path) -> None:
    """Have every file be read again that `sha256_of` is asked for: nothing that was noted of it is believed."""
    shutil.rmtree(cache / "hashes", ignore_errors=True)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns,  # a copy can bring its mtime along, but not this
        "inode": stat.st_ino,
    }


def _remembered(note: Path) -> dict[str, object] | None:
    """What was noted of a file; None where nothing was, or where the note is damaged or cannot prove itself."""
    try:
        read = json.loads(stored_text(note))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(read, dict) or not {"stamp", "sha256", "proof"} <= read.keys():
        return None
    proof = read.pop("proof")
    return read if proof == digest(read) else None
