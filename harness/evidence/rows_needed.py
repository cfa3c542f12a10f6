"""How many rows a search needs to be as good as best-of-n, and at what share of its cost: from an axis of budgets.

The search's gold stands at each U that was run and, between those, on straight lines; at U = 1 it is the base.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.core.statistics.best_of_n import cost_of_reaching, reached_at
from harness.core.statistics.stats import Clusters, Estimate, Floats
from harness.evidence.cost import SampledCost
from harness.evidence.markdown import markdown_table, reached, share
from harness.evidence.row import Costs
from harness.evidence.schema import Row


@dataclass(frozen=True)
class Searched:
    """A search at U rows a prompt, or the base at 1: its gold (P,) by prompt, and what it costs."""

    key: Row
    rows: int
    gold: Floats
    costs: Costs


def needed(
    base: Searched | None,
    searches: Sequence[Searched],
    rivals: Floats,
    rival_costs: Sequence[SampledCost],
    levels: Sequence[int],
    clusters: Clusters = None,
) -> list[str]:
    """Lines of the section; `searches` hold several U of each row.

    rivals (P, N): gold of best-of-1..N by prompt; rival_costs: what each costs; levels: the n to be reached.
    """
    groups: dict[Row, list[Searched]] = {}
    for search in searches:
        groups.setdefault(search.key, []).append(search)
    lines, widest = [], max(search.rows for search in searches)
    for key, group in groups.items():
        points = sorted(group, key=lambda search: search.rows)
        if base is not None and points[0].rows > 1:
            points = [_of_one_row(base, points[0]), *points]
        at, golds = [point.rows for point in points], np.column_stack([point.gold for point in points])  # (P, K)
        for n in levels:
            where, rival = reached_at(at, golds, rivals[:, n - 1], clusters=clusters), rival_costs[n - 1]
            tokens = [point.costs.policy_tokens for point in points]
            flops = [point.costs.flops for point in points]
            with_fitting = [point.costs.flops_with_fitting for point in points]
            lines.append(
                {
                    "method": key.name,
                    "final pick": key.final_pick,
                    "reaches": f"best-of-{n}",
                    "at U": reached(where, at[-1]),
                    "share of its policy tokens": _share(where, at, tokens, rival.policy_tokens),
                    "share of its FLOPs": _share(where, at, flops, rival.flops),
                    "share of its FLOPs, with fitting": _share(where, at, with_fitting, rival.flops),
                }
            )
    text = (
        "Where a search's mean gold first reaches that of best-of-n: between the U that were run by straight lines, "
        f"from the base at U = 1; `>{widest}`: not up to U = {widest}. Intervals are 95% over prompts; costs are taken "
        "as known, fitting is shared by the prompts that were run."
    )
    return ["## What a search needs to be as good as best-of-n", "", *markdown_table(lines), "", text]


def _of_one_row(base: Searched, first: Searched) -> Searched:
    """A search of one row: the base's sample, and the fit that the search has anyway."""
    one, fitted = base.costs, first.costs
    if one.flops is None or fitted.flops is None or fitted.flops_with_fitting is None:
        return base
    with_fitting = one.flops + fitted.flops_with_fitting - fitted.flops
    return replace(base, costs=replace(one, flops_with_fitting=with_fitting))


def _share(where: Estimate, at: Sequence[float], costs: Sequence[float | None], rival: float | None) -> str | None:
    priced = [cost for cost in costs if cost is not None]
    if rival is None or len(priced) < len(costs):
        return None
    return share(cost_of_reaching(where, at, priced, rival), where, ">")
