"""The computed table of a stored run: methods side by side in quality and cost, and best-of-n's curve; no torch.

run = load_run(find_run(Path("results"), "imdb-3f2a"))
rows = comparison(run)      # one a method, iteration and final pick
curve = best_of_n_curve(run)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from harness.core.statistics import stats
from harness.core.statistics.best_of_n import as_good_as, curve_of_pool, share_of_cost
from harness.core.statistics.stats import Estimate
from harness.evidence.cost import best_of_n_costs, costs
from harness.evidence.drift import drift
from harness.evidence.store import Run

GOLD, PROXY = "gold_reward", "proxy_reward"
Row = tuple[str, int, str]  # method, iteration, final pick


def comparison(run: Run) -> list[dict[str, Any]]:
    """One row per method, iteration and final pick: gold and proxy in sd of base samples, and costs."""
    parts = answers_by_row(run)
    base = next((part for (method, _, _), part in parts.items() if method == "base"), None)
    best = next((part for (method, _, _), part in parts.items() if method == "best_of_n"), None)
    rows = []
    for (method, iteration, pick), part in parts.items():
        if repeats_value(parts, (method, iteration, pick)):
            continue
        gold = part[GOLD].to_numpy()
        rows.append(
            {
                "method": method,
                "iteration": iteration,
                "final_pick": pick,
                "gold": stats.mean(gold),
                "proxy": stats.mean(part[PROXY].to_numpy()),
                "against_best_of_n": None
                if best is None or method == "best_of_n"
                else stats.difference(gold, best[GOLD].to_numpy()),
                "against_previous": None
                if (method, iteration - 1, pick) not in parts
                else stats.difference(gold, parts[method, iteration - 1, pick][GOLD].to_numpy()),
                "against_first": None
                if iteration < 3 or (method, 1, pick) not in parts
                else stats.difference(gold, parts[method, 1, pick][GOLD].to_numpy()),
                "share_of_best_of_n": None
                if base is None or best is None or method in ("base", "best_of_n")
                else stats.gain_ratio(gold, best[GOLD].to_numpy(), base[GOLD].to_numpy()),
                "win_rate_over_base": None
                if base is None or method == "base"
                else stats.win_rate(gold, base[GOLD].to_numpy()),
                "win_rate_over_best_of_n": None
                if best is None or method in ("base", "best_of_n")
                else stats.win_rate(gold, best[GOLD].to_numpy()),
                "unscored": int((part[GOLD].is_nan() | part[PROXY].is_nan()).sum()),
                "tokens": float(part["n_tokens"].mean()),
                "base_nll": float(part["base_nll"].mean()),
                "trains_weights": method in run.about.get("trained", []),
                "kl_bound": run.about.get("kl_bounds", {}).get(method),
                **drift(part, None if method == "base" else base),
                **costs(run, part, method, iteration),
            }
        )
    _find_equivalents(run, rows, {key: part[GOLD].to_numpy() for key, part in parts.items()})
    families = {
        "against_best_of_n": "p_holm",
        "gold_gain": "p_gain_holm",
        "win_rate_over_base": "p_wins_holm",
        "win_rate_over_best_of_n": "p_wins_over_best_of_n_holm",
    }
    for tested, adjusted in families.items():
        family = [row for row in rows if row[tested] is not None]
        for row, p in zip(family, stats.holm([row[tested].p for row in family]), strict=True):
            row[adjusted] = p
    return rows


def answers_by_row(run: Run) -> dict[Row, pl.DataFrame]:
    """Answers by prompt id of each method, iteration and final pick, with gold and proxy in sd of base samples."""
    units = run.about["units"]
    wide = run.scores.pivot("metric", index=["method", "iteration", "final_pick", "prompt_id"], values="value")
    wide = wide.join(run.completions, on=["method", "iteration", "final_pick", "prompt_id"], how="inner")
    for metric in (GOLD, PROXY):
        wide = wide.with_columns((pl.col(metric) - units[metric]["mean"]) / units[metric]["sd"])
    parts = wide.partition_by("method", "iteration", "final_pick", as_dict=True, maintain_order=True)
    return {row: part.sort("prompt_id") for row, part in parts.items()}


def best_of_n_curve(run: Run) -> list[dict[str, Any]]:
    """Gold and proxy of best-of-n for n = 1..N from the pool of the test prompts, with intervals and costs."""
    gold, proxy = best_of_n_by_prompt(run, GOLD), best_of_n_by_prompt(run, PROXY)
    if not gold:
        return []
    return [
        {"n": i + 1, "gold": stats.mean([c[i] for c in gold]), "proxy": stats.mean([c[i] for c in proxy]), **cost}
        for i, cost in enumerate(best_of_n_costs(run, len(gold[0])))
    ]


def best_of_n_by_prompt(run: Run, metric: str = GOLD) -> list[np.ndarray]:
    """Expected `metric` (N,) of best-of-1..N by prompt, in sd of base samples, from the pool of evaluated prompts."""
    unit = run.about["units"][metric]
    pool = run.pool.filter(pl.col("part") == "test").sort("prompt_id", "row")
    return [
        curve_of_pool(part[PROXY].to_numpy(), (part[metric].to_numpy() - unit["mean"]) / unit["sd"])
        for part in pool.partition_by("prompt_id", maintain_order=True)
        if len(pool)
    ]


def _find_equivalents(run: Run, rows: Sequence[dict[str, Any]], golds: Mapping[Row, np.ndarray]) -> None:
    """Add the n at which best-of-n is as good as each row, and the row's share of what that costs."""
    curves = best_of_n_by_prompt(run)
    for row in rows:
        row |= dict.fromkeys(("as_good_as", "share_of_tokens", "share_of_flops", "share_of_flops_with_fitting"))
        if not curves or row["method"] in ("base", "best_of_n"):
            continue
        n = as_good_as(np.stack(curves), golds[row["method"], row["iteration"], row["final_pick"]])
        rivals = best_of_n_costs(run, len(curves[0]))
        row["as_good_as"] = n
        row["share_of_tokens"] = share_of_cost(row["policy_tokens"], [rival["policy_tokens"] for rival in rivals], n)
        if row["flops"] is not None:
            flops = [rival["flops"] for rival in rivals]
            row["share_of_flops"] = share_of_cost(row["flops"], flops, n)
            row["share_of_flops_with_fitting"] = share_of_cost(row["flops_with_fitting"], flops, n)


def repeats_value(parts: Mapping[Row, pl.DataFrame], row: Row) -> bool:
    """Whether a row is a `first` that answers every prompt as `value` does, and so needs no place in a table."""
    method, iteration, pick = row
    value = parts.get((method, iteration, "value"))
    return pick == "first" and value is not None and parts[row]["response"].equals(value["response"])


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table as plain columns: an estimate becomes its value, low, high, n and p."""
    flat = {}
    for key, value in row.items():
        if isinstance(value, Estimate):
            flat |= {key if name == "value" else f"{key}_{name}": v for name, v in vars(value).items()}
        else:
            flat[key] = value
    return flat
