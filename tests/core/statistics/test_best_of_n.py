"""Best-of-n's curve by enumeration, and which best-of-n a result is worth, on planted curves."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom

from harness.core.statistics.best_of_n import as_good_as, curve_of_pool, first_reached, share_of_cost
from harness.core.statistics.stats import Estimate

CURVE = np.array([0.0, 1.0, 1.5, 1.4, 1.6])


@pytest.mark.parametrize(
    "level, n",
    [(-1, 1), (0, 1), (0.5, 1.5), (1.0, 2), (1.25, 2.5), (1.5, 3), (1.55, 4.75), (1.6, 5), (1.7, np.inf)],
)
def test_the_smallest_n_is_taken_between_whole_ones_by_straight_lines(level, n):
    assert first_reached(range(1, 6), CURVE[None], np.array([level]))[0] == pytest.approx(n)


def test_best_of_n_is_as_good_as_itself():
    rng = np.random.default_rng(0)
    curves = np.cumsum(rng.exponential(1.0, (30, 8)), 1)
    for n in range(8):
        got = as_good_as(curves, curves[:, n], resamples=200)
        assert (got.value, got.low, got.high) == (pytest.approx(n + 1), pytest.approx(n + 1), pytest.approx(n + 1))


def test_the_interval_covers_the_true_n():
    """200 trials of 100 prompts, pools of 12; the result is the best of 5 other samples, so the truth is n = 5.

    The curve is straight enough between whole n; 92 to 96% covered, a false alarm once in 100,000 seeds.
    """
    rng, covered = np.random.default_rng(1), 0
    for _ in range(200):
        prompt = rng.normal(0, 1, 100)
        pools = prompt[:, None] + rng.normal(0, 1, (100, 12))
        curves = np.stack([curve_of_pool(pool, pool) for pool in pools])
        got = as_good_as(curves, prompt + rng.normal(0, 1, (100, 5)).max(1), resamples=500)
        covered += got.low <= 5 <= got.high
    assert binom.ppf(5e-6, 200, 0.92) <= covered <= binom.ppf(1 - 5e-6, 200, 0.96)


def test_better_than_the_whole_pool_is_infinite_and_its_share_a_bound():
    curves = np.tile(CURVE, (10, 1)) + np.linspace(-0.1, 0.1, 10)[:, None]
    n = as_good_as(curves, np.full(10, 3.0), resamples=100)
    assert np.isinf([n.value, n.low, n.high]).all() and n.n == 10
    assert share_of_cost(30, [10, 20, 30, 40, 60], n).value == 0.5


def test_missing_golds_are_left_out_and_all_missing_is_nan():
    curves = np.tile(CURVE, (4, 1))
    curves[0, 2] = np.nan
    got = as_good_as(curves, np.array([9.0, np.nan, 1.0, 1.0]), resamples=100)
    assert (got.value, got.n) == (2, 2)
    nothing = as_good_as(curves, np.full(4, np.nan))
    assert nothing.n == 0 and np.isnan(nothing.value)
    assert np.isnan(share_of_cost(30, [10, 20, 30, 40, 60], nothing).value)
    one = as_good_as(curves[1:2], np.array([1.0]))
    assert one.value == 2 and np.isnan(one.low)


def test_the_share_of_the_cost_by_hand():
    share = share_of_cost(30, [10, 20, 40], Estimate(2.5, 1.5, np.inf, 50))
    assert (share.value, share.low, share.high, share.n) == (1.0, 0.75, 2.0, 50)


@pytest.mark.parametrize("proxy", [[3, 1, 2, 5, 4, 0], [1, 1, 2, 2, 2, 0], [0, 0, 0, 0, 0, 0]])
def test_the_curve_of_pool_equals_the_mean_over_all_subsets(proxy):
    gold = np.array([0.3, -1.0, 2.0, 0.5, 1.5, -0.2])
    proxy = np.array(proxy, dtype=float)
    curve = curve_of_pool(proxy, gold)
    for n in range(1, 7):
        picks = []
        for subset in combinations(range(6), n):
            top = [i for i in subset if proxy[i] == max(proxy[j] for j in subset)]
            picks.append(gold[proxy == proxy[top[0]]].mean())  # ties are averaged over the pool
        assert curve[n - 1] == pytest.approx(np.mean(picks))


def test_a_gold_that_is_never_picked_may_be_missing():
    curve = curve_of_pool(np.array([0.0, 1.0, 2.0]), np.array([np.nan, 5.0, 7.0]))
    assert np.isnan(curve[0]) and curve[2] == 7.0 and curve[1] == pytest.approx((5 + 2 * 7) / 3)
