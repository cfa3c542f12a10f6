"""Which runs are stored, newest first, as `harness runs` lists them: read from run.json and table.parquet; no torch.

found = stored_runs(Path("results"))
found.runs[0].id, found.runs[0].gain        # the best of the rows that train no weights, against its best-of-n
found.imports                               # answers of other systems beside a run, from OUT/imports
found.unfinished, found.left_out            # ids, and folders that hold no run's files -> why
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from harness.core.errors import unknown
from harness.core.statistics.stats import Estimate
from harness.evidence.foreign import NO_RUN, why_no_run
from harness.evidence.record import RunRecord, read_record
from harness.evidence.run_names import names_by_run
from harness.evidence.schema import REFERENCES, Row
from harness.evidence.store import BEGUN, DONE, read_about, read_parquet

_AGAINST = "against_best_of_n"  # an Estimate of table.parquet; its parts are columns of their own
_NEEDED = (*Row._fields, "trains_weights", _AGAINST, *(f"{_AGAINST}_{part}" for part in ("low", "high", "n", "p")))


@dataclass(frozen=True)
class Gain:
    """What a row gained against the best-of-n that it is set beside, in sd of base samples."""

    row: Row
    against_best_of_n: Estimate
    is_oracle: bool = False  # it asks a grader that reads columns of the row


@dataclass(frozen=True)
class StoredRun:
    """A finished run in a few words; None and empty text are what its version did not record."""

    id: str
    names: Sequence[str]
    date: str  # 2026-11-24T17:09:48Z
    task: str
    model: str
    profile: str
    seed: int | None
    methods: Sequence[str]  # beside base, base (greedy) and best-of-n, unless it has no others
    slice: str
    prompts: int | None
    gain: Gain | None  # None: none of its rows is compared, or it was never reported
    folder: Path
    imported: Sequence[str] = ()  # systems whose answers were made elsewhere; empty for a run of the harness
    beside: str = ""  # the run that they were brought beside

    def as_json(self) -> dict[str, Any]:
        """Plain data, with NaN as null."""
        gain = None
        if self.gain is not None:
            numbers = {
                name: None if value != value else value for name, value in vars(self.gain.against_best_of_n).items()
            }
            gain = {**self.gain.row._asdict(), **numbers, "is_oracle": self.gain.is_oracle}
        return {**asdict(self), "folder": str(self.folder), "gain": gain}


@dataclass(frozen=True)
class Stored:
    """All of OUT/runs and OUT/imports."""

    runs: list[StoredRun]  # newest first
    imports: list[StoredRun]  # likewise
    unfinished: list[str]
    left_out: dict[str, str]  # folder -> what is wrong with it

    def only(self, task: str | None, model: str | None, method: str | None) -> "Stored":
        """The finished runs of a task, a model, a method, and what was imported beside such.

        Raises UserError, which lists them, where none has that.
        """
        runs, imports = self.runs, self.imports
        wanted: list[tuple[str, str | None, Callable[[StoredRun], Sequence[str]]]] = [
            ("task", task, lambda run: [run.task]),
            ("model", model, lambda run: [run.model]),
            ("method", method, lambda run: [*run.methods, *run.imported]),
        ]
        for kind, want, have in wanted:
            if want is None:
                continue
            if want not in (valid := {name for run in (*runs, *imports) for name in have(run)}):
                raise unknown(f"{kind} of the stored runs", want, valid)
            runs, imports = ([run for run in of if want in have(run)] for of in (runs, imports))
        return replace(self, runs=runs, imports=imports)


def stored_runs(out: Path) -> Stored:
    """Read OUT/runs and OUT/imports, folder by folder; one that cannot be read is named and left out."""
    found = Stored([], [], [], {})
    names = names_by_run(out, found.left_out.__setitem__)
    for folder in sorted(path for kind in ("runs", "imports") for path in (out / kind).glob("*") if path.is_dir()):
        if not (folder / "run.json").is_file():
            found.left_out[folder.name] = "there is no run.json in it"
            continue
        try:
            about = read_about(folder)
            if about.get("status") == BEGUN:
                found.unfinished.append(folder.name)
            elif about.get("status") != DONE:
                found.left_out[folder.name] = f"its run.json says neither {BEGUN!r} nor {DONE!r} as its status"
            else:
                record = read_record(folder / "run.json", about)
                of = found.imports if record.imported else found.runs
                of.append(_run(folder, record, names.get(folder.name, [])))
        except NO_RUN as error:
            found.left_out[folder.name] = why_no_run(error)
    return replace(found, runs=_newest_first(found.runs), imports=_newest_first(found.imports))


def _newest_first(runs: Sequence[StoredRun]) -> list[StoredRun]:
    return sorted(runs, key=lambda run: (run.date, (run.folder / "run.json").stat().st_mtime_ns), reverse=True)


def _run(folder: Path, record: RunRecord, names: Sequence[str]) -> StoredRun:
    config, evaluate = record.config, record.settings("evaluate")
    prompts = evaluate.get("prompts")
    return StoredRun(
        id=folder.name,
        names=names,
        date=record.date,
        task=record.task_name,
        model=config.model or "",
        profile=config.profile or "",
        seed=config.seed,
        methods=[name for name in config.methods if name not in REFERENCES] or list(config.methods),
        slice=str(evaluate.get("slice", "")),
        prompts=prompts if isinstance(prompts, int) else None,
        gain=_gain(folder / "table.parquet"),
        folder=folder,
        imported=[str(one.get("method", "")) for one in record.imported],
        beside=str(record.imported[-1].get("run", "")) if record.imported else "",
    )


def _gain(path: Path) -> Gain | None:
    """The best row of a stored table among those that train no weights and are no reference."""
    if not path.is_file():
        return None
    table = read_parquet(path)
    if not set(_NEEDED) <= set(table.columns):  # nothing was compared, or a version wrote it that had no such column
        return None
    rows = table.filter(~pl.col("trains_weights"), ~pl.col("method").is_in(REFERENCES), pl.col(_AGAINST).is_not_nan())
    if not len(rows):
        return None
    best = rows.sort(_AGAINST, descending=True, nulls_last=True).row(0, named=True)
    if best[_AGAINST] is None:
        return None
    estimate = Estimate(best[_AGAINST], *(best[f"{_AGAINST}_{part}"] for part in ("low", "high", "n", "p")))
    return Gain(Row(*(best[name] for name in Row._fields)), estimate, bool(best.get("is_oracle")))
