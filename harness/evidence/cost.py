"""What a row of the table costs: counts, and one figure in FLOPs where run.json says what each count costs.

FLOPs at test time, per prompt: policy tokens, prefixes valued, tokens read by value models and texts scored by the
proxy, each times its price in run.json. Fitting is shared by `AMORTISED_OVER` prompts.
"""

from dataclasses import dataclass

import polars as pl

from harness.evidence.record import Prices
from harness.evidence.row import Costs
from harness.evidence.store import Run

AMORTISED_OVER = 10_000  # prompts answered with one fit; ours, as no paper says


@dataclass(frozen=True)
class SampledCost:
    """What best-of-n costs per test prompt."""

    policy_tokens: float
    flops: float | None


def costs(run: Run, part: pl.DataFrame, method: str, iteration: int) -> Costs:
    """Counts and FLOPs of one row, whose answers are `part`; FLOPs are None where the run has no prices."""
    tokens, calls = mean_of(part, "policy_tokens"), mean_of(part, "reward_calls")
    valued, value_tokens = mean_of(part, "value_calls"), mean_of(part, "value_tokens")
    fit = run.ledger.filter(
        (pl.col("method") == method) & (pl.col("iteration") <= iteration) & (pl.col("phase") == "fit")
    )
    policy, proxy = fit.filter(pl.col("role") == "policy"), fit.filter(pl.col("role") == "proxy")
    fit_tokens, fit_calls = (  # up to this iteration, as if made alone
        int(policy["tokens"].sum()) + int(policy["prefill_tokens"].sum()),
        int(proxy["sequences"].sum()),
    )
    prices, flops, fit_flops, with_fitting = run.record.flops, None, None, None
    if prices is not None:
        flops = (
            _sampled(prices, tokens, calls)
            + valued * prices.value_call.get(method, 0)
            + value_tokens * prices.value_token.get(method, 0)
        )
        fit_flops = _sampled(prices, fit_tokens, fit_calls)
        with_fitting = flops + fit_flops / AMORTISED_OVER
    seconds = float(fit["seconds"].sum())
    return Costs(tokens, valued, value_tokens, calls, fit_tokens, fit_calls, seconds, flops, with_fitting, fit_flops)


def best_of_n_costs(run: Run, samples: int) -> list[SampledCost]:
    """What best-of-1..samples cost; best-of-1 is the base and asks no proxy."""
    base, best = (_tokens(run, method) for method in ("base", "best_of_n"))
    assert best is not None, f"{run.id} has a pool and no best_of_n"
    per_sample = (best - (base or 0)) / max(samples - 1, 1) if base else best / samples
    rows = []
    for n in range(1, samples + 1):
        tokens = (base or per_sample) + (n - 1) * per_sample
        prices = run.record.flops
        rows.append(SampledCost(tokens, None if prices is None else _sampled(prices, tokens, n if n > 1 else 0)))
    return rows


def mean_of(part: pl.DataFrame, column: str) -> float:
    """The mean of a column of numbers."""
    mean = part[column].mean()
    assert isinstance(mean, int | float), f"{column} of {len(part)} rows has the mean {mean!r}"
    return float(mean)


def _tokens(run: Run, method: str) -> float | None:
    """Policy tokens of a method's answers, on average; None where the run has none."""
    answers = run.completions.filter(pl.col("method") == method)
    return mean_of(answers, "policy_tokens") if len(answers) else None


def _sampled(prices: Prices, policy_tokens: float, reward_calls: float) -> float:
    return policy_tokens * prices.policy_token + reward_calls * prices.reward_call
