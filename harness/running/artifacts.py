"""The cache folder: what stages made, under a key of everything that shaped it, batch by batch.

    folder = artifacts.folder("generate", inputs)     # cache/generate/<hash>/, inputs.json inside
    run_stage(...)                                    # batch-0000.json (+ .npz), written whole, so a run can resume
    run_stage(..., names)                             # batch-<name>.json: what any run with such a batch takes up

A batch file holds its payload, the usage that made it, which is replayed into the ledger when it is used again, and
what proves both (see core/batch.py). What does not hold any more is made again, which one line says.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.batch import Batch, DamagedBatch, adopt, read_batch, write_batch
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.ledger import Ledger, Phase
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


@dataclass(frozen=True)
class Found:
    """What the cache has of a stage: sound batches by place, and what is wrong with others, a line each."""

    batches: dict[int, Batch]
    damaged: list[str]


def nothing_beside() -> list[str]:
    """A stage that keeps nothing beside its batches has nothing that could be wrong."""
    return []


def stored_batches(folder: Path, names: Sequence[str], beside: Callable[[], Sequence[str]] = nothing_beside) -> Found:
    """Read the batches of these names. `beside` says what is wrong with what lies beside them: then none is sound."""
    found = Found({}, [])
    for i, name in enumerate(names):
        try:
            found.batches[i] = read_batch(folder / f"batch-{name}.json")
        except FileNotFoundError:
            continue
        except (DamagedBatch, IsADirectoryError) as damage:
            found.damaged.append(str(damage))
    if found.batches and (problems := beside()):
        return Found({}, [*found.damaged, *problems])
    return found


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
    beside: Callable[[], Sequence[str]] = nothing_beside,
    writes: bool = True,
) -> StageResult:
    """Do job(batch) -> (plain data, arrays) for every batch that is not stored as it was written, and load all of them.

    Batches are stored by number, or by `names` in a folder that other lists of batches share. With several ranks each
    does its share, and all of them load everything. Where nothing `writes`, batches of earlier versions stay unproven.
    """
    names = names or [f"{i:04d}" for i in range(len(batches))]
    stored = [folder / f"batch-{name}.json" for name in names]
    found = stored_batches(folder, names, beside)
    missing = [i for i in range(len(stored)) if i not in found.batches]
    ranks.wait()  # nobody begins before all have seen what is missing
    share = [i for i in missing if i % ranks.count == ranks.index]
    progress = progress or RunProgress(quiet=not ranks.first)
    if found.damaged:
        progress.say(f"{name}: {in_short(found.damaged)}, in {folder}; made again")

    def make(i: int) -> None:
        ledger.drain()
        with ledger.phase(phase):
            payload, arrays = job(batches[i])
        write_batch(stored[i], ledger.drain(), payload, arrays)

    with progress.stage(name, len(batches)) as stage:
        stage.skip(len(batches) - len(share))
        for _ in run_batches(make, share, workers):
            stage.step()
    ranks.wait()
    payloads, usage = [], []
    for i, path in enumerate(stored):
        batch = found.batches.get(i) or _read_back(path)
        if not batch.is_proven and writes and ranks.first:
            adopt(path, batch)
        payloads.append(batch.payload)
        usage += [{**row, "computed": i in missing} for row in batch.usage]
    return StageResult(folder.name, payloads, usage)


def in_short(problems: Sequence[str]) -> str:
    """The first of several problems, and how many more there are."""
    return problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")


def _read_back(path: Path) -> Batch:
    """A batch that was just made, here or by another rank."""
    try:
        return read_batch(path)
    except (DamagedBatch, OSError) as damage:
        raise UserError(
            f"{path} was written and cannot be read back ({damage}): the disk fails, or somebody else writes there. "
            "Run the same command again; finished batches are kept"
        ) from damage
