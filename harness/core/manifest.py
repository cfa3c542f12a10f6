"""Lists of what was stored, written beside it, and `verify`, which says what is no longer as it was written.

    write_manifest(folder, ["scores.parquet"], rows={"scores.parquet": 60})     # folder/manifest.json
    verify(folder)                 # [] or ["scores.parquet has 812 bytes, and 1204 were written", ...]
    problems_of(folder, ["scores.parquet"])      # of these files alone

Batches of a stage carry their own lists: see batch.py.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.core.batch import batch_problems
from harness.core.contents import file_sha256, files_below
from harness.core.files import stored_text, whole

MANIFEST = "manifest.json"
Hash = Callable[[Path], str]  # sha256 of a file, read now or remembered


def write_manifest(
    folder: Path, names: Iterable[str], rows: Mapping[str, int] | None = None, sha256: Hash = file_sha256
) -> None:
    """Write folder/manifest.json: size in bytes and sha256 of these files below it, and rows of those that are tables.

    It is one JSON object, {"files": {name: {"bytes": n, "sha256": hex, "rows": n}}}.
    """
    write_entries(folder, {name: entry_of(folder / name, (rows or {}).get(name), sha256) for name in names})


def renew_in_manifest(folder: Path, names: Iterable[str]) -> None:
    """List these files as they are now, where the folder has a manifest; one without, of an earlier version, gets none.

    Nothing is written where they are listed so already, nor where the manifest is damaged, which `verify` says.
    """
    try:
        listed = listed_in(folder)
    except (OSError, ValueError):
        return
    now = {**listed, **{name: entry_of(folder / name) for name in names}}
    if now != listed:
        write_entries(folder, now)


def verify(folder: Path) -> list[str]:
    """What in a folder is not as it was stored, a line each: by its manifest.json, and by what its batches carry."""
    batches = sorted(folder.glob("batch-*.json"))
    problems = [] if batches and not (folder / MANIFEST).exists() else problems_of(folder)
    return problems + [problem for path in batches for problem in batch_problems(path)]


def problems_of(folder: Path, names: Iterable[str] | None = None, sha256: Hash = file_sha256) -> list[str]:
    """What is wrong with files that folder/manifest.json lists, or with these, which it must; a line each."""
    try:
        listed = listed_in(folder)
    except FileNotFoundError:
        return [f"{MANIFEST} is missing"]
    except (OSError, ValueError) as error:
        return [f"{MANIFEST} is no list of files ({error})"]
    if names is None:
        return [problem for name, entry in listed.items() for problem in _file_problems(folder, name, entry, sha256)]
    found = []
    for name in names:
        if name in listed:
            found += _file_problems(folder, name, listed[name], sha256)
        elif (folder / name).exists():
            found.append(f"{name} is there and {MANIFEST} does not list it")
    return found


def unlisted(folder: Path, below: str = "") -> list[str]:
    """Files below folder/`below` that its manifest does not list, a line each: what somebody put there."""
    try:
        listed = listed_in(folder)
    except (OSError, ValueError):
        return []  # which `problems_of` says
    found = (f"{below}/{name}" if below else name for name in files_below(folder / below))
    return [f"{name} was not written there" for name in found if name not in listed and name != MANIFEST]


def written_problems(folder: Path, below: str = "") -> list[str]:
    """Both of a folder that one command writes whole: what is not as it was written, and what was not written."""
    return [*problems_of(folder), *unlisted(folder, below)]


def listed_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Name -> size, sha256 and rows. Raises ValueError where the file is no list of files, OSError where it is none."""
    try:
        read = json.loads(stored_text(folder / MANIFEST))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    listed = read.get("files") if isinstance(read, dict) else None
    if not isinstance(listed, dict) or not all(_is_entry(entry) for entry in listed.values()):
        raise ValueError("it names no files with their bytes and sha256")
    return listed


def entry_of(path: Path, rows: int | None = None, sha256: Hash = file_sha256) -> dict[str, Any]:
    """What a manifest says of a file."""
    entry: dict[str, Any] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    return entry if rows is None else {**entry, "rows": rows}


def write_entries(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Write folder/manifest.json."""
    with whole(folder / MANIFEST) as part:
        part.write_text(json.dumps({"files": dict(sorted(files.items()))}, indent=1) + "\n", encoding="utf-8")


def _file_problems(folder: Path, name: str, entry: Mapping[str, Any], sha256: Hash) -> list[str]:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return [f"{name} is no name of a file in this folder"]
    path = folder / name
    if not path.is_file():
        return [f"{name} is missing"]
    if (size := path.stat().st_size) != entry["bytes"]:
        return [f"{name} has {size} bytes, and {entry['bytes']} were written"]
    return [f"{name} has another sha256 than was written"] if sha256(path) != entry["sha256"] else []


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)
