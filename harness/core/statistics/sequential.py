"""Intervals of a mean that hold at all numbers of prompts together, so that one may look again and again, and stop.

difference(a, b)            # Estimate of the prompts so far; its interval is valid whenever one stops
half_width(estimate)        # what a rule of stopping looks at

An interval for one number of prompts (stats.difference) covers 95% of the times if that number was fixed beforehand;
looked at after every 50 of 2,000 prompts, some look misses in three of ten cases.
"""

from collections import Counter
from math import log, sqrt

import numpy as np

from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate, Values

ALPHA = 0.05  # of all looks together
TUNED_FOR = 500  # prompts at which the interval is tightest, in standard errors; 7% wider at 150 and at 5,000
FEWEST = 10  # ours: values beside the most common one, from which on their variance says something


def difference(a: Values, b: Values) -> Estimate:
    """Mean of a - b over the same prompts, with an asymptotic confidence sequence; pairs with NaN are left out.

    The mean +- sd * sqrt(2 (n r^2 + 1) / (n^2 r^2) * log(sqrt(n r^2 + 1) / alpha)), r^2 by `TUNED_FOR`: Waudby-Smith,
    Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence sequences, Annals of
    Statistics 2024, arXiv 2103.06476 (its Gaussian mixture). It asks for a finite variance and no bounds of the scores,
    which graders do not have. We depart twice, both to the safe side: the interval holds the bootstrap interval of
    `stats.difference`, so that it is never narrower than that; and before `FEWEST` values differ from the most common
    one there is none, since nothing is known of a variance that has hardly been seen. Prompts count as independent.
    """
    x = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    x = x[~np.isnan(x)]
    fixed = stats.difference(x, np.zeros(len(x)))
    if _beside_most_common(x) < FEWEST:
        nan = float("nan")
        return Estimate(fixed.value, nan, nan, fixed.n)
    margin = float(x.std(ddof=1)) * margin_of_unit_sd(len(x))
    low, high = min(fixed.low, fixed.value - margin), max(fixed.high, fixed.value + margin)
    return Estimate(fixed.value, low, high, fixed.n)


def mean(values: Values) -> Estimate:
    return difference(values, np.zeros(len(values)))


def half_width(of: Estimate) -> float:
    """Half of the interval; NaN where there is none."""
    return (of.high - of.low) / 2


def margin_of_unit_sd(n: int, alpha: float = ALPHA) -> float:
    """Half the width of the interval of n values whose standard deviation is 1."""
    r2 = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / TUNED_FOR
    return sqrt(2 * (n * r2 + 1) / (n * n * r2) * log(sqrt(n * r2 + 1) / alpha))


def _beside_most_common(x: Values) -> int:
    counts = Counter(np.asarray(x).tolist())
    return len(x) - max(counts.values(), default=0)
