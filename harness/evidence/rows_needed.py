"""How many rows a search needs to be as good as best-of-n, and at what share of its cost: from an axis of budgets.

The search's gold stands at each U that was run and, between those, on straight lines; at U = 1 it is the base.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.core.statistics.best_of_n import cost_of_reaching, reached_at
from harness.core.statistics.stats import Estimate
from harness.evidence.cost import AMORTISED_OVER
from harness.evidence.markdown import markdown_table, name_of, reached, share

COSTS = {
    "policy_tokens": "share of its policy tokens",
    "flops": "share of its FLOPs",
    "flops_with_fitting": "share of its FLOPs, with fitting",
}


def needed(
    rows: Sequence[Mapping[str, Any]],
    gold_of: Callable[[Mapping[str, Any]], np.ndarray],
    rivals: np.ndarray,
    rival_costs: Sequence[Mapping[str, Any]],
    levels: Sequence[int],
) -> list[str]:
    """Lines of the section; `rows` are an ablation's, `gold_of` gives a row's gold (P,) by prompt.

    rivals (P, N): gold of best-of-1..N by prompt; rival_costs: what each costs; levels: the n to be reached.
    """
    base = next((row for row in rows if row["method"] == "base"), None)
    searches: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["method"] not in ("base", "best_of_n"):
            searches.setdefault(f"{name_of(row)}|{row['final_pick']}", []).append(row)
    lines = []
    for points in searches.values():
        points = sorted(points, key=lambda row: row["value"])
        at = [row["value"] for row in points]
        golds = np.column_stack([gold_of(row) for row in points])  # (P, K)
        costs = {name: [row[name] for row in points] for name in COSTS}
        if base is not None and at[0] > 1:
            at, golds = [1, *at], np.column_stack([gold_of(base), golds])
            costs = {name: [_of_one_row(base, points[0], name), *known] for name, known in costs.items()}
        for n in levels:
            where = reached_at(at, golds, rivals[:, n - 1])
            lines.append(
                {
                    "method": name_of(points[0]),
                    "final pick": points[0]["final_pick"],
                    "reaches": f"best-of-{n}",
                    "at U": reached(where, at[-1]),
                    **{
                        title: _share(where, at, costs[name], name, rival_costs[n - 1]) for name, title in COSTS.items()
                    },
                }
            )
    text = (
        "Where a search's mean gold first reaches that of best-of-n: between the U that were run by straight lines, "
        f"from the base at U = 1; `>{at[-1]}`: not up to U = {at[-1]}. Intervals are 95% over prompts; costs are taken "
        f"as known, fitting is shared by {AMORTISED_OVER:,} prompts."
    )
    return ["## What a search needs to be as good as best-of-n", "", *markdown_table(lines), "", text]


def _of_one_row(base: Mapping[str, Any], first: Mapping[str, Any], name: str) -> float | None:
    """What a search of one row would cost: the base's sample, and the fit that the search has anyway."""
    if name != "flops_with_fitting" or base["flops"] is None or first["flops"] is None:
        return base[name]
    return base["flops"] + first["flops_with_fitting"] - first["flops"]


def _share(
    where: Estimate, at: Sequence[float], costs: Sequence[float | None], name: str, rival: Mapping[str, Any]
) -> str | None:
    price = rival["policy_tokens" if name == "policy_tokens" else "flops"]
    if price is None or None in costs:
        return None
    return share(cost_of_reaching(where, at, costs, price), where, ">")
