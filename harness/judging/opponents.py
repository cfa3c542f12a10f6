"""Who is judged against whom: rows of a stored run and their opponents, joined by prompt.

for contest in contests(run, Selection(method="iro"), "base", None, Selection()):
    contest.ours.name, contest.theirs.name, contest.pairs
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from harness.core.errors import UserError
from harness.evidence.budgets import TooLarge, beside, budget_of, largest
from harness.evidence.schema import ANSWER, ROW, Row
from harness.evidence.store import Run
from harness.evidence.table import repeats_value
from harness.evidence.unanswered import unanswered
from harness.judging.judges import Entry, Pair

REFERENCE = "reference"
IN_THE_RUN = ("base", "best_of_n", REFERENCE)  # opponents that need no second run


@dataclass(frozen=True)
class Selection:
    """Rows of a run's table; None takes any."""

    method: str | None = None
    iteration: int | None = None
    final_pick: str | None = None

    @property
    def takes_all(self) -> bool:
        return self == Selection()

    def takes(self, row: Row) -> bool:
        wanted = (self.method, self.iteration, self.final_pick)
        return all(want is None or want == have for want, have in zip(wanted, row, strict=True))


@dataclass(frozen=True)
class Side:
    """The answers of one row of a run's table, or the human references, by prompt id."""

    run_id: str
    row: Row
    prompts: Mapping[str, str]
    entries: Mapping[str, Entry]

    @property
    def name(self) -> str:
        """Unique among stored answers; the generator of exported files."""
        row = self.row
        return "-".join([row.method, *([str(row.iteration), row.final_pick] if row.iteration else []), self.run_id])


@dataclass(frozen=True)
class Contest:
    ours: Side
    theirs: Side
    pairs: Sequence[Pair]  # of the common prompts, sorted by id
    unequal: str | None = None  # against best-of-n: why the rows a prompt are not equal


def contests(run: Run, rows: Selection, opponent: str, other: Run | None, opponent_rows: Selection) -> list[Contest]:
    """Every selected row of `run` against its opponent: base, best_of_n or reference of `run`, or a row of `other`.

    Without a selection each row meets the row of its own name in `other`. A row never meets itself. Raises UserError
    where nothing is left to compare, tasks or prompts differ, or the run's own best_of_n had another number of rows.
    """
    if other is not None and _task(other) != _task(run):
        raise UserError(f"{run.id} answers the task {_task(run)}, {other.id} {_task(other)}: they share no prompts")
    if other is None and not opponent_rows.takes_all:
        raise UserError(f"{_shown(opponent_rows)} chooses a row of another run; the opponent here is {opponent}")
    sides = _sides(run)
    rivals = _sides(other) if other is not None else sides
    ours = [side for row, side in sides.items() if rows.takes(row)]
    if not ours:
        raise UserError(f"no row of {run.id} is {_shown(rows)}; its rows: {_listed(sides)}")
    made = []
    for side in ours:
        if other is not None:
            theirs = _one_of(other.id, rivals, side.row, opponent_rows)
        else:
            theirs = _references(run) if opponent == REFERENCE else _named(run, rivals, side.row, opponent)
        if theirs.name != side.name:
            unequal = _unequal(run, side.row.method, other or run) if theirs.row.method == "best_of_n" else None
            made.append(Contest(side, theirs, _joined(side, theirs), unequal))
    if not made:
        raise UserError(
            f"{_listed([side.row for side in ours])} of {run.id} would meet itself; choose another opponent"
        )
    return made


def _one_of(run_id: str, sides: Mapping[Row, Side], row: Row, selection: Selection) -> Side:
    """The one side that is selected; without a selection the one of the same name as `row`."""
    found = [r for r in sides if (r == row if selection.takes_all else selection.takes(r))]
    if len(found) != 1:
        wanted = _listed([row]) if selection.takes_all else _shown(selection)
        raise UserError(
            f"{len(found)} rows of {run_id} are {wanted}; choose one with --opponent-method, --opponent-iteration and "
            f"--opponent-final-pick. Its rows: {_listed(sides)}"
        )
    return sides[found[0]]


def _named(run: Run, sides: Mapping[Row, Side], row: Row, opponent: str) -> Side:
    found = [side for key, side in sides.items() if key.method == opponent]
    if not found:
        raise UserError(f"{run.id} has no {opponent}; its rows: {_listed(sides)}")
    if opponent == "best_of_n":
        _require_equal_rows(run, row.method)
    return found[0]


def _require_equal_rows(run: Run, method: str) -> None:
    """Raises UserError where a budget is known and another than best_of_n's: only its pick among all n is stored."""
    of, most = beside(run.record, method), largest(run.record)
    rows = of.budget if isinstance(of, TooLarge) else of.n
    if rows != most:
        raise UserError(
            f"{method} took {rows} rows a prompt and best_of_n {most} in {run.id}: no equal budgets. Choose other rows "
            f"with --method, or repeat the run's command with --set best_of_n.n={rows} and judge that"
        )


def _unequal(run: Run, method: str, other: Run) -> str | None:
    """Why a method of `run` does not meet the best_of_n of `other` at equal rows; None where it does."""
    rows, n = budget_of(run.record, method), largest(other.record)
    if rows is None:
        return f"{method} has no number of rows, best_of_n took {n}"
    return None if rows == n else f"{method} took {rows}, best_of_n {n}"


def _sides(run: Run) -> dict[Row, Side]:
    """The rows of the run's table, in its order: a `first` that answers as `value` does is left out."""
    wide = run.scores.pivot("metric", index=list(ANSWER), values="value")
    metrics = [name for name in wide.columns if name not in ANSWER]
    wide = run.completions.join(wide, on=ANSWER, how="left")
    grouped = wide.partition_by(ROW, as_dict=True, maintain_order=True)
    parts = {Row(*key): part.sort("prompt_id") for key, part in grouped.items()}
    sides = {}
    for row, part in parts.items():
        if repeats_value(parts, row):
            continue
        part = part.filter(~unanswered(part))
        scores = part.select(metrics).fill_null(float("nan")).to_dicts()
        entries = [Entry(text, s) for text, s in zip(part["response"], scores, strict=True)]
        sides[row] = _side(run, row, part, entries)
    return sides


def _references(run: Run) -> Side:
    if REFERENCE not in run.completions.columns:
        raise UserError(
            f"{run.id} was stored by a version that kept no references; repeat its command with another --out (what "
            "is in the cache is not computed again) and judge that run"
        )
    part = run.completions.unique("prompt_id").filter(pl.col(REFERENCE).is_not_null()).sort("prompt_id")
    if not len(part):
        raise UserError(f"the prompts of task {_task(run)} have no references; choose another opponent")
    return _side(run, Row(REFERENCE, 0, ""), part, [Entry(text) for text in part[REFERENCE]])


def _side(run: Run, row: Row, part: pl.DataFrame, entries: Sequence[Entry]) -> Side:
    ids = part["prompt_id"].to_list()
    return Side(run.id, row, dict(zip(ids, part["prompt"], strict=True)), dict(zip(ids, entries, strict=True)))


def _joined(ours: Side, theirs: Side) -> list[Pair]:
    common = sorted(set(ours.prompts) & set(theirs.prompts))
    if not common:
        raise UserError(
            f"{ours.name} and {theirs.name} have no prompt in common ({len(ours.prompts)} and {len(theirs.prompts)}); "
            "compare runs over the same slice"
        )
    if other := [i for i in common if ours.prompts[i] != theirs.prompts[i]]:
        raise UserError(
            f"{len(other)} prompts of {ours.name} and {theirs.name} have the same id but another text, e.g. "
            f"{other[0]!r}; compare runs whose prompts are cut alike"
        )
    return [Pair(i, ours.prompts[i], ours.entries[i], theirs.entries[i]) for i in common]


def _task(run: Run) -> str:
    return run.record.task_name


def _shown(selection: Selection) -> str:
    return ", ".join(f"{name}={value}" for name, value in vars(selection).items() if value is not None)


def _listed(rows: Iterable[Row]) -> str:
    return "; ".join(
        f"{row.method}, iteration {row.iteration}, {row.final_pick}"
        if row.iteration
        else f"{row.method}, {row.final_pick}"
        for row in rows
    )
