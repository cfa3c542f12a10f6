"""What a batch of a stage looks like on the disk, and whether one that is read is as it was written.

    write_batch(path, usage, payload, arrays)       # batch-0000.json, and batch-0000.npz where there are arrays
    read_batch(path)                                # Batch; DamagedBatch says what is wrong with it

A batch carries what proves it: number and sha256 of its payload, sha256 of its usage, name and sha256 of its arrays.
Batches of versions before 0.2 carry nothing, those of early 0.2 nothing of their usage; both are believed once, when
they are first read, and `adopt` writes down what they hold then.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.lib.format import write_array

from harness.core.contents import file_sha256
from harness.core.files import stored_text, whole

_PROOF = {"count", "sha256", "usage", "arrays"}


class DamagedBatch(Exception):
    """Says what is wrong, and begins with the name of the file."""


@dataclass(frozen=True)
class Batch:
    usage: list[dict[str, Any]]
    payload: Any
    is_proven: bool  # by all that this version writes down
    carries_proof: bool = True  # of any kind; the earliest batches carry none


def write_batch(path: Path, usage: list[dict[str, Any]], payload: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays first: a batch is there when its own file is."""
    beside = path.with_suffix(".npz") if arrays else None
    if beside is not None:
        with whole(beside) as part:
            _write_arrays(part, arrays)
    _write(path, usage, payload, beside)


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """As np.savez, to the byte, into a file of its own: where closing is cut short, the collector can close it."""
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array(member, np.asanyarray(array), allow_pickle=False)


def read_batch(path: Path) -> Batch:
    """Raises FileNotFoundError where there is none, DamagedBatch where it is not as it was written."""
    try:
        stored = json.loads(stored_text(path))
    except (ValueError, RecursionError) as error:
        raise DamagedBatch(f"{path.name} is no stored batch ({type(error).__name__}: {error})") from error
    if not isinstance(stored, dict) or not {"usage", "payload"} <= stored.keys() <= {"usage", "payload", "manifest"}:
        raise DamagedBatch(f"{path.name} is no stored batch")
    usage, payload = stored["usage"], stored["payload"]
    if not isinstance(usage, list) or not all(isinstance(row, dict) for row in usage):
        raise DamagedBatch(f"{path.name} has no usage")
    if "manifest" not in stored:
        return Batch(usage, payload, is_proven=False, carries_proof=False)
    proof = stored["manifest"]
    if not isinstance(proof, dict) or not _PROOF - {"usage"} <= proof.keys() <= _PROOF:
        raise DamagedBatch(f"{path.name} carries no proof of what was written")
    if _count(payload) != proof["count"]:
        raise DamagedBatch(f"{path.name} has {_count(payload)} entries, and {proof['count']} were written")
    if _sha256(payload) != proof["sha256"]:
        raise DamagedBatch(f"{path.name} has another payload than was written")
    if "usage" in proof and _sha256(usage) != proof["usage"]:
        raise DamagedBatch(f"{path.name} has another usage than was written")
    if proof["arrays"] is not None:
        _require_arrays(path, proof["arrays"])
    return Batch(usage, payload, is_proven="usage" in proof)


def adopt(path: Path, batch: Batch) -> None:
    """Write down what a batch of an earlier version holds, so that it is proven from now on.

    Where it may not be written, it stays as it is.
    """
    beside = path.with_suffix(".npz")
    try:
        _write(path, batch.usage, batch.payload, beside if beside.exists() else None)
    except PermissionError:
        return


def batch_problems(path: Path) -> list[str]:
    """What is wrong with a batch, for who only looks; one of an earlier version has nothing that could be wrong."""
    try:
        read_batch(path)
    except DamagedBatch as damage:
        return [str(damage)]
    except OSError as error:
        return [f"{path.name} cannot be read ({error.strerror or error})"]
    return []


def _write(path: Path, usage: list[dict[str, Any]], payload: Any, beside: Path | None) -> None:
    proof = {
        "count": _count(payload),
        "sha256": _sha256(payload),
        "usage": _sha256(usage),
        "arrays": None if beside is None else {"file": beside.name, "sha256": file_sha256(beside)},
    }
    with whole(path) as part:
        part.write_text(json.dumps({"usage": usage, "payload": payload, "manifest": proof}), encoding="utf-8")


def _require_arrays(path: Path, arrays: Any) -> None:
    beside = path.with_suffix(".npz")
    if not isinstance(arrays, dict) or arrays.get("file") != beside.name:
        raise DamagedBatch(f"{path.name} names other arrays than {beside.name}")
    if not beside.is_file():
        raise DamagedBatch(f"{beside.name} is missing")
    if file_sha256(beside) != arrays.get("sha256"):
        raise DamagedBatch(f"{beside.name} has another sha256 than was written")


def _count(payload: Any) -> int:
    return len(payload) if isinstance(payload, list | dict) else 1


def _sha256(data: Any) -> str:
    """Of its JSON text, which reading and writing again leaves as it is."""
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()
