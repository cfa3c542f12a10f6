"""The computed table of a stored run: methods side by side in quality and cost, and best-of-n's curve; no torch.

run = load_run(find_run(Path("results"), "imdb-3f2a"))
rows = comparison(run)      # one a method, iteration and final pick
curve = best_of_n_curve(run)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
import polars as pl

from harness.core.statistics import stats
from harness.core.statistics.best_of_n import as_good_as, curve_of_pool, share_of_cost
from harness.core.statistics.stats import Estimate, Floats
from harness.evidence.budgets import Beside, TooLarge, beside, best_of, budget_of, largest, rival
from harness.evidence.clusters import clusters_in, clusters_of, count_of
from harness.evidence.cost import best_of_n_costs, break_even, costs, mean_of
from harness.evidence.drift import drift
from harness.evidence.graders import is_oracle
from harness.evidence.record import RunRecord
from harness.evidence.refits import over_refits
from harness.evidence.row import Comparison, Costs, Equivalent
from harness.evidence.schema import ANSWER, BASE_NLL, EVALUATED, GOLD, OWN_NLL, PROXY, ROW, Row
from harness.evidence.store import Run
from harness.evidence.unanswered import unanswered

Answers = Mapping[Row, pl.DataFrame]


def comparison(run: Run) -> list[Comparison]:
    """One row per method, iteration and final pick: gold and proxy in sd of base samples, and costs."""
    parts = answers_by_row(run)
    best, base = (answers_of(parts, method) for method in ("best_of_n", "base"))
    best_costs = None if best is None else costs(run, best, "best_of_n", 0)
    curves = best_of_n_by_prompt(run)
    rows = []
    for key, part in parts.items():
        if repeats_value(parts, key):
            continue
        row = _alone(run, parts, key, part, base)
        row = replace(row, equivalent=_equivalent(run, curves, row.costs, part) if _competes(key) else Equivalent())
        if best is not None and best_costs is not None and key.method != "best_of_n":
            row = _set_beside(run, row, part, best, best_costs, base)
        row = replace(row, over_refits=over_refits(run, parts, key, _rival_of(run, key, best)))
        rows.append(row)
    if best_costs is not None and any(row.costs.reward_calls > best_costs.reward_calls for row in rows):
        rows = [replace(row, large_reward_flops=row.costs.flops_large_reward) for row in rows]
    return _corrected(rows)


def answers_by_row(run: Run) -> dict[Row, pl.DataFrame]:
    """Answers by prompt id of each method, iteration and final pick, with gold and proxy in sd of base samples."""
    wide = run.scores.pivot("metric", index=list(ANSWER), values="value")
    wide = wide.join(run.completions, on=ANSWER, how="inner")
    for metric in (GOLD, PROXY):
        wide = wide.with_columns(run.record.standardised(metric, pl.col(metric)))
    parts = wide.partition_by(ROW, as_dict=True, maintain_order=True)
    return {Row(*key): part.sort("prompt_id") for key, part in parts.items()}


def answers_of(parts: Answers, method: str) -> pl.DataFrame | None:
    """The answers of a method that has one row, base or best_of_n; None where the run has none."""
    return next((part for row, part in parts.items() if row.method == method), None)


def repeats_value(parts: Answers, row: Row) -> bool:
    """Whether a row is a `first` that answers every prompt as `value` does, and so needs no place in a table."""
    value = parts.get(row._replace(final_pick="value"))
    return row.final_pick == "first" and value is not None and parts[row]["response"].equals(value["response"])


@dataclass(frozen=True)
class CurvePoint:
    """Best-of-n from the pool of the evaluated prompts: gold and proxy in sd of base samples, and its cost."""

    n: int
    gold: Estimate
    proxy: Estimate
    policy_tokens: float
    flops: float | None


def best_of_n_curve(run: Run) -> list[CurvePoint]:
    """Best-of-n for n = 1..N from the pool of the evaluated prompts, with intervals and costs."""
    gold, proxy = best_of_n_by_prompt(run, GOLD), best_of_n_by_prompt(run, PROXY)
    if not len(gold):
        return []
    clusters = clusters_of(run)
    gold_at, proxy_at = ([stats.mean(column, clusters=clusters) for column in of.T] for of in (gold, proxy))
    return [
        CurvePoint(n, gold_at[n - 1], proxy_at[n - 1], cost.policy_tokens, cost.flops)
        for n, cost in enumerate(best_of_n_costs(run, gold.shape[1]), 1)
    ]


def best_of_n_by_prompt(run: Run, metric: str = GOLD) -> Floats:
    """Expected `metric` (P, N) of best-of-1..N by prompt, in sd of base samples, from the pool; (0, 0) without one."""
    pool = run.pool.filter(pl.col("part") == EVALUATED).sort("prompt_id", "row")
    if not len(pool):
        return np.zeros((0, 0))
    return np.stack(
        [
            curve_of_pool(part[PROXY].to_numpy(), run.record.standardised(metric, part[metric].to_numpy()))
            for part in pool.partition_by("prompt_id", maintain_order=True)
        ]
    )


def edges_of(record: RunRecord, method: str) -> str | None:
    """At which ends of its ranges the tuning of a method stopped; None where at none, or where it was not tuned."""
    return None if record.tuned is None else "; ".join(record.tuned.edges.get(method, ())) or None


def _competes(row: Row) -> bool:
    return row.method not in ("base", "best_of_n")


def _alone(run: Run, parts: Answers, key: Row, part: pl.DataFrame, base: pl.DataFrame | None) -> Comparison:
    """A row without its best-of-n."""
    record, gold, clusters = run.record, part[GOLD].to_numpy(), clusters_in(part)
    previous = parts.get(key._replace(iteration=key.iteration - 1))
    first = parts.get(key._replace(iteration=1)) if key.iteration >= 3 else None
    base = None if key.method == "base" else base
    own = costs(run, part, key.method, key.iteration)
    return Comparison(
        key=key,
        gold=stats.mean(gold, clusters=clusters),
        proxy=stats.mean(part[PROXY].to_numpy(), clusters=clusters),
        against_best_of_n=None,
        against_previous=None
        if previous is None
        else stats.difference(gold, previous[GOLD].to_numpy(), clusters=clusters),
        against_first=None if first is None else stats.difference(gold, first[GOLD].to_numpy(), clusters=clusters),
        share_of_best_of_n=None,
        win_rate_over_base=None if base is None else stats.win_rate(gold, base[GOLD].to_numpy(), clusters),
        win_rate_over_best_of_n=None,
        unscored=int((part[GOLD].is_nan() | part[PROXY].is_nan()).sum()),
        tokens=_length(part),
        base_nll=mean_of(part, BASE_NLL),
        trains_weights=key.method in record.trained,
        kl_bound=record.kl_bounds.get(key.method),
        drift=drift(part, base),
        costs=own,
        equivalent=Equivalent(),
        budget=budget_of(record, key.method),
        tuning=_tuning(record, key.method),
        is_one_reward=record.agreement is not None and record.agreement.is_one_function,
        is_oracle=is_oracle(record, own.reward_calls),
        edges=edges_of(record, key.method),
        clusters=count_of(run),
        kl=_kl(run, key, part),
    )


def _rival_of(run: Run, key: Row, best: pl.DataFrame | None) -> Floats | None:
    """Gold (P,) of the best-of-n that a row is set beside; None without one."""
    of = None if best is None else beside(run.record, key.method)
    return None if best is None or of is None or isinstance(of, TooLarge) else rival(run, of, best)


def _tuning(record: RunRecord, method: str) -> str | None:
    """'8 tries on 64 prompts', what a method's search on development prompts had."""
    if record.tuned is None or (had := record.tuned.budgets.get(method)) is None:
        return None
    compute = "" if had.flops is None else f", {had.flops / 1e12:,.3g} TFLOPs"
    compute += "" if had.seconds is None else f", {had.seconds:,.0f} s"
    cut = "" if had.iterations is None else f", of {had.iterations} iteration{'s'[: had.iterations != 1]}"
    return f"{had.tries} tries on {had.prompts} prompts{cut}{compute}"


def _length(part: pl.DataFrame) -> float:
    """Mean tokens of an answer; NaN where nobody counts: of another system, beside a policy without a tokenizer."""
    answered = part.filter(~unanswered(part))
    return nan if answered["n_tokens"].null_count() else mean_of(answered, "n_tokens")


def _kl(run: Run, key: Row, part: pl.DataFrame) -> Estimate | None:
    """KL(method || base) of the text in nats: the mean over answers y of log p_method(y) - log p_base(y).

    It is 0 for the base. Other answers need the log-probability under the policy that sampled them plainly.
    """
    if key.method == "base" and "base" in run.record.kl_bounds:
        return stats.mean(np.zeros(len(part)), clusters=clusters_in(part))
    if OWN_NLL not in part.columns or part[OWN_NLL].null_count():
        return None
    return stats.mean((part["n_tokens"] * (part[BASE_NLL] - part[OWN_NLL])).to_numpy(), clusters=clusters_in(part))


def _set_beside(
    run: Run, row: Comparison, part: pl.DataFrame, best: pl.DataFrame, best_costs: Costs, base: pl.DataFrame | None
) -> Comparison:
    """The row beside the best-of-n of as many rows, or the run's own; all of the pool, too, where that is larger."""
    of, most, gold = beside(run.record, row.key.method), largest(run.record), part[GOLD].to_numpy()
    clusters = clusters_in(part)
    if isinstance(of, TooLarge):
        return replace(row, not_compared=str(of))
    theirs = rival(run, of, best)
    if of.n < most:
        whole_pool = rival(run, best_of(run.record, most), best)
        row = replace(row, against_largest=stats.difference(gold, whole_pool, clusters=clusters))
    if _competes(row.key):
        gain = None if base is None else stats.gain_ratio(gold, theirs, base[GOLD].to_numpy(), clusters)
        row = replace(row, share_of_best_of_n=gain, win_rate_over_best_of_n=stats.win_rate(gold, theirs, clusters))
    rivals = best_of_n_costs(run, most)
    return replace(
        row,
        break_even=break_even(row.costs, rivals[of.n - 1]),
        against_best_of_n=stats.difference(gold, theirs, clusters=clusters),
        beside=of.name,
        cost_over_beside=_cost_over(row.costs, best_costs, of),
    )


def _cost_over(own: Costs, best: Costs, of: Beside) -> float | None:
    return None if of.at_equal_rows else own.over(best)


def _equivalent(run: Run, curves: Floats, own: Costs, part: pl.DataFrame) -> Equivalent:
    """The n at which best-of-n is as good as the answers `part`, and their share of what that costs."""
    if not len(curves):
        return Equivalent()
    n = as_good_as(curves, part[GOLD].to_numpy(), clusters=clusters_in(part))
    rivals = best_of_n_costs(run, curves.shape[1])
    if not own.are_known:
        return Equivalent(n)
    found = Equivalent(n, share_of_cost(own.policy_tokens, [cost.policy_tokens for cost in rivals], n))
    flops = [cost.flops for cost in rivals if cost.flops is not None]
    if own.flops is None or own.flops_with_fitting is None or not flops:
        return found
    return replace(
        found,
        share_of_flops=share_of_cost(own.flops, flops, n),
        share_of_flops_with_fitting=share_of_cost(own.flops_with_fitting, flops, n),
    )


def _corrected(rows: Sequence[Comparison]) -> list[Comparison]:
    """The rows with Holm's p-values, one family a kind of test."""
    against = holm_of([row.against_best_of_n for row in rows])
    gains = holm_of([row.drift.gold_gain for row in rows])
    wins = holm_of([row.win_rate_over_base for row in rows])
    over = holm_of([row.win_rate_over_best_of_n for row in rows])
    return [
        replace(row, p_holm=a, p_gain_holm=b, p_wins_holm=c, p_wins_over_best_of_n_holm=d)
        for row, a, b, c, d in zip(rows, against, gains, wins, over, strict=True)
    ]


def holm_of(tested: Sequence[Estimate | None]) -> list[float | None]:
    """Adjusted p of each, None where there is no test."""
    adjusted = iter(stats.holm([estimate.p for estimate in tested if estimate is not None]))
    return [None if estimate is None else next(adjusted) for estimate in tested]
