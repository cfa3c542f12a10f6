"""Which best-of-n a result is worth, and at what share of its cost: the n whose mean gold equals that of the result.

n = as_good_as(curves, gold)         # Estimate: 9.3 [7.1, 12.0]; infinite beyond the pool
share_of_cost(400.0, costs, n)       # Estimate: what the result costs over what best-of-that-n costs

The other way round, for a search that was run at several numbers of rows: which of them best-of-n's gold needs.

u = reached_at([1, 4, 9], golds, gold)        # Estimate: 6.1 [5.0, 8.2]; infinite beyond the widest search
cost_of_reaching(u, [1, 4, 9], costs, 400.0)  # Estimate: what the search costs there over the cost of best-of-n
"""

from collections.abc import Sequence

import numpy as np

from harness.core.statistics.stats import RESAMPLES, Clusters, Estimate, Floats, Values, of_known, resampled_means


def curve_of_pool(proxy: Floats, gold: Floats) -> Floats:
    """Expected gold of best-of-n for n = 1..N from one pool of N samples: (N,), unbiased.

    E_n = sum_i C(i-1, n-1) / C(N, n) * g_(i), i the rank by proxy ascending; golds of tied proxies are averaged.
    NaN proxies rank last and are never picked while any other is there.
    """
    key = np.where(np.isnan(proxy), -np.inf, proxy)
    order = np.argsort(key, kind="stable")
    ranked, total = gold[order].astype(float), len(order)
    for value in np.unique(key):
        tied = key[order] == value
        ranked[tied] = ranked[tied].mean()
    curve = np.empty(total)
    for n in range(1, total + 1):
        weights = np.zeros(total)
        weights[total - 1] = n / total
        for i in range(total - 1, n - 1, -1):  # weight of rank i from that of rank i + 1 (1-based)
            weights[i - 1] = weights[i] * (i - n + 1) / i
        curve[n - 1] = weights[weights > 0] @ ranked[weights > 0]  # a gold that is never picked may be NaN
    return curve


def as_good_as(curves: Floats, gold: Floats, resamples: int = RESAMPLES, clusters: Clusters = None) -> Estimate:
    """The smallest n whose mean gold reaches the mean of `gold`, between whole numbers by straight lines.

    curves (P, N): expected gold of best-of-1..N by prompt; gold (P,): of the same prompts. 1 is as good as one sample,
    or worse; infinity is better than best-of-N. Otherwise as `reached_at`.
    """
    return reached_at(np.arange(1, curves.shape[1] + 1), curves, gold, resamples, clusters)


def reached_at(
    at: Values, curves: Floats, level: Floats, resamples: int = RESAMPLES, clusters: Clusters = None
) -> Estimate:
    """Where on `at` (N,), increasing, the mean of curves (P, N) first reaches the mean of level (P,).

    Between the points by straight lines; infinity if nowhere. The interval is a bootstrap over prompts, drawn for both
    alike, or over clusters of them. Prompts with NaN in either are left out.
    """
    assert curves.shape == (len(level), len(at)), f"curves {curves.shape} for {len(level)} prompts, {len(at)} points"
    both = np.column_stack([curves, level])  # (P, N + 1)
    known = np.asarray(~np.isnan(both).any(1))
    both, clusters = both[known], of_known(clusters, known)
    if not len(both):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    value = float(first_reached(at, both[:, :-1].mean(0)[None], both[:, -1].mean()[None])[0])
    if (len(both) if clusters is None else len(set(clusters))) < 2:
        return Estimate(value, float("nan"), float("nan"), len(both))
    means = resampled_means(both, resamples, clusters)  # (R, N + 1)
    # quantiles that are values: there is no middle between a number and infinity
    low, high = np.quantile(first_reached(at, means[:, :-1], means[:, -1]), [0.025, 0.975], method="inverted_cdf")
    return Estimate(value, float(low), float(high), len(both))


def first_reached(at: Values, curves: Floats, levels: Floats) -> Floats:
    """Where each curve (R, N) over `at` (N,) first reaches its level (R,), by straight lines; infinity if nowhere."""
    at = np.asarray(at, dtype=float)
    reached = curves >= levels[:, None] - 1e-9  # (R, N); what is equal but for rounding is reached
    above = reached.argmax(1)  # the first, 0-based
    below, row = np.maximum(above - 1, 0), np.arange(len(curves))
    rise = curves[row, above] - curves[row, below]  # positive, unless the first point is enough
    part = np.clip((levels - curves[row, below]) / np.where(rise > 0, rise, 1), 0, 1)
    return np.where(reached.any(1), at[below] + part * (at[above] - at[below]), np.inf)


def share_of_cost(cost: float, best_of_n: Sequence[float], n: Estimate) -> Estimate:
    """`cost` over that of best-of-n at n, given those of best-of-1..N, growing with n; beyond the pool: over best-of-N.

    The ends of the interval are those of n, exchanged; costs are taken as known.
    """
    whole = np.arange(1, len(best_of_n) + 1)
    value, low, high = (float(cost / np.interp(x, whole, best_of_n)) for x in (n.value, n.high, n.low))
    return Estimate(value, low, high, n.n)


def cost_of_reaching(where: Estimate, at: Values, costs: Sequence[float], rival: float) -> Estimate:
    """The cost at `where` over `rival`, given `costs` at the points `at`; beyond the last point: that of the last.

    Costs are taken as known.
    """
    value, low, high = (float(np.interp(x, at, costs) / rival) for x in (where.value, where.low, where.high))
    return Estimate(value, low, high, where.n)
