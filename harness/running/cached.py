"""What the cache folder holds: listed, checked against what was written, and removed; without torch.

    found = entries(cache, out)                     # a stage's folder, a model, the answers of chat models, ...
    problems(found[0])                              # [] or what is not as it was written, a line each
    chosen(found, Which(older=30, unreferenced=True))

Only what the harness makes is looked at: other things in the folder are nobody's business here.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from harness.core.chat.chat import is_as_written
from harness.core.errors import UserError, unknown
from harness.core.files import PART, removed_whole
from harness.core.json_file import json_problems
from harness.core.manifest import MANIFEST, problems_of, unlisted, verify
from harness.core.printable import printable
from harness.evidence.store import read_parquet

Kind = Literal[
    "pool", "rollouts", "fit", "generate", "score", "trace", "chat", "served", "tax", "rewards", "models", "assets",
    "aligned", "fresh", "hashes", "unfinished",
]  # fmt: skip
STAGES: tuple[Kind, ...] = ("pool", "rollouts", "fit", "generate", "score", "trace")
WHAT: dict[Kind, str] = {
    "pool": "base samples with their states",
    "rollouts": "searches of later iterations",
    "fit": "value functions",
    "generate": "answers",
    "score": "scores",
    "trace": "search trees",
    "chat": "answers of chat models, which were paid for",
    "served": "what servers wrote for runs, which was paid for",
    "tax": "answers of base and aligned models to other tasks",
    "rewards": "rewards trained here",
    "models": "converted models",
    "assets": "models and data from the registry",
    "aligned": "tables of aligned models",
    "fresh": "of --fresh that did not end",
    "hashes": "which files were read in full",
    "unfinished": "half-written files of killed commands",
}
MADE_AGAIN: tuple[Kind, ...] = (*STAGES, "fresh", "hashes", "unfinished")  # by a run, at the cost of time alone
_SMALL: tuple[Kind, ...] = ("chat", "served", "tax", "hashes")  # of many small files, which go together
_HOURS = 24  # what was written since then may belong to a run that is being made, which names nothing yet


@dataclass(frozen=True)
class Entry:
    """One thing that can be removed alone: a folder, or all files of a kind that are small."""

    kind: Kind
    path: Path
    bytes: int
    written: float  # seconds since 1970, of its newest file
    is_referenced: bool | None  # whether a stored run was made with it; None where runs name no such thing

    @property
    def days(self) -> float:
        return max(0.0, time.time() - self.written) / 86_400  # of a clock that was set back since, none


@dataclass(frozen=True)
class Which:
    """What is meant: all of it must hold that is given; without kinds those that a run makes again."""

    kinds: Sequence[Kind] = ()
    older: float | None = None  # days since it was written
    larger: float | None = None  # MB
    unreferenced: bool = False


def entries(cache: Path, out: Path, must_know: bool = False) -> list[Entry]:
    """All that the cache holds, by kind; stages are named by the runs in OUT, in its tunings, and by aligned ones.

    Where one of those is damaged, a line says that nobody knows what is of no run; UserError where one `must_know`.
    """
    named: set[str] | None = None
    try:
        named = _artifacts(cache, out)
    except UserError as error:
        if must_know:
            raise
        print(printable(f"what is of no run cannot be told: {error}"), file=sys.stderr)
    stages = [(kind, path) for kind in STAGES for path in _folders(cache / kind)]
    found = [_entry(kind, path, None if named is None else path.name in named) for kind, path in stages]
    for kind in ("rewards", "models", "assets", "fresh"):
        found += [_entry(kind, path) for path in _folders(cache / kind)]
    found += [_entry("aligned", path) for path in _folders(cache / "aligned" / "runs")]
    found += [_entry(kind, cache / kind) for kind in _SMALL if (cache / kind).is_dir()]
    found += [_entry("unfinished", path) for path in _parts(cache)]
    return found


def chosen(found: Sequence[Entry], which: Which) -> list[Entry]:
    """Those that are meant. Of what no run names nothing is taken that was written in the last day, or `older` days."""
    wanted = []
    for entry in found:
        youngest = which.older if which.older is not None else _HOURS / 24 if which.unreferenced else 0.0
        if (
            entry.kind in (which.kinds or MADE_AGAIN)
            and entry.days >= youngest
            and (which.larger is None or entry.bytes > which.larger * 1e6)
            and not (which.unreferenced and entry.is_referenced is not False)
        ):
            wanted.append(entry)
    return wanted


def kind_of(name: str) -> Kind:
    """Raises UserError, which lists them, for one that does not exist."""
    for kind in WHAT:
        if kind == name:
            return kind
    raise unknown("kind", name, WHAT)


def problems(entry: Entry) -> list[str]:
    """What of an entry is not as it was written, every file read in full; nothing of what proves nothing."""
    if entry.kind in STAGES:
        found = verify(entry.path) if any(entry.path.glob("batch-*.json")) or _has_manifest(entry.path) else []
        return [*found, *unlisted(entry.path, "fitted")] if (entry.path / "fitted").is_dir() else found
    if entry.kind == "chat":
        return [f"{path.name} is not as it was written" for path in _files(entry.path) if not is_as_written(path)]
    if entry.kind in ("served", "tax"):
        return [line for path in _files(entry.path) for line in json_problems(path)]
    folders = [path.parent for path in _files(entry.path) if path.name == MANIFEST] if entry.kind != "hashes" else []
    return [line for folder in folders for line in problems_of(folder)]


def remove(entry: Entry) -> None:
    """Whole or not at all: what is being removed is under no name that anybody looks for."""
    removed_whole(entry.path)


def _entry(kind: Kind, path: Path, is_referenced: bool | None = None) -> Entry:
    stats = _stats([path] if path.is_file() else _files(path))
    newest = max((stat.st_mtime for stat in stats or _stats([path])), default=0.0)
    return Entry(kind, path, sum(stat.st_size for stat in stats), newest, is_referenced)


def _stats(paths: Iterable[Path]) -> list[os.stat_result]:
    """Of those that are still there: a command beside this one renames and removes files."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):
            found.append(path.stat())
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in _below(folder) if path.is_file() and not path.is_symlink())


def _below(folder: Path) -> Iterator[Path]:
    """Files and folders, also while others remove some: `rglob` ends at the first that is gone."""
    for root, folders, names in os.walk(folder):
        yield from (Path(root, name) for name in (*folders, *names))


def _parts(cache: Path) -> list[Path]:
    """Outermost ones, of the folders that are the harness's."""
    found = {path for kind in WHAT for path in _below(cache / kind) if fnmatch(path.name, f".*{PART}")}
    return sorted(path for path in found if not found.intersection(path.parents))


def _has_manifest(folder: Path) -> bool:
    return (folder / MANIFEST).exists()


def _artifacts(cache: Path, out: Path) -> set[str]:
    """Names of the stages that finished runs were made with. Raises UserError where a run cannot say which."""
    named: set[str] = set()
    places = [*(out / "runs").glob("*"), *(out / "tuning").glob("*/runs/*"), *(cache / "aligned" / "runs").glob("*")]
    for ledger in (place / "ledger.parquet" for place in places):
        if ledger.is_file():
            table = read_parquet(ledger)
            if "artifact" in table.columns:
                named |= set(map(str, table["artifact"].drop_nulls().to_list()))
    return named
