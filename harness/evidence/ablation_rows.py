"""What an ablation's about.json says, and the rows of its runs' tables, each at its value of the axis; no torch.

ablation = read_ablation(find_ablation(Path("results"), "imdb-width-3f2a"), Path("results"))
ablation.rows[0].row.gold, ablation.rows[0].value

about.json says what was varied: `axes` (one or two), `reference` (the point that others are compared with) and `runs`
(a run id for each point). A point is a value of each axis. All golds are in standard deviations of the base samples of
the reference's run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from harness.core.errors import UserError
from harness.core.statistics import stats
from harness.core.statistics.stats import Clusters, Estimate, Floats
from harness.evidence.clusters import clusters_of
from harness.evidence.row import WHERE_TESTED, Comparison
from harness.evidence.schema import GOLD, REFERENCES, ROW, Row
from harness.evidence.store import Run, find_run, load_run, read_json
from harness.evidence.table import best_of_n_by_prompt, comparison

Value = str | bool | int | float | None  # of an axis
Point = tuple[Any, ...]


@checked_dataclass(frozen=True)
class Axis:
    name: str
    label: str
    method: str
    is_budget: bool
    column: str | None


@checked_dataclass(frozen=True)
class _Entry:
    point: list[Value]
    run: str


@checked_dataclass(frozen=True)
class _About:
    """What about.json holds."""

    axes: Annotated[list[Axis], Field(min_length=1)]
    reference: list[Value]
    runs: list[_Entry]


@dataclass(frozen=True)
class Varied:
    """A row of one run's table at its point of the axes; None: not compared."""

    row: Comparison
    run_id: str
    point: Point
    value: Any  # of the first axis
    against_widest: Estimate  # the best of the whole pool
    wins: Estimate | None  # over base
    against_reference: Estimate | None  # the same row at the reference
    is_shared: bool  # answers as the same row at the reference does
    p_holm_reference: float | None = field(default=None, metadata=WHERE_TESTED)


@dataclass(frozen=True)
class Ablation:
    """An ablation as it was read; `widest` is the run whose pool has most rows, else the reference's."""

    name: str
    axes: Sequence[Axis]
    reference: Point
    runs: Mapping[Point, Run]
    widest: Run
    rows: Sequence[Varied]


def read_ablation(folder: Path, out: Path) -> Ablation:
    """The runs that about.json names, which lie in `out`, and their rows."""
    about = _read_about(folder / "about.json")
    axes, reference = about.axes, tuple(about.reference)
    stored = {tuple(entry.point): load_run(find_run(out, entry.run)) for entry in about.runs}
    if reference not in stored:
        raise UserError(f"{folder / 'about.json'}: the reference {list(reference)} is none of its runs' points")
    runs = {point: run.in_units_of(stored[reference]) for point, run in stored.items()}
    widest = runs[max(runs)] if axes[0].is_budget else runs[reference]
    return Ablation(folder.name, axes, reference, runs, widest, _rows(axes[0], runs, reference, widest))


def _read_about(path: Path) -> _About:
    try:
        return TypeAdapter(_About).validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {key}: {first['msg'].lower()}; run the ablation's command once more") from error


def _rows(axis: Axis, runs: Mapping[Point, Run], reference: Point, widest: Run) -> list[Varied]:
    """The rows of every run's table, each with its point, and its gold against what it is compared with."""
    found = [
        (row, point, row.key._asdict()[axis.column] if axis.column else point[0])
        for point, run in runs.items()
        for row in comparison(run)
        if axis.column is None or row.key.method == axis.method
    ]
    if not found:
        raise UserError(f"no run has a row of {axis.method!r}, whose axis {axis.name!r} is; run the ablation once more")
    rivals = best_of_n_by_prompt(widest)  # (P, N)
    base = gold_of(widest, Row("base", 0, "first"))
    start = found[0][2]  # of a column, the first value is what others are compared with
    rows = []
    for row, point, value in found:
        alike = Row(**{**row.key._asdict(), axis.column: start}) if axis.column else row.key
        gold, same = gold_of(runs[point], row.key), gold_of(runs[reference], alike)
        clusters = clusters_of(runs[point])
        moved = value != start if axis.column else point != reference
        moved = moved and row.key.method not in REFERENCES
        rows.append(
            Varied(
                row=_on_the_curve(row, gold, rivals, clusters) if axis.is_budget else row,
                run_id=runs[point].id,
                point=point,
                value=value,
                against_widest=stats.difference(gold, rivals[:, -1], clusters=clusters),
                wins=stats.win_rate(gold, base, clusters) if len(base) and row.key.method != "base" else None,
                against_reference=stats.difference(gold, same, clusters=clusters) if moved and len(same) else None,
                is_shared=point != reference and np.array_equal(gold, same, equal_nan=True),
            )
        )
    return _corrected(rows)


def _on_the_curve(row: Comparison, gold: Floats, rivals: Floats, clusters: Clusters) -> Comparison:
    """The row beside the curve (P, N) of the one pool that an axis of budgets has, at as many rows as it took.

    What has no budget, and the base, meets the whole pool; what took more rows than that has meets none.
    """
    most = rivals.shape[1]
    n = most if row.budget is None or row.key.method == "base" else row.budget
    if n > most:
        return row
    return replace(
        row, against_best_of_n=stats.difference(gold, rivals[:, n - 1], clusters=clusters), beside=f"best-of-{n}"
    )


def _corrected(rows: Sequence[Varied]) -> list[Varied]:
    """The rows with Holm's p-values over those that answer otherwise than the reference."""
    tested = {i: row.against_reference.p for i, row in enumerate(rows) if row.against_reference and not row.is_shared}
    adjusted = dict(zip(tested, stats.holm(list(tested.values())), strict=True))
    return [replace(row, p_holm_reference=adjusted.get(i)) for i, row in enumerate(rows)]


def gold_of(run: Run, row: Row) -> Floats:
    """Gold in sd of base samples by prompt id, of one row of a run's table; empty where the run has no such row."""
    same = [pl.col(name) == value for name, value in zip(ROW, row, strict=True)]
    part = run.scores.filter(pl.col("metric") == GOLD, *same).sort("prompt_id")
    return run.record.standardised(GOLD, part["value"].to_numpy())
