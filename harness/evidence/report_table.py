"""The table of a report, a row a method, iteration and final pick: what stands in which cell.

print(table_markdown(comparison(run)))
"""

from collections.abc import Mapping, Sequence
from math import isinf

from harness.evidence.cost import AMORTISED_OVER
from harness.evidence.graders import ORACLE
from harness.evidence.markdown import (
    counted,
    giga,
    markdown_table,
    nats,
    number,
    over,
    p_value,
    per_thousand,
    percent,
    signed,
)
from harness.evidence.report_sections import kl_cells
from harness.evidence.row import Comparison, OverRefits


def table_markdown(table: Sequence[Comparison], left_out: Mapping[str, str] | None = None) -> str:
    """The table; methods that were left out have a row of their own, empty but for the reason."""
    lines = markdown_table([_cells(row) for row in table])
    for name, reason in (left_out or {}).items():
        lines.append(f"| {name} | left out: {reason} |" + " |" * (lines[0].count("|") - 3))
    return "\n".join(lines)


def _cells(row: Comparison) -> dict[str, str | None]:
    """Column -> cell, None where it is not known."""
    wins, costs = row.win_rate_over_base, row.costs
    gold = "gold, which is the proxy (sd)" if row.is_one_reward else "gold (sd)"
    is_alone = row.beside is None and row.not_compared is None and row.key.method != "best_of_n"
    return {
        "method": f"{row.key.method} (weights trained)" if row.trains_weights else row.key.name,
        "final pick": row.key.final_pick + (f" ({ORACLE})" if row.is_oracle else ""),
        gold: str(row.gold) + (f" ({row.unscored} unscored)" if row.unscored else ""),
        **_over_refits(row.over_refits),
        "proxy (sd)": f"{row.proxy.value:.2f}",
        "tuned by": row.tuning,
        "best at an edge": row.edges,
        "set beside": None if is_alone else row.beside or "",
        "cost over its (rows not equal)": None if is_alone else over(row.cost_over_beside, costs.unit),
        "gold - best-of-n": row.not_compared or signed(row.against_best_of_n) or "",
        "p (Holm)": p_value(row.p_holm),
        "win rate over base": percent(wins) if wins else "",
        f"p ({'McNemar' if row.clusters is None else 'sign flips'}, Holm)": p_value(row.p_wins_holm),
        "tokens": counted(row.tokens),
        "base NLL": nats(row.base_nll),
        **kl_cells(row),
        "distinct-2": number(row.drift.distinct_2),
        "policy tokens": f"{costs.policy_tokens:.0f}" if costs.are_known else None,
        "values": f"{costs.value_calls:.0f}" + (f" ({costs.value_tokens:.0f} tokens)" if costs.value_tokens else "")
        if costs.are_known
        else None,
        "reward calls": f"{costs.reward_calls:.1f}" if costs.are_known else None,
        "dollars a 1,000 prompts (with fitting)": None
        if costs.usd is None or costs.usd_with_fitting is None
        else f"{per_thousand(costs.usd)} ({per_thousand(costs.usd_with_fitting)})",
        "GFLOPs (with fitting)": None
        if costs.flops is None or costs.flops_with_fitting is None or not costs.are_known
        else f"{giga(costs.flops)} ({giga(costs.flops_with_fitting)})",
        f"GFLOPs, fitting over {AMORTISED_OVER:,} prompts": None
        if costs.flops_amortised is None or not costs.are_known
        else giga(costs.flops_amortised)
        if costs.fit_flops
        else "",
        "fitting pays from (prompts)": None if costs.flops is None or not costs.are_known else _prompts(row.break_even),
        "GFLOPs, reward of the policy's size": None if row.large_reward_flops is None else giga(row.large_reward_flops),
        "steps": None if costs.steps is None else f"{costs.steps:.1f}",
        "seconds a prompt": None if costs.busy_seconds is None else f"{costs.busy_seconds:.3g}",
        "fit: policy tokens / proxy calls": f"{costs.fit_policy_tokens:,} / {costs.fit_proxy_calls:,}"
        if costs.fit_proxy_calls
        else "",
    }


def _over_refits(of: OverRefits | None) -> dict[str, str | None]:
    """Gold and differences over several fits, and what each fit alone gave."""
    names = ("gold over refits", "each refit", "gold - best-of-n, over refits",
             "gold - previous iteration, over refits", "gold - iteration 1, over refits")  # fmt: skip
    if of is None:
        return dict.fromkeys(names)
    cells = (
        f"{of.gold_over_refits} ± {of.sd_of_refits:.2f}",
        ", ".join(f"{gold:.2f}" for gold in of.gold_of_refits),
        signed(of.against_best_of_n_over_refits),
        signed(of.against_previous_over_refits),
        signed(of.against_first_over_refits),
    )
    return dict(zip(names, cells, strict=True))


def _prompts(count: float | None) -> str:
    """A number of prompts; nothing where there is none to be had."""
    if count is None:
        return ""
    return "never" if isinf(count) else f"{count:,.0f}"
