"""The cache folder: what stages made, under a key of everything that shaped it, batch by batch.

    folder = artifacts.folder("generate", inputs)     # cache/generate/<hash>/, inputs.json inside
    run_stage(...)                                    # batch-0000.json (+ .npz), written whole, so a run can resume
    run_stage(..., names)                             # batch-<name>.json: what any run with such a batch takes up

A batch file holds its payload, the usage that made it, which is replayed into the ledger when it is used again, and
its manifest (see core/manifest.py).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.digest import digest
from harness.core.files import from_cache, whole
from harness.core.ledger import Ledger, Phase
from harness.core.manifest import batch_manifest
from harness.core.progress import RunProgress
from harness.running.ranks import Ranks
from harness.running.workers import run_batches

Made = tuple[Any, Mapping[str, np.ndarray]]  # what a job gives: plain data, and arrays by name


@dataclass(frozen=True)
class Artifacts:
    root: Path

    def folder(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        """The folder of an artifact with these inputs, created with a note of them."""
        folder = self.root / stage / digest(inputs)[:20]
        note = folder / "inputs.json"
        if not note.exists():
            with whole(note) as part:
                part.write_text(json.dumps(inputs, indent=1, sort_keys=True), encoding="utf-8")
        return folder


@dataclass(frozen=True)
class StageResult:
    """Payloads in the order of the batches; usage rows with `computed` False where a stored batch was used."""

    key: str  # of the artifact
    payloads: list[Any]
    usage: list[dict[str, Any]]


def run_stage(
    name: str,
    folder: Path,
    batches: Sequence[Any],
    job: Callable[[Any], Made],
    ledger: Ledger,
    phase: Phase,
    workers: int,
    ranks: Ranks,
    names: Sequence[str] | None = None,
    progress: RunProgress | None = None,
) -> StageResult:
    """Do job(batch) -> (plain data, arrays) for every batch that is not stored yet, and load all of them.

    Batches are stored by number, or by `names` in a folder that other lists of batches share. With several ranks each
    does its share, and all of them load everything.
    """
    names = names or [f"{i:04d}" for i in range(len(batches))]
    stored = [folder / f"batch-{name}.json" for name in names]
    missing = [i for i, path in enumerate(stored) if not path.exists()]
    ranks.wait()  # nobody begins before all have seen what is missing
    share = [i for i in missing if i % ranks.count == ranks.index]

    def make(i: int) -> None:
        ledger.drain()
        with ledger.phase(phase):
            payload, arrays = job(batches[i])
        file_of_arrays = stored[i].with_suffix(".npz") if arrays else None
        if file_of_arrays is not None:
            with whole(file_of_arrays) as part, part.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes every name for allow_pickle
        batch = {"usage": ledger.drain(), "payload": payload, "manifest": batch_manifest(payload, file_of_arrays)}
        with whole(stored[i]) as part:
            part.write_text(json.dumps(batch), encoding="utf-8")

    with (progress or RunProgress(quiet=not ranks.first)).stage(name, len(batches)) as stage:
        stage.skip(len(batches) - len(share))
        for _ in run_batches(make, share, workers):
            stage.step()
    ranks.wait()
    payloads, usage = [], []
    for i, path in enumerate(stored):
        with from_cache(path, remove=path):
            batch = json.loads(path.read_text(encoding="utf-8"))
        payloads.append(batch["payload"])
        usage += [{**row, "computed": i in missing} for row in batch["usage"]]
    return StageResult(folder.name, payloads, usage)
