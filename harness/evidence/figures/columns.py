"""The columns of a run's table that a figure can show side by side.

COLUMNS["gold"].of(row)      # Estimate: sd of base samples
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, nan

from harness.core.statistics.stats import Estimate
from harness.evidence.row import Comparison, in_percent
from harness.evidence.schema import BASE_NLL


@dataclass(frozen=True)
class Column:
    title: str
    of: Callable[[Comparison], Estimate | None]
    level: float | None = None  # where a line of reference stands
    log: bool = False
    share: bool = False  # of prompts, in percent: the axis shows 0 to 100


def _counted(value: float | None) -> Estimate | None:
    return None if value is None or isnan(value) else Estimate(value, nan, nan, 0)


def _percent(rate: Estimate | None) -> Estimate | None:
    return None if rate is None else in_percent(rate)


COLUMNS: dict[str, Column] = {
    "gold": Column("gold (sd)", lambda row: row.gold, 0),
    "proxy": Column("proxy (sd)", lambda row: row.proxy, 0),
    "against_best_of_n": Column("gold - best-of-n (sd)", lambda row: row.against_best_of_n, 0),
    "win_rate_over_base": Column("won over base, %", lambda row: _percent(row.win_rate_over_base), 50, share=True),
    "win_rate_over_best_of_n": Column(
        "won over best-of-n, %", lambda row: _percent(row.win_rate_over_best_of_n), 50, share=True
    ),
    "tokens": Column("tokens of an answer", lambda row: _counted(row.tokens)),
    BASE_NLL: Column("base NLL (nats a token)", lambda row: _counted(row.base_nll)),
    "distinct_2": Column("distinct-2", lambda row: _counted(row.drift.distinct_2)),
    "policy_tokens": Column("policy tokens a prompt", lambda row: _counted(row.costs.policy_tokens), log=True),
    "reward_calls": Column("reward calls a prompt", lambda row: _counted(row.costs.reward_calls)),
    "flops": Column("FLOPs a prompt", lambda row: _counted(row.costs.flops), log=True),
    "steps": Column("steps an answer", lambda row: _counted(row.costs.steps)),
    "seconds": Column("seconds a prompt", lambda row: _counted(row.costs.busy_seconds), log=True),
}
