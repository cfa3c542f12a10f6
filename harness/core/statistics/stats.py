"""Means with intervals, paired comparisons and what a comparison can detect. numpy only; seeded, so figures repeat.

mean(x)                      # Estimate(value, low, high, n)
difference(a, b)             # paired over prompts, with a p-value
difference(a, b, clusters=customers)          # prompts of one customer are drawn together
difference_over_seeds(a, b, prompts, seeds)   # the same over several runs
win_rate(a, b)               # ties count half; p by McNemar's exact test
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = Sequence[float] | NDArray[Any]  # of numbers, one a prompt
Clusters = Sequence[Hashable] | None  # of each prompt, which are resampled whole; None: each prompt is its own

RESAMPLES = 10_000
PLANNING_SD = 0.6  # in sd of base samples: of one pair, IRO against best-of-n, in the first quick run on imdb
_SEED = 20250617
_KEPT = 20_000_000  # counts of draws kept in memory for the next statistic, of two bytes each


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


def mean(values: Values, resamples: int = RESAMPLES, clusters: Clusters = None) -> Estimate:
    """Mean with a percentile bootstrap interval over prompts, or over clusters of them."""
    return replace(difference(values, np.zeros(len(values)), resamples, clusters), p=float("nan"))


def difference(a: Values, b: Values, resamples: int = RESAMPLES, clusters: Clusters = None) -> Estimate:
    """Mean of a - b over the same prompts, with interval and two-sided bootstrap p; pairs with NaN are left out.

    With `clusters` these are drawn whole, and a draw's mean is over the prompts that it has; n still counts prompts.
    """
    x = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    known = ~np.isnan(x)
    x, clusters = x[known], of_known(clusters, known)
    units = len(x) if clusters is None else len(set(clusters))
    value = float(x.mean()) if len(x) else float("nan")  # of equal values it may be an ulp beside those of all draws
    if units < 2:
        return Estimate(value, float("nan"), float("nan"), len(x))
    means = _bootstrap(x, resamples, clusters)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value), len(x), _p_of(value, means, units))


def difference_over_seeds(
    a: Values,
    b: Values,
    prompts: Sequence[str] | NDArray[Any],
    seeds: Sequence[int] | NDArray[Any],
    resamples: int = RESAMPLES,
    clusters: Clusters = None,
) -> Estimate:
    """Mean of a - b over the pairs of several seeds; a[i] and b[i] answer prompts[i] in the run of seeds[i].

    Prompts and seeds are drawn independently and crossed (the pigeonhole bootstrap, arXiv 0712.1111), as everything is
    fitted anew under a seed and its luck is shared by all its prompts: seeds drawn anew for each prompt would average
    it out. Of S seeds S - 1 are drawn, which makes the variance between seeds unbiased. n counts prompts; with one
    seed this is `difference`, and one prompt has no interval. Few seeds stay few: where the luck of a seed is as large
    as the error over prompts, intervals of two, three and five cover 95%; where it is five times that, 71%, 84% and
    89%; where it is all there is, 50%, 75% and 87%, as those of two and three then end at the seeds' own values.
    With `clusters`, one for each pair, clusters of prompts are drawn in place of prompts.
    """
    x = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    assert x.shape == (len(prompts),) == (len(seeds),), f"{x.shape} for {len(prompts)} prompts, {len(seeds)} seeds"
    known = ~np.isnan(x)
    (_, row), (_, column) = (np.unique(np.asarray(v)[known], return_inverse=True) for v in (prompts, seeds))
    grid = np.full((max(row, default=-1) + 1, max(column, default=0) + 1), np.nan)  # (P, S)
    grid[row, column] = x[known]
    assert (~np.isnan(grid)).sum() == known.sum(), "a prompt has several pairs of one seed"
    of_rows = None if clusters is None else _of_rows(of_known(clusters, known), row)
    if grid.shape[1] == 1:
        return difference(grid[:, 0], np.zeros(len(grid)), resamples, of_rows)
    counted, total = (_by_cluster(of, of_rows) for of in (1.0 - np.isnan(grid), np.nan_to_num(grid)))  # (C, S)
    draws, value = [], float(np.nanmean(grid)) if len(grid) else float("nan")
    if len(total) < 2:
        return Estimate(value, float("nan"), float("nan"), len(grid))
    rng = np.random.default_rng([_SEED, 1])  # of its own, so that prompts are drawn as in `difference`
    for drawn in _resampled(len(total), resamples):  # (R, C)
        times = rng.multinomial(grid.shape[1] - 1, np.full(grid.shape[1], 1 / grid.shape[1]), size=len(drawn))  # (R, S)
        with np.errstate(invalid="ignore"):  # none of the drawn prompts has a pair of the drawn seeds
            draws.append((drawn @ total * times).sum(1) / (drawn @ counted * times).sum(1))
    means = _finite(np.concatenate(draws))
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(grid), _p_of(value, means, len(total)))


def gain_ratio(x: Values, rival: Values, base: Values, clusters: Clusters = None) -> Estimate:
    """(mean x - mean base) / (mean rival - mean base) over the same prompts, with a bootstrap interval.

    1 is the rival's gain over base. Prompts with NaN in any are left out; the interval means little where the rival's
    own gain is not clear of zero.
    """
    x, rival, base = (np.asarray(values, dtype=float) for values in (x, rival, base))
    return ratio(x - base, rival - base, clusters)


def ratio(above: Values, below: Values, clusters: Clusters = None) -> Estimate:
    """mean above / mean below over the same prompts, with a bootstrap interval; prompts with NaN in either left out."""
    rows = np.stack([np.asarray(values, dtype=float) for values in (above, below)])
    known = ~np.isnan(rows).any(0)
    rows, clusters = rows[:, known], of_known(clusters, known)
    n = rows.shape[1]
    value = float(rows[0].mean() / rows[1].mean()) if n and rows[1].mean() else float("nan")
    if (n if clusters is None else len(set(clusters))) < 2:
        return Estimate(value, float("nan"), float("nan"), n)
    a, b = (_bootstrap(row, RESAMPLES, clusters) for row in rows)  # the same resamples of prompts for both
    low, high = np.quantile(a / np.where(b == 0, np.nan, b), [0.025, 0.975])
    return Estimate(value, float(low), float(high), n)


def win_rate(a: Values, b: Values, clusters: Clusters = None) -> Estimate:
    """Share of prompts where a beats b, ties counting half, with McNemar's p; pairs with NaN are left out.

    With `clusters`, p is that of `sign_flips` of each cluster's wins less losses.
    """
    x = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    known = ~np.isnan(x)
    signs, clusters = np.sign(x[known]), of_known(clusters, known)
    nets = _by_cluster(signs[:, None], clusters)[:, 0].astype(int).tolist()
    return replace(mean((signs + 1) / 2, clusters=clusters), p=sign_flips(nets) if len(nets) > 1 else float("nan"))


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact p of as uneven a split if wins and losses are equally likely (binomial); ties are left out."""
    decided = wins + losses
    tail = sum(comb(decided, k) for k in range(min(wins, losses) + 1))
    return min(1.0, float(2 * tail / 2**decided))  # whole numbers up to the division, so exact


def sign_flips(nets: Sequence[int]) -> float:
    """Two-sided exact p of as large a sum if every cluster's wins less losses were as likely the other way round.

    Where no cluster has more than one decided prompt it is McNemar's; a cluster that is even counts nothing.
    """
    sizes = [abs(net) for net in nets if net]
    if len(set(sizes)) < 2:  # of one size: as many wins and losses
        return mcnemar(sum(net > 0 for net in nets), sum(net < 0 for net in nets))
    most = sum(sizes)
    chance = np.zeros(2 * most + 1)  # of each sum, from -most
    chance[most] = 1.0
    for size in sizes:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2  # nothing is at the ends yet
    sums = np.abs(np.arange(-most, most + 1))
    return min(1.0, float(chance[sums >= abs(sum(nets))].sum()))


def resampled_means(columns: Floats, resamples: int = RESAMPLES, clusters: Clusters = None) -> Floats:
    """Means (resamples, K) of columns (P, K) of the same P prompts, which are drawn alike for all columns."""
    if clusters is None:
        return np.concatenate([drawn @ columns / len(columns) for drawn in _resampled(len(columns), resamples)])
    sums, sizes = _by_cluster(columns, clusters), _by_cluster(np.ones((len(columns), 1)), clusters)
    return np.concatenate([(drawn @ sums) / (drawn @ sizes) for drawn in _resampled(len(sums), resamples)])


def of_known(clusters: Clusters, known: NDArray[np.bool_]) -> Clusters:
    """The clusters of the prompts that are known."""
    return None if clusters is None else [one for one, is_known in zip(clusters, known, strict=True) if is_known]


def detectable_difference(sd: float, n: int) -> float:
    """The true paired difference that a two-sided 5% test on n pairs finds with 80% power; sd is that of one pair."""
    return float((1.959964 + 0.841621) * sd / np.sqrt(n))


def sd_of_a_pair(differences: Values, clusters: Clusters = None) -> float:
    """The sd of one pair; with `clusters` the one that as many independent pairs of equal standard error would have.

    The square of that error is sum over C clusters of (sum of deviations)^2 * C / (C - 1) / n^2; NaN for fewer than 2.
    """
    x = np.asarray(differences, dtype=float)
    if (len(x) if clusters is None else len(set(clusters))) < 2:
        return float("nan")
    sums = _by_cluster((x - x.mean())[:, None], clusters)[:, 0]
    return float(np.sqrt((sums @ sums) * len(sums) / (len(sums) - 1) / len(x)))


def holm(p_values: Values) -> list[float]:
    """Holm's adjusted p-values (family-wise error); NaN stays NaN and does not count."""
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    running = 0.0
    for rank, i in enumerate(known[np.argsort(p[known], kind="stable")]):
        running = max(running, min(1.0, float(p[i]) * (len(known) - rank)))
        adjusted[i] = running
    return adjusted.tolist()


def correlation(x: NDArray[Any], y: NDArray[Any], groups: NDArray[Any] | None = None) -> float:
    """Pearson correlation; with groups, of the deviations from each group's means (within prompts)."""
    x, y = x.astype(float), y.astype(float)
    if groups is not None:
        _, g = np.unique(groups, return_inverse=True)
        x, y = (v - (np.bincount(g, v) / np.bincount(g))[g] for v in (x, y))
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 1e-12 else float("nan")


def rank_correlation(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Spearman's, ties given their mean rank."""
    return correlation(_ranks(x), _ranks(y))


def r_squared(predicted: NDArray[Any], actual: NDArray[Any], weight: NDArray[Any] | None = None) -> float:
    """1 - residual / total sum of squares, weighted where asked; 0 is as good as the mean."""
    weight = np.ones(len(actual)) if weight is None else weight
    total = float(np.sum(weight * (actual - np.average(actual, weights=weight)) ** 2))
    return 1.0 - float(np.sum(weight * (actual - predicted) ** 2)) / total if total > 0 else float("nan")


def _ranks(x: NDArray[Any]) -> Floats:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _finite(x: Floats) -> Floats:
    return x[~np.isnan(x)]


def _p_of(value: float, means: Floats, n: int) -> float:
    """Two-sided p of a mean difference; the null distribution is the bootstrap distribution moved to zero."""
    p = (1 + np.sum(np.abs(means - value) >= abs(value))) / (1 + len(means))
    # a bootstrap of few pairs claims too much: n signs alone cannot be less likely than this
    return float(min(max(p, 2.0 ** (1 - n)), 1.0))


def _bootstrap(x: Floats, resamples: int, clusters: Clusters) -> Floats:
    """(resamples,) means of resampled prompts, or clusters of them."""
    return resampled_means(x[:, None], resamples, clusters)[:, 0]


def _by_cluster(columns: Floats, clusters: Clusters) -> Floats:
    """Sums (C, K) of columns (P, K) by cluster, in the order in which these appear."""
    if clusters is None:
        return columns
    assert len(clusters) == len(columns), f"{len(clusters)} clusters for {len(columns)} prompts"
    place = {cluster: i for i, cluster in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros((len(place), columns.shape[1]))
    np.add.at(sums, [place[cluster] for cluster in clusters], columns)
    return sums


def _of_rows(clusters: Clusters, row: NDArray[Any]) -> Clusters:
    """The cluster of each row, given that of each pair and the row that it stands in."""
    assert clusters is not None, "asked for before"
    of = dict(zip(row.tolist(), clusters, strict=True))
    return [of[i] for i in range(len(of))]


def _resampled(n: int, resamples: int) -> Iterable[NDArray[np.int16]]:
    """How often each resample draws each of n prompts: (R, n) at a time, the same for everything on n prompts."""
    return _kept(n, resamples) if n * resamples <= _KEPT else _drawn(n, resamples)


@lru_cache(maxsize=2)
def _kept(n: int, resamples: int) -> list[NDArray[np.int16]]:
    return list(_drawn(n, resamples))


def _drawn(n: int, resamples: int) -> Iterator[NDArray[np.int16]]:
    rng = np.random.default_rng(_SEED)
    step = max(1, 2_000_000 // max(n, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        places = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(places.ravel(), minlength=rows * n).reshape(rows, n).astype(np.int16)
