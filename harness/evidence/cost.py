"""What a row of the table costs: counts, and one figure in FLOPs where run.json says what each count costs.

FLOPs at test time, per prompt: policy tokens, prefixes valued, tokens read by value models and texts scored by the
proxy, each times its price in `about["flops"]`. Fitting is shared by `AMORTISED_OVER` prompts.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from harness.evidence.store import Run

AMORTISED_OVER = 10_000  # prompts answered with one fit; ours, as no paper says


def costs(run: Run, part: pl.DataFrame, method: str, iteration: int) -> dict[str, Any]:
    """Counts and FLOPs of one row, whose answers are `part`; FLOPs are None where the run has no prices."""
    names = ("policy_tokens", "value_calls", "value_tokens", "reward_calls")
    counts = {name: float(part[name].mean()) for name in names} | _fit_cost(run, method, iteration)
    prices = run.about.get("flops")
    if prices is None:
        return counts | {"flops": None, "flops_with_fitting": None}
    flops = (
        _sampled(prices, counts["policy_tokens"], counts["reward_calls"])
        + counts["value_calls"] * prices["value_call"].get(method, 0)
        + counts["value_tokens"] * prices["value_token"].get(method, 0)
    )
    fitting = _sampled(prices, counts["fit_policy_tokens"], counts["fit_proxy_calls"])
    return counts | {"flops": flops, "flops_with_fitting": flops + fitting / AMORTISED_OVER}


def best_of_n_costs(run: Run, samples: int) -> list[dict[str, Any]]:
    """Policy tokens and FLOPs of best-of-1..samples per test prompt; best-of-1 is the base and asks no proxy."""
    tokens = {
        method: run.completions.filter(pl.col("method") == method)["policy_tokens"].mean()
        for method in ("base", "best_of_n")
    }
    base, prices = tokens["base"], run.about.get("flops")
    per_sample = (tokens["best_of_n"] - (base or 0)) / max(samples - 1, 1) if base else tokens["best_of_n"] / samples
    rows = []
    for n in range(1, samples + 1):
        policy_tokens = (base or per_sample) + (n - 1) * per_sample
        flops = None if prices is None else _sampled(prices, policy_tokens, n if n > 1 else 0)
        rows.append({"policy_tokens": policy_tokens, "flops": flops})
    return rows


def _sampled(prices: Mapping[str, Any], policy_tokens: float, reward_calls: float) -> float:
    return policy_tokens * prices["policy_token"] + reward_calls * prices["reward_call"]


def _fit_cost(run: Run, method: str, iteration: int) -> dict[str, float]:
    """What fitting cost up to this iteration, as if made alone: policy tokens, proxy calls, seconds."""
    fit = run.ledger.filter(
        (pl.col("method") == method) & (pl.col("iteration") <= iteration) & (pl.col("phase") == "fit")
    )
    policy, proxy = fit.filter(pl.col("role") == "policy"), fit.filter(pl.col("role") == "proxy")
    return {
        "fit_policy_tokens": int(policy["tokens"].sum() + policy["prefill_tokens"].sum()),
        "fit_proxy_calls": int(proxy["sequences"].sum()),
        "fit_seconds": float(fit["seconds"].sum()),
    }
