import numpy as np
import pytest
from scipy.stats import binom, binomtest

from harness.core.statistics import stats


def plausible(hits: int, trials: int, least: float, most: float) -> bool:
    """Whether a true rate between `least` and `most` gives so many hits; a false alarm once in 100,000 seeds."""
    return binom.ppf(5e-6, trials, least) <= hits <= binom.ppf(1 - 5e-6, trials, most)


def test_intervals_cover_the_mean_in_95_percent_of_trials():
    """1,000 trials of n = 60, where a percentile bootstrap covers 94 to 95%: false alarm 1 in 100,000."""
    rng = np.random.default_rng(0)
    estimates = [stats.mean(rng.normal(1.0, 2.0, 60), resamples=1000) for _ in range(1000)]
    assert plausible(sum(e.low <= 1.0 <= e.high for e in estimates), 1000, 0.94, 0.95)


def test_intervals_of_differences_cover_a_planted_one():
    """1,000 trials of 60 pairs with skewed scores of shared prompts, 93.5 to 95%: false alarm 1 in 100,000."""
    rng, hits = np.random.default_rng(2), 0
    for _ in range(1000):
        prompt = rng.normal(0, 3, 60)
        a, b = prompt + rng.exponential(1.0, 60), prompt + rng.normal(0.6, 1, 60)
        got = stats.difference(a, b, resamples=1000)
        hits += got.low <= 0.4 <= got.high
    assert plausible(hits, 1000, 0.935, 0.95)


def test_the_paired_test_keeps_its_level_and_finds_a_planted_difference():
    """1,000 trials each of 100 pairs: 5 to 6% rejected under the null, 78 to 82% at d: false alarm 1 in 50,000."""
    rng = np.random.default_rng(1)
    n, sd = 100, 1.3
    planted = stats.detectable_difference(sd, n)
    zeros = np.zeros(n)
    null = sum(stats.difference(rng.normal(0, sd, n), zeros, resamples=500).p < 0.05 for _ in range(1000))
    found = sum(stats.difference(rng.normal(planted, sd, n), zeros, resamples=500).p < 0.05 for _ in range(1000))
    assert plausible(null, 1000, 0.05, 0.06)
    assert plausible(found, 1000, 0.78, 0.82)


def test_over_seeds_the_luck_of_a_seed_is_in_the_interval():
    """600 trials of 40 prompts and 5 seeds whose luck is as large as the error over prompts.

    Crossed draws cover 92 to 97% (odds of a false alarm 1 in 100,000); prompts alone, as if the seeds were all seeds,
    under 88% (1 in 1,000,000 at their true 70%).
    """
    rng, crossed, alone, rejected = np.random.default_rng(3), 0, 0, 0
    prompts, seeds = np.repeat(np.arange(40), 5), np.tile(np.arange(5), 40)
    for _ in range(600):
        a = rng.normal(0, 1, (40, 1)) + rng.normal(0, 0.4, (1, 5)) + rng.normal(0, 1, (40, 5))
        got = stats.difference_over_seeds(a.ravel(), np.zeros(200), prompts, seeds, resamples=500)
        fixed = stats.difference(a.mean(1), np.zeros(40), resamples=500)
        crossed += got.low <= 0 <= got.high
        alone += fixed.low <= 0 <= fixed.high
        rejected += got.p < 0.05
    assert plausible(crossed, 600, 0.92, 0.97)
    assert plausible(rejected, 600, 0.03, 0.08)
    assert alone < 0.88 * 600


def test_one_seed_is_the_difference_over_prompts_and_the_order_of_pairs_does_not_matter():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.3, 1, 60), rng.normal(0, 1, 60)
    prompts = [f"p{i:02d}" for i in range(60)]
    assert stats.difference_over_seeds(a, b, prompts, [7] * 60) == stats.difference(a, b)
    prompts, seeds, order = np.array(prompts)[np.arange(60) % 20], np.arange(60) // 20, rng.permutation(60)
    one = stats.difference_over_seeds(a, b, prompts, seeds)
    assert one == stats.difference_over_seeds(a[order], b[order], prompts[order], seeds[order])
    assert one.n == 20 and one.value == pytest.approx((a - b).mean())


def test_over_seeds_a_pair_without_a_score_is_left_out_and_a_second_one_is_refused():
    a, prompts, seeds = [1.0, 2.0, float("nan"), 4.0, float("nan")], ["p", "p", "q", "q", "r"], [0, 1, 0, 1, 0]
    got = stats.difference_over_seeds(a, [0.0] * 5, prompts, seeds)
    assert (got.value, got.n) == (pytest.approx(7 / 3), 2)
    with pytest.raises(AssertionError, match="several pairs of one seed"):
        stats.difference_over_seeds(a, [0.0] * 5, prompts, [0, 0, 0, 1, 0])


def test_two_seeds_of_luck_alone_give_their_own_values_as_interval_and_one_prompt_gives_none():
    prompts, seeds = np.repeat(np.arange(30), 2), np.tile([0, 1], 30)
    luck = np.tile([0.1, 0.4], 30)
    got = stats.difference_over_seeds(luck, np.zeros(60), prompts, seeds)
    assert (got.value, got.low, got.high, got.n) == (*(pytest.approx(x) for x in (0.25, 0.1, 0.4)), 30)
    one = stats.difference_over_seeds(luck[:2], np.zeros(2), prompts[:2], seeds[:2])
    assert (one.value, one.n) == (pytest.approx(0.25), 1)
    assert np.isnan([one.low, one.high, one.p]).all()


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


def test_mcnemar_is_the_exact_binomial_test():
    assert stats.mcnemar(9, 1) == pytest.approx(22 / 1024)  # 2 * (C(10, 0) + C(10, 1)) / 2^10
    assert stats.mcnemar(0, 0) == stats.mcnemar(5, 5) == 1
    for wins, losses in ((3, 17), (40, 22), (601, 420), (5000, 1)):
        assert stats.mcnemar(wins, losses) == pytest.approx(binomtest(wins, wins + losses).pvalue)
        assert stats.mcnemar(wins, losses) == stats.mcnemar(losses, wins)


@pytest.mark.parametrize("decided", [5, 6, 20, 51, 300])
def test_mcnemar_keeps_its_level(decided):
    """Exact, over every split: the odds that p is at most 5% are at most 5%."""
    small = [k for k in range(decided + 1) if stats.mcnemar(k, decided - k) <= 0.05]
    assert binom.pmf(small, decided, 0.5).sum() <= 0.05


def test_the_p_of_a_win_rate_leaves_ties_and_missing_pairs_out():
    rate = stats.win_rate([1.0] * 9 + [0.0] + [5.0] * 30 + [np.nan], [0.0] * 9 + [1.0] + [5.0] * 30 + [0.0])
    assert (rate.value, rate.n) == (24 / 40, 40) and rate.p == stats.mcnemar(9, 1)
    assert np.isnan(stats.win_rate([1.0], [0.0]).p)


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


@pytest.mark.parametrize("false", [0, 3, 7])
def test_holm_keeps_the_error_of_the_family_at_five_percent(false):
    """4,000 families of 8 hypotheses, `false` of them false and always found; 4.5 to 5%: false alarm 1 in 100,000."""
    rng = np.random.default_rng(false)
    families = [[1e-6] * false + list(rng.uniform(size=8 - false)) for _ in range(4000)]
    errors = sum(min(stats.holm(p)[false:]) <= 0.05 for p in families)
    assert plausible(errors, 4000, 0.045, 0.05)


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
