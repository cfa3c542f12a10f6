from itertools import combinations

import numpy as np
import pytest

from harness.core import stats


def test_intervals_cover_the_mean_in_95_percent_of_trials():
    """300 trials of n = 60: a correct interval covers between 90% and 98.5%; fails by chance once in 3,000 seeds."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        estimate = stats.mean(rng.normal(1.0, 2.0, 60))
        hits += estimate.low <= 1.0 <= estimate.high
    assert 0.90 <= hits / 300 <= 0.985


def test_the_paired_test_keeps_its_level_and_finds_a_planted_difference():
    """400 null trials at 5%: between 1.5% and 9% rejected (odds of a false alarm 1 in 1,000); power over 75% at d."""
    rng = np.random.default_rng(1)
    n, sd = 100, 1.3
    planted = stats.detectable_difference(sd, n)
    null = np.mean([stats.difference(rng.normal(0, sd, n), np.zeros(n)).p < 0.05 for _ in range(150)])
    found = np.mean([stats.difference(rng.normal(planted, sd, n), np.zeros(n)).p < 0.05 for _ in range(150)])
    assert 0.015 <= null <= 0.09
    assert 0.75 <= found <= 0.88


def test_the_detectable_differences_of_the_plan():
    assert stats.detectable_difference(1.3, 200) == pytest.approx(0.26, abs=0.005)
    assert stats.detectable_difference(1.3, 600) == pytest.approx(0.15, abs=0.005)


def test_differences_are_paired():
    a = np.arange(50.0)
    estimate = stats.difference(a + 1, a)
    assert (estimate.value, estimate.low, estimate.high) == (1, 1, 1)
    assert estimate.p < 0.001
    assert stats.difference(a, a).p == 1


def test_ties_count_half_in_win_rates():
    assert stats.win_rate([1, 2, 3, 4], [0, 2, 4, 4]).value == 0.5


def test_nan_is_left_out_and_shows_in_n():
    estimate = stats.difference([1.0, float("nan"), 3.0], [0.0, 0.0, float("nan")])
    assert (estimate.n, estimate.value) == (1, 1.0)
    assert stats.mean([float("nan")]).n == 0


def test_one_prompt_has_no_interval_and_few_prompts_no_small_p():
    one = stats.difference([1.0], [0.0])
    assert (one.value, one.n) == (1.0, 1) and np.isnan([one.low, one.high, one.p]).all()
    assert str(one) == "1.00"
    assert stats.difference([1.0, 1.0, 1.0], [0.0, 0.0, 0.0]).p == 0.25


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, float("nan")])[:3] == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("proxy", [[3, 1, 2, 5, 4, 0], [1, 1, 2, 2, 2, 0], [0, 0, 0, 0, 0, 0]])
def test_the_best_of_n_curve_equals_the_mean_over_all_subsets(proxy):
    gold = np.array([0.3, -1.0, 2.0, 0.5, 1.5, -0.2])
    proxy = np.array(proxy, dtype=float)
    curve = stats.best_of_n_curve(proxy, gold)
    for n in range(1, 7):
        picks = []
        for subset in combinations(range(6), n):
            top = [i for i in subset if proxy[i] == max(proxy[j] for j in subset)]
            picks.append(gold[proxy == proxy[top[0]]].mean())  # ties are averaged over the pool
        assert curve[n - 1] == pytest.approx(np.mean(picks))


def test_correlations_by_hand():
    x, y = np.array([1.0, 2, 3, 11, 12, 13]), np.array([3.0, 2, 1, 13, 12, 11])
    groups = np.array(["a"] * 3 + ["b"] * 3)
    assert stats.correlation(x, y) > 0.9
    assert stats.correlation(x, y, groups) == pytest.approx(-1)
    assert stats.rank_correlation(np.array([1.0, 2, 2, 3]), np.array([1.0, 10, 10, 1000])) == pytest.approx(1)
    assert stats.r_squared(y, y) == 1
    assert stats.r_squared(np.full(6, y.mean()), y) == pytest.approx(0)


def test_the_ratio_of_gains_covers_the_true_one():
    """x gains 1.5 times what the rival gains; 150 trials of 100 prompts: 95% covered, 89-99.9% allowed (3 sd)."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(150):
        base, shared = rng.normal(0, 1, 100), rng.normal(0, 1, 100)
        x, rival = shared + 1.5 + rng.normal(0, 1, 100), shared + 1.0 + rng.normal(0, 1, 100)
        got = stats.gain_ratio(x, rival, base)
        covered += got.low <= 1.5 <= got.high
    assert 0.89 <= covered / 150 < 1
    exact = stats.gain_ratio([3, 3, np.nan], [2, 2, 9], [1, 1, 9])
    assert (exact.value, exact.n) == (2.0, 2)


def test_a_gold_that_is_never_picked_may_be_missing():
    curve = stats.best_of_n_curve(np.array([0.0, 1.0, 2.0]), np.array([np.nan, 5.0, 7.0]))
    assert np.isnan(curve[0]) and curve[2] == 7.0 and curve[1] == pytest.approx((5 + 2 * 7) / 3)
