"""The columns of a run's table as a paper names and writes them; their names are those of table.parquet.

COLUMNS["gold"].header, COLUMNS["gold"].shown(row.gold)      # "Gold (sd)", "0.55 [0.31, 0.77]"
values_of(row)["policy_tokens"]                              # of a Comparison, what is nested in its place
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isinf, isnan
from typing import Any

from harness.core.statistics.stats import Estimate
from harness.evidence.cost import AMORTISED_OVER
from harness.evidence.markdown import dollars, giga, p_value, per_thousand, percent, signed
from harness.evidence.names import display_name
from harness.evidence.row import Comparison, OverRefits
from harness.evidence.schema import BASE_NLL

Shown = Callable[[Any], str | None]


@dataclass(frozen=True)
class Column:
    """`shown` writes a value that is there; `best`: the highest is the best, and so set in bold."""

    header: str
    shown: Shown = str
    best: bool = False
    is_text: bool = False


def values_of(row: Comparison) -> dict[str, Any]:
    """The row's values by the names of COLUMNS; what was not compared or recorded is None."""
    key = {"method": method_of(row), "iteration": row.key.iteration, "final_pick": row.key.final_pick}
    refits = dict.fromkeys(_REFITS) if row.over_refits is None else _flat(row.over_refits)
    return {**key, **_flat(row), **refits}


def method_of(row: Comparison) -> str:
    """A row's method as papers call it, with its iteration, or that its weights are trained."""
    name = display_name(row.key.method)
    if row.trains_weights:
        return f"{name} (weights trained)"
    return f"{name} (iteration {row.key.iteration})" if row.key.iteration else name


def _flat(part: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(part):
        value = vars(part)[field.name]
        if field.name in _APART:
            continue
        elif is_dataclass(value) and not isinstance(value, Estimate):
            found |= _flat(value)
        else:
            found[field.name] = value
    return found


def _number(spec: str) -> Shown:
    return lambda value: "" if isnan(value) else format(value, spec)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


_APART = ("key", "over_refits", "equivalent")  # the last says nothing without best-of-n's curve beside it
_REFITS = tuple(field.name for field in fields(OverRefits))
_COUNT, _TENTHS, _HUNDREDTHS = _number(",.0f"), _number(",.1f"), _number(".2f")
COLUMNS: Mapping[str, Column] = {
    "method": Column("Method", is_text=True),
    "iteration": Column("Iteration"),
    "final_pick": Column("Pick", is_text=True),
    "gold": Column("Gold (sd)", best=True),
    "proxy": Column("Proxy (sd)"),
    "against_best_of_n": Column("Gold - best-of-n", signed, best=True),
    "p_holm": Column("p (Holm)", p_value),
    "beside": Column("Set beside", is_text=True),
    "cost_over_beside": Column("Cost over its", lambda value: f"{100 * value:.0f}%"),
    "not_compared": Column("Why not compared", is_text=True),
    "against_largest": Column("Gold - best of the whole pool", signed),
    "against_previous": Column("Gold - previous iteration", signed),
    "against_first": Column("Gold - iteration 1", signed),
    "share_of_best_of_n": Column("Share of best-of-n's gain", percent, best=True),
    "win_rate_over_base": Column("Wins over base", percent, best=True),
    "p_wins_holm": Column("p of wins (Holm)", p_value),
    "win_rate_over_best_of_n": Column("Wins over best-of-n", percent, best=True),
    "p_wins_over_best_of_n_holm": Column("p of wins over best-of-n (Holm)", p_value),
    "gold_gain": Column("Gold - base", signed, best=True),
    "p_gain_holm": Column("p of the gain (Holm)", p_value),
    "proxy_gain": Column("Proxy - base", signed),
    "gold_per_proxy": Column("Gold's gain over the proxy's"),
    "unscored": Column("Unscored", _COUNT),
    "tokens": Column("Tokens", _TENTHS),
    BASE_NLL: Column("Base NLL (nats a token)", _HUNDREDTHS),
    "distinct_2": Column("Distinct-2", _HUNDREDTHS),
    "distinct_3": Column("Distinct-3", _HUNDREDTHS),
    "repetition": Column("Repetition", percent),
    "kl": Column("KL (nats)"),
    "kl_bound": Column("KL at most (nats)", _HUNDREDTHS),
    "budget": Column("Rows a prompt", _COUNT),
    "policy_tokens": Column("Policy tokens", _COUNT),
    "value_calls": Column("Values", _COUNT),
    "value_tokens": Column("Tokens of value models", _COUNT),
    "reward_calls": Column("Reward calls", _TENTHS),
    "usd": Column("Dollars a 1,000 prompts", per_thousand),
    "usd_with_fitting": Column("Dollars a 1,000 prompts, with fitting", per_thousand),
    "fit_usd": Column("Fit: dollars", dollars),
    "flops": Column("GFLOPs", giga),
    "flops_with_fitting": Column("GFLOPs with fitting", giga),
    "flops_amortised": Column(f"GFLOPs, fitting over {AMORTISED_OVER:,} prompts", giga),
    "flops_large_reward": Column("GFLOPs, reward of the policy's size", giga),
    "large_reward_flops": Column("GFLOPs, reward of the policy's size", giga),
    "fit_policy_tokens": Column("Fit: policy tokens", _COUNT),
    "fit_proxy_calls": Column("Fit: proxy calls", _COUNT),
    "fit_seconds": Column("Fit: seconds", _COUNT),
    "fit_flops": Column("Fit: GFLOPs", giga),
    "break_even": Column("Fitting pays from (prompts)", lambda value: "never" if isinf(value) else _COUNT(value)),
    "steps": Column("Steps", _TENTHS),
    "busy_seconds": Column("Seconds a prompt", _number(".3g")),
    "trains_weights": Column("Trains weights", _yes),
    "is_one_reward": Column("Gold is the proxy", _yes),
    "is_oracle": Column("Oracle", _yes),
    "tuning": Column("Tuned by", is_text=True),
    "edges": Column("Best at an edge", is_text=True),
    "clusters": Column("Clusters", _COUNT),
    "refits": Column("Refits", _COUNT),
    "gold_of_refits": Column("Gold of each refit", lambda values: ", ".join(f"{gold:.2f}" for gold in values)),
    "sd_of_refits": Column("sd of refits", _HUNDREDTHS),
    "gold_over_refits": Column("Gold over refits"),
    "against_best_of_n_over_refits": Column("Gold - best-of-n, over refits", signed),
    "against_previous_over_refits": Column("Gold - previous iteration, over refits", signed),
    "against_first_over_refits": Column("Gold - iteration 1, over refits", signed),
}
USUAL = (
    "method", "final_pick", "gold", "against_best_of_n", "p_holm", "win_rate_over_base", "policy_tokens",
    "reward_calls",
)  # fmt: skip
