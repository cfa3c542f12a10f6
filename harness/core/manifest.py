"""Lists of what was stored, written beside it, and `verify`, which says what is no longer as it was written.

    write_manifest(folder, ["scores.parquet"], rows={"scores.parquet": 60})     # folder/manifest.json
    verify(folder)                 # [] or ["scores.parquet has 812 bytes, and 1204 were written", ...]

A batch of a stage carries its own list: the number and sha256 of its payload, and name and sha256 of its arrays.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.core.contents import file_sha256
from harness.core.files import from_cache, whole

MANIFEST = "manifest.json"


def write_manifest(folder: Path, names: Iterable[str], rows: Mapping[str, int] | None = None) -> None:
    """Write folder/manifest.json: size in bytes and sha256 of these files below it, and rows of those that are tables.

    It is one JSON object, {"files": {name: {"bytes": n, "sha256": hex, "rows": n}}}.
    """
    _write(folder, {name: _entry(folder / name, (rows or {}).get(name)) for name in names})


def add_to_manifest(folder: Path, names: Iterable[str]) -> None:
    """Add those of these files that folder/manifest.json does not list yet; nothing is written where it lists all."""
    listed: dict[str, dict[str, Any]] = {}
    if (folder / MANIFEST).exists():
        with from_cache(folder / MANIFEST, remove=folder / MANIFEST):
            listed = _read(folder)
    missing = [name for name in names if name not in listed]
    if missing:
        _write(folder, {**listed, **{name: _entry(folder / name) for name in missing}})


def batch_manifest(payload: Any, arrays: Path | None) -> dict[str, Any]:
    """What is stored with a batch: how many entries its payload has, its sha256, and its file of arrays."""
    return {
        "count": _count(payload),
        "sha256": _payload_sha256(payload),
        "arrays": None if arrays is None else {"file": arrays.name, "sha256": file_sha256(arrays)},
    }


def verify(folder: Path) -> list[str]:
    """What in a folder is not as it was stored, a line each: by its manifest.json, and by what its batches carry."""
    problems, batches = [], sorted(folder.glob("batch-*.json"))
    if (folder / MANIFEST).exists():
        try:
            listed = _read(folder)
        except ValueError as error:
            problems.append(f"{MANIFEST} is no list of files ({error})")
        else:
            problems += [problem for name, entry in listed.items() for problem in _file_problems(folder, name, entry)]
    elif not batches:
        problems.append(f"{MANIFEST} is missing")
    return problems + [problem for path in batches for problem in _batch_problems(path)]


def _file_problems(folder: Path, name: str, entry: Mapping[str, Any]) -> list[str]:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return [f"{name} is no name of a file in this folder"]
    path = folder / name
    if not path.is_file():
        return [f"{name} is missing"]
    if (size := path.stat().st_size) != entry["bytes"]:
        return [f"{name} has {size} bytes, and {entry['bytes']} were written"]
    return [f"{name} has another sha256 than was written"] if file_sha256(path) != entry["sha256"] else []


def _batch_problems(path: Path) -> list[str]:
    try:
        batch = json.loads(path.read_text(encoding="utf-8"))
        payload, stored = batch["payload"], batch["manifest"]
        count, sha256, arrays = stored["count"], stored["sha256"], stored["arrays"]
    except (ValueError, KeyError, TypeError) as error:
        return [f"{path.name} is no stored batch ({type(error).__name__}: {error})"]
    problems = []
    if _count(payload) != count:
        problems.append(f"{path.name} has {_count(payload)} entries, and {count} were written")
    elif _payload_sha256(payload) != sha256:
        problems.append(f"{path.name} has another payload than was written")
    if arrays is not None:
        beside = path.with_name(arrays["file"])
        if not beside.is_file():
            problems.append(f"{beside.name} is missing")
        elif file_sha256(beside) != arrays["sha256"]:
            problems.append(f"{beside.name} has another sha256 than was written")
    return problems


def _entry(path: Path, rows: int | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    return entry if rows is None else {**entry, "rows": rows}


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    """Raises ValueError where the file is no list of files."""
    read = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    listed = read.get("files") if isinstance(read, dict) else None
    if not isinstance(listed, dict) or not all(
        isinstance(entry, dict) and {"bytes", "sha256"} <= entry.keys() for entry in listed.values()
    ):
        raise ValueError("it names no files with their bytes and sha256")
    return listed


def _write(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    with whole(folder / MANIFEST) as part:
        part.write_text(json.dumps({"files": dict(sorted(files.items()))}, indent=1) + "\n", encoding="utf-8")


def _count(payload: Any) -> int:
    return len(payload) if isinstance(payload, list | dict) else 1


def _payload_sha256(payload: Any) -> str:
    """Of its JSON text, which reading and writing again leaves as it is."""
    return hashlib.sha256(json.dumps(payload).encode()).hexdigest()
