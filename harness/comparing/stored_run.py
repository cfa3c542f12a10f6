"""A row of a stored run as records: RUN, or RUN@METHOD, RUN@METHOD/ITERATION, RUN@METHOD/ITERATION/PICK.

Without a method it is the row that speaks for the run: IRO's last iteration and cheapest pick, or what else it has.
"""

from pathlib import Path

import polars as pl

from harness.comparing.records import TEXT, Record, Records
from harness.comparing.rows import ID
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.evidence.schema import ANSWER, CLUSTER, GOLD, REFERENCES, ROW, Row
from harness.evidence.store import Run, find_run, load_run
from harness.evidence.table import repeats_value

KIND = "run"
_PICKS = ("value", "first", "reward")  # cheapest first


def is_there(out: Path, reference: str) -> bool:
    """Whether a finished run is meant, whatever row of it."""
    try:
        find_run(out, _parts(reference)[0])
    except UserError:
        return False
    return True


def read(out: Path, reference: str) -> Records:
    """Raises UserError where there is no such run or row."""
    named, wanted = _parts(reference)
    run = load_run(find_run(out, named))
    row = _chosen(run, wanted)
    wide = run.scores.pivot("metric", index=list(ANSWER), values="value")
    metrics = [name for name in wide.columns if name not in ANSWER]
    found = run.completions.join(wide, on=ANSWER, how="left").filter(
        *(pl.col(name) == value for name, value in zip(ROW, row, strict=True))
    )
    records = [
        Record(
            f"prompt {one['prompt_id']}",
            {ID: one["prompt_id"], TEXT: one["prompt"]},
            {name: float("nan") if one[name] is None else float(one[name]) for name in metrics},
            one["response"],
            cluster=one.get(CLUSTER),
        )
        for one in found.sort("prompt_id").iter_rows(named=True)
    ]
    of = f"{row.name}, {row.final_pick}" if row.iteration else row.name
    return Records(f"{run.id} {of}", KIND, records, GOLD, ["raw units"], _rewards(run))


def _parts(reference: str) -> tuple[str, str]:
    """The run, and the row that is asked of it; the path of a folder may hold an @ itself."""
    if "@" not in reference or Path(reference).is_dir():
        return reference, ""
    named, _, wanted = reference.rpartition("@")
    return named, wanted


def _rewards(run: Run) -> tuple[str, str]:
    """What scored a run's answers: task, rewards and their data."""
    task, facts = run.record.config.task, dict(run.record.task_facts)
    facts.pop("ungraded", None)  # what its answers made of the graders
    return f"scores of the rewards of task {task} (task_facts in its run.json)", digest([task, facts])


def _chosen(run: Run, wanted: str) -> Row:
    grouped = run.completions.sort("prompt_id").partition_by(ROW, as_dict=True, maintain_order=True)
    parts = {Row(*key): part for key, part in grouped.items()}
    rows = [row for row in parts if not repeats_value(parts, row)]
    method, *rest = wanted.split("/") if wanted else [""]
    if not method:
        own = [row.method for row in rows if row.method not in REFERENCES]
        method = "iro" if "iro" in own else own[-1] if own else rows[-1].method
    found = [row for row in rows if row.method == method]
    if rest:
        found = [row for row in found if str(row.iteration) == rest[0] and row.final_pick in (rest[1:] or _PICKS)]
    if not found or len(rest) > 2:
        there = ", ".join("/".join(map(str, row)) if row.iteration else row.method for row in rows)
        raise UserError(f"{run.id} has no row {wanted!r}; there: {there}")
    last = max(row.iteration for row in found)
    ranked = [*_PICKS, *(row.final_pick for row in found)]
    return min((row for row in found if row.iteration == last), key=lambda row: ranked.index(row.final_pick))
