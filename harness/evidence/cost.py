"""What a row of the table costs: counts, and one figure in FLOPs where run.json says what each count costs.

FLOPs at test time, per prompt: policy tokens, prefixes valued, tokens read by value models and texts scored by the
proxy, each times its price in run.json. Fitting is shared by the prompts that the run answered; what that becomes over
more of them is shown by name (`AMORTISED_OVER`, `break_even`). A reward call costs what the task says, and beside
that what a model of the policy's size would take to read a prompt and a text. Left out are attention over what was
read before (two FLOPs a parameter and token count the weights alone) and the training of value heads; a value model of
its own has the tokens that it read to be fitted, a trained one three times.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, nan

import polars as pl

from harness.core.dollars import dollars_of
from harness.core.errors import UserError
from harness.evidence.record import Prices
from harness.evidence.row import Costs
from harness.evidence.store import Run

AMORTISED_OVER = 10_000  # prompts answered with one fit, where fitting is shown as shared by many; ours


@dataclass(frozen=True)
class SampledCost:
    """What best-of-n costs per test prompt."""

    policy_tokens: float
    flops: float | None


def costs(run: Run, part: pl.DataFrame, method: str, iteration: int) -> Costs:
    """Counts, FLOPs and dollars of one row, whose answers are `part`; None where the run has no prices of them."""
    tokens, calls = mean_of(part, "policy_tokens"), mean_of(part, "reward_calls")
    valued, value_tokens = mean_of(part, "value_calls"), mean_of(part, "value_tokens")
    fit = run.ledger.filter(
        (pl.col("method") == method) & (pl.col("iteration") <= iteration) & (pl.col("phase") == "fit")
    )
    policy, proxy = fit.filter(pl.col("role") == "policy"), fit.filter(pl.col("role") == "proxy")
    found = Costs(
        tokens,
        valued,
        value_tokens,
        calls,
        fit_policy_tokens=int(policy["tokens"].sum()) + int(policy["prefill_tokens"].sum()),  # as if made alone
        fit_proxy_calls=int(proxy["sequences"].sum()),
        fit_seconds=float(fit["seconds"].sum()),
        flops=None,
        flops_with_fitting=None,
        steps=mean_of(part, "steps") if "steps" in part.columns and not part["steps"].has_nulls() else None,
        busy_seconds=_busy(run, method, iteration, part),
    )
    answering = run.ledger.filter(
        pl.col("method") == method, pl.col("iteration") == iteration, pl.col("phase") == "generate"
    )
    found = _in_money(run, found, answering, fit, part["prompt_id"].n_unique())
    prices = run.record.flops
    if prices is None:
        return found
    valuing = _valuing_while_fitting(fit, prices, method)
    return _priced(run, found, prices, method, part["prompt_id"].n_unique(), valuing)


def _in_money(run: Run, found: Costs, answering: pl.DataFrame, fit: pl.DataFrame, prompts: int) -> Costs:
    """The same with dollars, where the run was given prices of the tokens of a server.

    What a server counted is counted as if the method had worked alone; what judges and graders ask is left out.
    """
    prices = run.record.settings("prices")
    if not prices:
        return found
    usd, fitting = (_dollars(work.filter(pl.col("role") == "policy"), prices) for work in (answering, fit))
    return replace(found, usd=usd / prompts, usd_with_fitting=(usd + fitting) / prompts, fit_usd=fitting)


def _dollars(work: pl.DataFrame, prices: Mapping[str, float]) -> float:
    """Of the tokens in rows of a ledger, at dollars per million."""
    read, written = (int(work[name].sum()) for name in ("prefill_tokens", "tokens"))
    cached = int(work["cached_tokens"].sum()) if "cached_tokens" in work.columns else 0
    fresh, again, output = (prices.get(kind, 0.0) for kind in ("input", "cached", "output"))
    return dollars_of(fresh, again, output, read, cached, written)


def _valuing_while_fitting(fit: pl.DataFrame, prices: Prices, method: str) -> float:
    """FLOPs of the values that guided the searches of fitting, and of what models of their own read to be fitted.

    What trains a head is booked where nothing is sampled, and left out. 0 where a version that did not name artifacts
    made the run.
    """
    if "artifact" not in fit.columns:
        return 0.0
    sampling = fit.filter(pl.col("role") == "policy", pl.col("tokens") > 0)["artifact"].unique()
    of_values = fit.filter(pl.col("role") == "value")
    valued = of_values.filter(pl.col("artifact").is_in(sampling.implode()))
    calls, tokens = int(valued["sequences"].sum()), int(of_values["prefill_tokens"].sum())
    return calls * prices.value_call.get(method, 0) + tokens * prices.value_token.get(method, 0)


def _priced(run: Run, found: Costs, prices: Prices, method: str, prompts: int, valuing: float) -> Costs:
    """The same with FLOPs."""
    flops = (
        _sampled(prices, found.policy_tokens, found.reward_calls)
        + found.value_calls * prices.value_call.get(method, 0)
        + found.value_tokens * prices.value_token.get(method, 0)
    )
    fitting = _sampled(prices, found.fit_policy_tokens, found.fit_proxy_calls) + valuing
    one_text = _tokens(run, "base")  # tokens of a prompt and a text of it, which such a reward would read
    large = None if one_text is None else found.reward_calls * (one_text * prices.policy_token - prices.reward_call)
    return replace(
        found,
        flops=flops,
        flops_with_fitting=flops + fitting / prompts,
        fit_flops=fitting,
        flops_amortised=flops + fitting / AMORTISED_OVER,
        flops_large_reward=None if large is None else flops + large,
    )


def at_reward_price(run: Run, price: str) -> Run:
    """The run as if a call of its reward took `price`: FLOPs, or `policy` for a model of the policy's size.

    Raises UserError for another price, and where the run stored none to set it beside.
    """
    prices, one_text = run.record.flops, _tokens(run, "base")
    if prices is None or one_text is None:
        raise UserError(
            f"--reward-price {price}: {run.id} has no FLOPs of the policy, or no base whose texts it would read"
        )
    try:
        flops = one_text * prices.policy_token if price == "policy" else float(price)
    except ValueError:
        flops = nan
    if not 0 <= flops < inf:
        raise UserError(f"--reward-price {price!r}: give FLOPs of one call, such as 3e9, or policy")
    return replace(run, about={**run.about, "flops": {**run.about["flops"], "reward_call": flops}})


def break_even(own: Costs, rival: SampledCost) -> float | None:
    """The number of prompts from which on fitting has paid for itself beside a best-of-n; inf where it never does.

    None where nothing was fitted, or nothing is priced.
    """
    if own.flops is None or own.fit_flops is None or rival.flops is None or not own.fit_flops:
        return None
    return own.fit_flops / (rival.flops - own.flops) if rival.flops > own.flops else inf


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
    """The mean of a column of numbers; NaN where no row has one."""
    if part[column].null_count() == len(part):
        return nan
    mean = part[column].mean()
    assert isinstance(mean, int | float), f"{column} of {len(part)} rows has the mean {mean!r}"
    return float(mean)


def _busy(run: Run, method: str, iteration: int, part: pl.DataFrame) -> float | None:
    """Seconds of answering a prompt; None where a batch's were not measured."""
    if "busy_seconds" not in run.ledger.columns:
        return None
    work = run.ledger.filter(
        pl.col("method") == method, pl.col("iteration") == iteration, pl.col("phase") == "generate"
    )
    total = work.filter(pl.col("role") == "policy")["busy_seconds"]
    return None if total.has_nulls() or not len(total) else float(total.sum()) / part["prompt_id"].n_unique()


def _tokens(run: Run, method: str) -> float | None:
    """Policy tokens of a method's answers, on average; None where the run has none."""
    answers = run.completions.filter(pl.col("method") == method)
    return mean_of(answers, "policy_tokens") if len(answers) else None


def _sampled(prices: Prices, policy_tokens: float, reward_calls: float) -> float:
    return policy_tokens * prices.policy_token + reward_calls * prices.reward_call
