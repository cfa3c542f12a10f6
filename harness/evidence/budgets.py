"""Rows a prompt: what a method takes of them, and which best-of-n its rows are therefore set beside.

beside(run.record, "iro")              # Beside(n=9, at_equal_rows=True): best-of-9, of a pool of 16
rival(run, that, answers)              # (P,) gold of that best-of-n by prompt

A method of b rows is set beside the best of the first b rows of the pool that best-of-n answered from, so that one
run can hold methods of several budgets. Two are set beside the run's own best-of-n, and their costs over its are shown,
since rows do not compare them: a method without a budget, and the base, which would meet itself in best-of-1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from harness.core.errors import UserError
from harness.core.statistics.stats import Floats
from harness.evidence.record import RunRecord
from harness.evidence.schema import EVALUATED, GOLD, PROXY
from harness.evidence.store import Run


@dataclass(frozen=True)
class Beside:
    """A best-of-n that rows are set beside."""

    n: int
    at_equal_rows: bool
    is_own: bool  # what the run's best_of_n answered, else the best by proxy among the first n rows of its pool
    tau: float = 0.0  # softness of its own answers

    @property
    def name(self) -> str:
        return f"best-of-{self.n}" + (f", tau {self.tau:g}" if self.is_own and self.tau else "")


@dataclass(frozen=True)
class TooLarge:
    """No comparison: the method took more rows than the pool has."""

    budget: int
    pool: int

    def __str__(self) -> str:
        return f"best-of-{self.pool} only; this one took {self.budget}"


def budget_of(record: RunRecord, method: str) -> int | None:
    """Rows a prompt of a method; None where rows do not measure what it does."""
    if record.budgets is not None and method in record.budgets:
        return record.budgets[method]
    return _derived(record, method)  # stored by a version that recorded no budgets


def largest(record: RunRecord) -> int:
    """The n of the run's own best_of_n, which is the size of its pool."""
    return record.required("config.settings.best_of_n.n", budget_of(record, "best_of_n"))


def beside(record: RunRecord, method: str) -> Beside | TooLarge:
    """What the rows of a method are set beside in a run that has a best_of_n."""
    budget, most = budget_of(record, method), largest(record)
    tau = float(record.settings("best_of_n").get("tau", 0.0))
    if budget is None or method == "base":
        return Beside(most, False, True, tau)
    if budget > most:
        return TooLarge(budget, most)
    return best_of(record, budget)


def best_of(record: RunRecord, n: int) -> Beside:
    """Best-of-n at n rows: the run's own answers where those are the best by proxy of n rows."""
    soft = bool(record.settings("best_of_n").get("tau", 0.0))
    return Beside(n, True, n == largest(record) and not soft)


def rival(run: Run, of: Beside, own: pl.DataFrame) -> Floats:
    """Gold (P,) of a best-of-n in sd of base samples, by the prompts of `own`, the answers of the run's best_of_n.

    Its own answers were scored with the other answers, the pool in other batches, which moves last digits: equal texts
    tie in the first only.
    """
    if of.is_own:
        return own[GOLD].to_numpy()
    raw = own.select("prompt_id").join(first_picks(run.pool, of.n), on="prompt_id", how="left", maintain_order="left")
    return run.record.standardised(GOLD, raw[GOLD].fill_null(float("nan"))).to_numpy()


def first_picks(pool: pl.DataFrame, n: int) -> pl.DataFrame:
    """The best by proxy among the first n rows of each evaluated prompt, the first of equals; NaN only if all are."""
    first = pool.filter(pl.col("part") == EVALUATED, pl.col("row") < n)
    ranked = first.sort("prompt_id", -pl.col(PROXY).fill_nan(-float("inf")), "row")
    return ranked.unique("prompt_id", keep="first", maintain_order=True)


def _derived(record: RunRecord, method: str) -> int | None:
    settings = record.settings(method)
    match method:
        case "base":
            return 1
        case "best_of_n":
            return _whole(record, method, settings, "n")
        case "controlled_decoding":
            return _whole(record, method, settings, "successors") if settings.get("mode") == "block" else None
    width, successors = (_whole(record, method, settings, name) for name in ("width", "successors"))
    return None if width is None or successors is None else width * successors


def _whole(record: RunRecord, method: str, settings: Mapping[str, Any], name: str) -> int | None:
    value = settings.get(name)
    if value is not None and type(value) is not int:
        raise UserError(f"{record.path}: config.settings.{method}.{name} is {value!r}, and no number of rows")
    return value
