"""The stored payloads of a small toy run, with the versions they were made at, and what differs from them.

python -m tests.golden.renew             # writes toy_stages.json after a version was raised

Numbers may differ by 1e-4, as between machines; everything else is the same or is named.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.evidence.store import read_about
from harness.running import stages
from harness.running.artifacts import StageResult
from harness.running.config import resolve
from harness.running.ranks import Ranks
from harness.running.request import Request, Workspace
from harness.running.run import complete

STORED = Path(__file__).with_name("toy_stages.json")
TOLERANCE = 1e-4
SMALL = (
    ("fit.prompts", 10), ("fit.samples", 4), ("iro.iterations", 2), ("iro.value.epochs", 4), ("iro.value.hidden", 8),
    ("controlled_decoding.value.epochs", 4), ("controlled_decoding.value.hidden", 8), ("evaluate.trace", 1),
)  # fmt: skip
ON_TOY = ("base", "best_of_n", "args", "controlled_decoding", "cards", "iro")


def made_now(folder: Path) -> dict[str, Any]:
    """Versions of the code, and stage -> label -> what each batch stored, of a toy run in an empty folder.

    Arrays are there by shape and four projections.
    """
    made: dict[str, dict[str, Any]] = {stage: {} for stage in stages.VERSIONS}
    plain = stages.run_stage

    def recorded(label: str, batches_in: Path, *rest: Any) -> StageResult:
        result = plain(label, batches_in, *rest)
        arrays = [_summary(path) for path in sorted(batches_in.glob("*.npz"))]
        payload = [_pruned(one) for one in result.payloads]
        made[batches_in.parent.name][label] = {"payloads": payload, **({"arrays": arrays} if arrays else {})}
        return result

    config = resolve(Request(methods=ON_TOY, task="toy", limit=3, given=SMALL))
    stages.run_stage = recorded
    try:
        run = complete(config, Workspace(folder / "out", folder / "cache", workers=1), Ranks())
    finally:
        stages.run_stage = plain
    return {"versions": _versions(read_about(run)["identity"]), "payloads": json.loads(json.dumps(made))}


def _versions(identity: Mapping[str, Any]) -> dict[str, Any]:
    """All numbers in a run's identity by which the code says that it changed."""
    return {
        "stages": identity["stages"],
        "methods": {name: code["version"] for name, code in identity["methods"].items()},
        "task": identity["task"]["versions"],
        "engine": identity["engine"]["toy"],
    }


def difference(stored: Mapping[str, Any], made: Mapping[str, Any]) -> str | None:
    """The first difference beyond the tolerance, with where it is, in the order in which stages are made."""
    for stage in made:
        for where, old, new in _pairs(stored.get(stage), made[stage], stage):
            if not _equal(old, new):
                return f"{where} is {new!r} and was {old!r}"
    return None


def _pairs(old: Any, new: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """The leaves of two trees side by side; where their shapes differ, the parts that do."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.keys() == new.keys():
        for name in new:
            yield from _pairs(old[name], new[name], f"{where} / {name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _pairs(one, other, f"{where} / {i}")
    else:
        yield where, old, new


def _equal(old: Any, new: Any) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
    if numbers and (isinstance(old, float) or isinstance(new, float)):
        return bool(np.isclose(old, new, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))
    return type(old) is type(new) and old == new


def _pruned(payload: Any) -> Any:
    """A payload as it is stored, numbers to seven digits, which is finer than what is compared."""
    if isinstance(payload, Mapping):
        return {name: _pruned(value) for name, value in payload.items()}
    if isinstance(payload, Sequence) and not isinstance(payload, str):
        return [_pruned(value) for value in payload]
    return float(f"{payload:.7g}") if isinstance(payload, float) else payload


def _summary(path: Path) -> dict[str, Any]:
    """Shape, and projections on four fixed directions, of each array: a change of one entry moves them."""
    out = {}
    with np.load(path) as arrays:
        for name, array in arrays.items():
            flat = array.astype(np.float64).ravel()
            directions = np.random.default_rng(0).normal(size=(4, flat.size)) / max(1.0, np.sqrt(flat.size))
            out[name] = {"shape": list(array.shape), "projections": [float(f"{x:.7g}") for x in directions @ flat]}
    return out
