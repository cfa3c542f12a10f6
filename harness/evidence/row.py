"""What a run's table says of one row, as frozen data, and how that becomes the columns of a stored table.

rows = comparison(run)                       # list[Comparison], see table.py
rows[2].gold.value, rows[2].costs.flops, rows[2].key.name
put_parquet(frame(rows), path)               # an Estimate is five columns
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from math import isnan
from typing import Any

import polars as pl

from harness.core.statistics.stats import Estimate
from harness.evidence.schema import Row

WHERE_TESTED = {"left out where None": True}  # a p-value has no column where nothing was tested


@dataclass(frozen=True)
class Costs:
    """What a row costs: counts of a test prompt on average, fitting in all; FLOPs are None where nothing is priced."""

    policy_tokens: float
    value_calls: float
    value_tokens: float
    reward_calls: float
    fit_policy_tokens: int
    fit_proxy_calls: int
    fit_seconds: float
    flops: float | None  # of a test prompt
    flops_with_fitting: float | None  # likewise, with fitting shared by the prompts that the run answered
    fit_flops: float | None = None  # in all
    flops_amortised: float | None = None  # as `flops_with_fitting`, shared by AMORTISED_OVER prompts (see cost.py)
    flops_large_reward: float | None = None  # as `flops`, if the reward were a model of the policy's size
    steps: float | None = None  # forward passes one after another; None: of a version that did not count them
    busy_seconds: float | None = None  # CPU (or accelerator) seconds of answering, likewise

    usd: float | None = field(default=None, metadata=WHERE_TESTED)  # of a test prompt; None: no prices were given
    usd_with_fitting: float | None = field(default=None, metadata=WHERE_TESTED)  # shared by the prompts of the run
    fit_usd: float | None = field(default=None, metadata=WHERE_TESTED)  # in all

    @property
    def are_known(self) -> bool:
        """Whether anybody counted them: of answers made elsewhere they are NaN."""
        return not isnan(self.policy_tokens)

    @property
    def unit(self) -> str:
        """The unit of `over`."""
        if self.usd_with_fitting is not None:
            return "dollars"
        return "tokens" if self.flops_with_fitting is None else "FLOPs"

    def over(self, rival: "Costs") -> float:
        """These costs over the rival's: dollars or FLOPs with fitting, or policy tokens where nothing is priced."""
        if self.usd_with_fitting is not None and rival.usd_with_fitting:
            return self.usd_with_fitting / rival.usd_with_fitting
        if self.flops_with_fitting is None or rival.flops_with_fitting is None:
            return self.policy_tokens / rival.policy_tokens
        return self.flops_with_fitting / rival.flops_with_fitting


@dataclass(frozen=True)
class Drift:
    """How far the answers went from the base's (see drift.py); gains are None for the base itself."""

    proxy_gain: Estimate | None
    gold_gain: Estimate | None
    gold_per_proxy: Estimate | None
    distinct_2: float
    distinct_3: float
    repetition: Estimate


@dataclass(frozen=True)
class Equivalent:
    """The n at which best-of-n's curve has the row's mean gold, and the row's share of what that costs."""

    as_good_as: Estimate | None = None
    share_of_tokens: Estimate | None = None
    share_of_flops: Estimate | None = None
    share_of_flops_with_fitting: Estimate | None = None


@dataclass(frozen=True)
class OverRefits:
    """A row over several fits of the same thing: prompts and refits drawn crossed (see refits.py)."""

    refits: int
    gold_of_refits: Sequence[float]  # of each alone, the run's own first
    sd_of_refits: float
    gold_over_refits: Estimate
    against_best_of_n_over_refits: Estimate | None
    against_previous_over_refits: Estimate | None
    against_first_over_refits: Estimate | None  # iteration 1, from iteration 3 on


@dataclass(frozen=True)
class Comparison:
    """A method at an iteration, with one final pick. Gold and proxy in sd of base samples; None: not compared.

    `best_of_n` in a name is the best-of-n that the row is set beside (`beside`, see budgets.py).
    """

    key: Row
    gold: Estimate
    proxy: Estimate
    against_best_of_n: Estimate | None
    against_previous: Estimate | None  # the iteration before
    against_first: Estimate | None  # iteration 1, from iteration 3 on
    share_of_best_of_n: Estimate | None  # gain over base, in gains of best-of-n
    win_rate_over_base: Estimate | None
    win_rate_over_best_of_n: Estimate | None
    unscored: int  # answers without gold or proxy
    tokens: float  # of an answer
    base_nll: float  # nats a token
    trains_weights: bool
    kl_bound: float | None  # nats
    drift: Drift
    costs: Costs
    equivalent: Equivalent
    p_holm: float | None = field(default=None, metadata=WHERE_TESTED)
    p_gain_holm: float | None = field(default=None, metadata=WHERE_TESTED)
    p_wins_holm: float | None = field(default=None, metadata=WHERE_TESTED)
    p_wins_over_best_of_n_holm: float | None = field(default=None, metadata=WHERE_TESTED)
    budget: int | None = None  # rows a prompt; None: rows do not measure what it does
    beside: str | None = None  # "best-of-9"
    cost_over_beside: float | None = None  # where that is not at equal rows
    not_compared: str | None = None  # why it is beside none
    against_largest: Estimate | None = None  # the best of the whole pool, where that is larger
    tuning: str | None = None  # tries and prompts that chose its settings; None: not tuned, or not recorded
    over_refits: OverRefits | None = field(default=None, metadata=WHERE_TESTED)  # None: fitted once
    break_even: float | None = None  # prompts from which on, fitting included, it costs less than `beside`; inf: never
    large_reward_flops: float | None = (
        None  # costs.flops_large_reward, where some row calls the reward more than best-of-n
    )
    is_one_reward: bool = False  # gold and proxy are one function: nothing held out judges the row
    is_oracle: bool = False  # it asks a reward that reads columns of the row, which new prompts may lack
    edges: str | None = None  # at which ends of their ranges its settings were still best
    clusters: int | None = field(default=None, metadata=WHERE_TESTED)  # that intervals are over; None: over prompts
    kl: Estimate | None = None  # nats a text, from log-probabilities of its answers; None: not estimated


@dataclass(frozen=True)
class Warned(Estimate):
    """An estimate, and why it should not be believed as it stands; empty where nothing speaks against it."""

    warning: str = ""


@dataclass(frozen=True)
class Judged:
    """How often one side's answers beat an opponent's: rates in [0, 1], counts of pairs, lengths in characters.

    Estimates count prompts: the pairs of one prompt are averaged.
    """

    key: Row
    opponent: str
    win_rate: Estimate
    length_controlled: Warned
    pairs: int
    ties: int
    flip_rate: Estimate | None  # of the prompts that were asked about in both orders
    unparsable: int  # pairs without a verdict, though their replies are whole
    length_difference: Estimate
    withheld: Mapping[str, int] = field(default_factory=dict)  # pairs without a whole reply, by reason; a column each


def in_percent(rate: Estimate) -> Estimate:
    """A share of prompts as a number from 0 to 100."""
    return Estimate(100 * rate.value, 100 * rate.low, 100 * rate.high, rate.n)


def frame(rows: Sequence[Any]) -> pl.DataFrame:
    """Rows of one kind, each a dataclass or a mapping, as a table to store."""
    return pl.DataFrame([flat(row) for row in rows], infer_schema_length=None)


def flat(row: Any) -> dict[str, Any]:
    """The columns of a row: an estimate is its value, low, high, n and p; what is nested stands in its place."""
    columns: dict[str, Any] = {}
    for name, value in row.items() if isinstance(row, Mapping) else _parts(row):
        if isinstance(value, Estimate):
            columns |= {name if part == "value" else f"{name}_{part}": v for part, v in vars(value).items()}
        elif isinstance(value, Row):
            columns |= value._asdict()
        elif is_dataclass(value) or isinstance(value, Mapping):
            columns |= flat(value)
        else:
            columns[name] = value
    return columns


def _parts(row: Any) -> Iterable[tuple[str, Any]]:
    values = vars(row)
    return [
        (f.name, values[f.name]) for f in fields(row) if not (f.metadata == WHERE_TESTED and values[f.name] is None)
    ]
