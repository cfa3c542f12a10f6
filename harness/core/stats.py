"""Means with intervals, paired comparisons and what a comparison can detect. numpy only; seeded, so figures repeat.

mean(x)                      # Estimate(value, low, high, n)
difference(a, b)             # paired over prompts, with a p-value
win_rate(a, b)               # ties count half
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
_SEED = 20250617


@dataclass(frozen=True)
class Estimate:
    """A mean, its 95% bootstrap interval and the number of prompts behind it. NaN values are left out of n.

    One prompt has no interval, and nothing can be tested with it: low, high and p are NaN.
    """

    value: float
    low: float
    high: float
    n: int
    p: float = float("nan")  # two-sided, where there is a null hypothesis

    def __str__(self) -> str:
        return self.shown()

    def shown(self, spec: str = ".2f") -> str:
        """'0.55 [0.31, 0.77]', or the mean alone where there is no interval."""
        interval = "" if np.isnan(self.low) else f" [{self.low:{spec}}, {self.high:{spec}}]"
        return f"{self.value:{spec}}{interval}"


def mean(values: Sequence[float]) -> Estimate:
    """Mean with a percentile bootstrap interval over prompts."""
    x = _finite(np.asarray(values, dtype=float))
    if len(x) < 2:
        return Estimate(float(x[0]) if len(x) else float("nan"), float("nan"), float("nan"), len(x))
    low, high = np.quantile(_bootstrap(x), [0.025, 0.975])
    return Estimate(float(x.mean()), float(low), float(high), len(x))


def difference(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Mean of a - b over the same prompts, with interval and two-sided bootstrap p; pairs with NaN are left out."""
    x = _finite(np.asarray(a, dtype=float) - np.asarray(b, dtype=float))
    estimate = mean(x)
    if len(x) < 2:
        return estimate
    if not x.any():
        return Estimate(0.0, 0.0, 0.0, len(x), 1.0)
    # the null distribution is the bootstrap distribution moved to zero
    centred = _bootstrap(x) - x.mean()
    p = (1 + np.sum(np.abs(centred) >= abs(x.mean()))) / (1 + RESAMPLES)
    # a bootstrap of few pairs claims too much: n signs alone cannot be less likely than this
    p = min(max(p, 2.0 ** (1 - len(x))), 1.0)
    return Estimate(estimate.value, estimate.low, estimate.high, len(x), float(p))


def gain_ratio(x: Sequence[float], rival: Sequence[float], base: Sequence[float]) -> Estimate:
    """(mean x - mean base) / (mean rival - mean base) over the same prompts, with a bootstrap interval.

    1 is the rival's gain over base. Prompts with NaN in any are left out; the interval means little where the rival's
    own gain is not clear of zero.
    """
    rows = np.stack([np.asarray(values, dtype=float) for values in (x, rival, base)])
    rows = rows[:, ~np.isnan(rows).any(0)]
    means = rows.mean(1) if rows.shape[1] else np.full(3, np.nan)
    value = float((means[0] - means[2]) / (means[1] - means[2])) if means[1] != means[2] else float("nan")
    if rows.shape[1] < 2:
        return Estimate(value, float("nan"), float("nan"), rows.shape[1])
    a, b, c = (_bootstrap(row) for row in rows)  # the same resamples of prompts for all three
    low, high = np.quantile((a - c) / np.where(b == c, np.nan, b - c), [0.025, 0.975])
    return Estimate(value, float(low), float(high), rows.shape[1])


def win_rate(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Share of prompts where a beats b, ties counting half, with interval; pairs with NaN are left out."""
    x = _finite(np.asarray(a, dtype=float) - np.asarray(b, dtype=float))
    return mean((np.sign(x) + 1) / 2)


def detectable_difference(sd: float, n: int) -> float:
    """The true paired difference that a two-sided 5% test on n pairs finds with 80% power; sd is that of one pair."""
    return (1.959964 + 0.841621) * sd / np.sqrt(n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (family-wise error); NaN stays NaN and does not count."""
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    running = 0.0
    for rank, i in enumerate(known[np.argsort(p[known], kind="stable")]):
        running = max(running, min(1.0, float(p[i]) * (len(known) - rank)))
        adjusted[i] = running
    return adjusted.tolist()


def best_of_n_curve(proxy: np.ndarray, gold: np.ndarray) -> np.ndarray:
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


def correlation(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Pearson correlation; with groups, of the deviations from each group's means (within prompts)."""
    x, y = x.astype(float), y.astype(float)
    if groups is not None:
        _, g = np.unique(groups, return_inverse=True)
        x, y = (v - (np.bincount(g, v) / np.bincount(g))[g] for v in (x, y))
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 1e-12 else float("nan")


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's, ties given their mean rank."""
    return correlation(_ranks(x), _ranks(y))


def r_squared(predicted: np.ndarray, actual: np.ndarray, weight: np.ndarray | None = None) -> float:
    """1 - residual / total sum of squares, weighted where asked; 0 is as good as the mean."""
    weight = np.ones(len(actual)) if weight is None else weight
    total = float(np.sum(weight * (actual - np.average(actual, weights=weight)) ** 2))
    return 1.0 - float(np.sum(weight * (actual - predicted) ** 2)) / total if total > 0 else float("nan")


def _ranks(x: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _finite(x: np.ndarray) -> np.ndarray:
    return x[~np.isnan(x)]


def _bootstrap(x: np.ndarray) -> np.ndarray:
    """(RESAMPLES,) means of resampled prompts."""
    rng = np.random.default_rng(_SEED)
    n = len(x)
    out = np.empty(RESAMPLES)
    step = max(1, 2_000_000 // max(n, 1))
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        out[start : start + size] = x[rng.integers(0, n, size=(size, n))].mean(1)
    return out
