"""What a run leaves behind: OUT/runs/<id>/ with run.json and tables. Nothing stored is ever overwritten; no torch.

run = load_run(find_run(Path("results"), "imdb-3f2a"))
run.completions, run.scores, run.ledger, run.fits, run.pool       # polars
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from glob import escape
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from harness.core import json_file
from harness.core.errors import UserError
from harness.core.files import put_parquet, whole
from harness.core.manifest import MANIFEST, problems_of
from harness.evidence.command import made_by
from harness.evidence.proven_table import DamagedTable, read_table
from harness.evidence.record import DAMAGED, RunRecord, read_record
from harness.evidence.run_names import LATEST, named_run, names_by_run
from harness.evidence.schema import ABOUT, COLUMNS, GOLD, PROXY

TABLES = ("completions", "scores", "ledger", "fits", "pool")
BEGUN, DONE = "running", "done"  # status in run.json; what is begun lacks what the end writes
_LISTED = 12  # runs that an error names; more are counted
_LATER = ("trace", "values", "refits", "parts")  # that a run need not have


@dataclass(frozen=True)
class Run:
    """A stored run. completions and scores are unique on schema.KEYS + prompt_id (+ metric)."""

    folder: Path
    about: Mapping[str, Any]  # run.json
    completions: pl.DataFrame
    scores: pl.DataFrame
    ledger: pl.DataFrame
    fits: pl.DataFrame
    pool: pl.DataFrame
    trace: pl.DataFrame | None = None  # search trees, where the run was asked to store some
    values: pl.DataFrame | None = None  # each V_i on held-out rollouts of each iteration; None: of an earlier version
    refits: pl.DataFrame | None = None  # answers' scores of every further fit (see refits.py); None: fitted once

    parts: pl.DataFrame | None = None  # what graders' scores are made of; None: they are of one piece

    @property
    def id(self) -> str:
        return self.folder.name

    @cached_property
    def record(self) -> RunRecord:
        """What `about` says, checked. Raises UserError that names the key at fault."""
        return read_record(self.folder / "run.json", self.about)

    def in_units_of(self, other: "Run") -> "Run":
        """The same run, whose scores are standardised by the base samples of another."""
        return replace(self, about={**self.about, "units": other.about["units"]})


def runs_folder(out: Path) -> Path:
    """OUT/runs, created. Raises UserError where OUT is a file or cannot be written."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {str(out)!r} is a file; give a folder")
    folder = out / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def is_done(folder: Path) -> bool:
    return (folder / "run.json").exists() and read_about(folder).get("status") == DONE


def read_about(folder: Path) -> dict[str, Any]:
    return read_json(folder / "run.json")


def read_json(path: Path) -> dict[str, Any]:
    """What a stored file says. Raises UserError where it is not a JSON object, or not as it was written."""
    return json_file.read_json(path, DAMAGED)


def write_about(folder: Path, about: Mapping[str, Any]) -> None:
    json_file.write_json(folder / "run.json", about)


def write_table(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    assert name in (*TABLES, *_LATER), name
    with whole(folder / f"{name}.parquet") as part:
        put_parquet(pl.DataFrame(rows, infer_schema_length=None), part)


def find_run(out: Path, reference: str) -> Path:
    """The folder of a finished run given by path, id, name, unambiguous prefix of its id, or as `latest`."""
    path = Path(reference)
    if (path / "run.json").exists():
        folder = path
    elif reference == LATEST:
        return latest_run(out)
    else:
        folder = _known_run(out, reference)
    if not is_done(folder):
        raise UserError(f"run {folder.name} is not finished: repeat its command to go on, then report it")
    return folder


def latest_run(out: Path) -> Path:
    """The folder of the run that was finished last; of those whose date is not recorded, the one written last."""
    done = []
    for path in (out / "runs").glob("*/run.json"):
        try:
            if is_done(path.parent):
                record = read_record(path, read_about(path.parent))
                done.append((record.date, path.stat().st_mtime_ns, path.parent))
        except UserError:  # what is wrong with it is said where it is asked for
            continue
    if not done:
        raise UserError(f"there is no finished run in {out / 'runs'}; `harness run --task toy` makes one in seconds")
    return max(done)[-1]


def _known_run(out: Path, reference: str) -> Path:
    """The folder in OUT/runs that an id, a name or a prefix of an id means. Raises UserError, with the nearest."""
    known = {path.parent.name: path.parent for path in sorted((out / "runs").glob("*/run.json"))}
    beside = {path.parent.name: path.parent for path in (out / "imports").glob("*/run.json")}
    if reference in beside:  # by its whole id: its beginning is that of the run it stands beside
        return beside[reference]
    if reference in known:
        return known[reference]
    if (named := named_run(out, reference)) is not None:
        if named not in known:
            raise UserError(f"the name {reference!r} means {named}, which is not in {out / 'runs'}; copy it there, or "
                            f"free the name with `harness name --remove {reference}`")  # fmt: skip
        return known[named]
    matches = [name for name in known if name.startswith(reference)]
    if len(matches) == 1:
        return known[matches[0]]
    if Path(reference).is_dir():
        raise UserError(f"{reference!r} holds no run: there is no run.json in it. Give a folder under {out / 'runs'}")
    what, listed = ("several runs", matches) if matches else ("no run", [*known])
    near = get_close_matches(reference, [*known, *chain(*names_by_run(out).values())], n=1)
    hint = f" Did you mean {near[0]!r}?" if near and not matches else ""
    there = ", ".join(listed) or "none"
    if len(listed) > _LISTED:
        there = f"{len(listed)} of them, which `harness runs` lists"
    raise UserError(f"{what} {reference!r} in {out / 'runs'}.{hint} There: {there}")


def imports_beside(folder: Path) -> list[str]:
    """The ids of imports that stand beside a run: answers of other systems, graded as its own (see docs/compare.md)."""
    return sorted(path.parent.name for path in folder.parent.parent.glob(f"imports/{escape(folder.name)}-*/run.json"))


def load_run(folder: Path) -> Run:
    """The tables of a finished run. Raises UserError that names the file where one is missing or not a run's."""
    about = read_about(folder)
    _require(folder / "run.json", ABOUT, about)
    record = read_record(folder / "run.json", about)  # so that what is wrong with it is said now
    if problems := table_problems(folder):
        command = made_by(record)
        mend = DAMAGED if command is None else f"`{command}` makes it again, from what the cache has"
        raise UserError(f"run {folder.name} is not as it was written: {'; '.join(problems)}; {mend}")
    tables = {}
    for name in TABLES:
        path = folder / f"{name}.parquet"
        if not path.exists():
            raise UserError(f"run {folder.name} is incomplete: {path.name} is missing; run its command with --fresh")
        tables[name] = read_parquet(path)
        _require(path, COLUMNS.get(name, ()), tables[name].columns)
    _require(folder / "scores.parquet", (PROXY, GOLD), set(tables["scores"]["metric"]))
    named = [runs for table in tables.values() if (runs := ids_in(table))]
    if named and not set.intersection(*named):  # an import beside an import has rows of both, and their run's
        raise UserError(f"{folder} holds tables of several runs ({', '.join(sorted(set.union(*named)))}); {DAMAGED}")
    later = {name: path for name in _LATER if (path := folder / f"{name}.parquet").exists()}
    return Run(
        folder,
        about,
        completions=tables["completions"],
        scores=tables["scores"],
        ledger=tables["ledger"],
        fits=tables["fits"],
        pool=tables["pool"],
        trace=read_parquet(later["trace"]) if "trace" in later else None,
        values=read_parquet(later["values"]) if "values" in later else None,
        refits=read_parquet(later["refits"]) if "refits" in later else None,
        parts=read_parquet(later["parts"]) if "parts" in later else None,
    )


def table_problems(folder: Path) -> list[str]:
    """What of a run's tables is not as it was written, a line each; nothing of runs from before that was listed."""
    listed = [f"{name}.parquet" for name in (*TABLES, *_LATER)]
    return problems_of(folder, listed) if (folder / MANIFEST).exists() else []


def ids_in(table: pl.DataFrame) -> set[str]:
    """The run or runs that a table says its rows are of, which need not be what its folder is called."""
    return set(map(str, table["run_id"].unique())) if "run_id" in table.columns else set()


def _require(path: Path, names: Sequence[str], found: Container[str]) -> None:
    if missing := [name for name in names if name not in found]:
        raise UserError(f"{path} has no {', '.join(missing)}, which every run has; {DAMAGED}")


def read_parquet(path: Path) -> pl.DataFrame:
    """A stored table. Raises UserError where it is not parquet, or not as it was written."""
    try:
        return read_table(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; {DAMAGED}") from error
    except DamagedTable as error:
        raise UserError(f"{path} {error}; {DAMAGED}") from error
