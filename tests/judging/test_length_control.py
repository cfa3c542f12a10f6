"""The length-controlled win rate: planted truths, and what it reduces to."""

import numpy as np
import pytest

from harness.core.statistics.stats import mean
from harness.judging.length_control import CHAT_MODELS, SCORES, Prior, _extreme, by_prompt, length_controlled


def test_it_recovers_a_planted_preference_under_a_planted_length_bias():
    """Four standard errors around the truth: a false alarm once in 16,000 seeds, and this one is fixed."""
    rng = np.random.default_rng(0)
    n, theta, phi = 3000, -0.4, 1.5
    ours, theirs = rng.integers(150, 400, n), rng.integers(50, 300, n)  # ours are longer, and length is liked
    difference = ours - theirs
    p = 1 / (1 + np.exp(-(theta + phi * np.tanh(difference / difference.std(ddof=1)))))
    wins = (rng.random(n) < p).astype(float)
    found = length_controlled(wins, ours, theirs)
    truth = 1 / (1 + np.exp(-theta))
    error = (found.high - found.low) / 3.92
    assert abs(found.value - truth) < 4 * error
    assert error < 0.02 and found.low < truth < found.high
    raw = mean(wins)
    assert raw.low > 0.5 > found.high  # the raw rate would name the other winner


def planted(theta: float, phi: float, difference: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(theta + phi * np.tanh(difference / difference.std(ddof=1)))))


def test_soft_labels_with_the_priors_phi_give_the_planted_rate_exactly():
    difference = np.random.default_rng(1).normal(30, 60, 500).round()
    for prior in (CHAT_MODELS, SCORES, Prior(-0.9, 0.1)):
        p = planted(0.7, prior.mean, difference)
        found = length_controlled(p, 200 + difference, np.full(500, 200), prior=prior)
        assert found.value == pytest.approx(1 / (1 + np.exp(-0.7)), abs=1e-9)


def test_a_wide_prior_gives_the_planted_rate_and_a_narrow_one_its_own_phi():
    difference = np.random.default_rng(1).normal(30, 60, 500).round()
    p = planted(0.7, -0.9, difference)
    wide, narrow = (
        length_controlled(p, 200 + difference, np.full(500, 200), prior=Prior(1.55, sd)) for sd in (50, 1e-6)
    )
    assert wide.value == pytest.approx(1 / (1 + np.exp(-0.7)), abs=1e-4)
    term = np.tanh(difference / difference.std(ddof=1))
    theta = np.log(narrow.value / (1 - narrow.value))
    assert np.mean(1 / (1 + np.exp(-(theta + 1.55 * term)))) == pytest.approx(p.mean(), abs=1e-6)  # fits the raw rate


def test_where_one_side_is_always_shorter_the_prior_decides_and_a_warning_says_so():
    """Case 15: phi was free, and 3.6% became 23% where 8 of 805 pairs are near equal length."""
    rng = np.random.default_rng(0)
    theirs = rng.normal(2000, 500, 805).clip(300)
    ours = (theirs - rng.normal(1400, 500, 805)).clip(40)
    p = planted(-1.2, 2.2, ours - theirs)
    free, held = (length_controlled(p, ours, theirs, prior=prior) for prior in (Prior(0, 50), CHAT_MODELS))
    assert p.mean() < held.value < free.value - 0.05
    assert "it is 12 points from the raw rate of 4%" in held.warning
    assert "of 805 prompts have answers of nearly equal length" in held.warning
    swapped = length_controlled(1 - p, theirs, ours)
    assert swapped.warning.replace("96%", "4%") == held.warning


@pytest.mark.parametrize("raw, points, warns", [(0.5, 11, False), (0.5, 14, True), (0.1, 9, False), (0.1, 11, True)])
def test_a_change_is_extreme_beyond_ten_points_and_a_quarter_of_the_smaller_rate(raw, points, warns):
    for sign in (1, -1) if raw == 0.5 else (1,):
        assert bool(_extreme(raw, raw + sign * points / 100)) == warns
        assert bool(_extreme(1 - raw, 1 - raw - sign * points / 100)) == warns


def test_answers_of_like_length_are_not_warned_about():
    rng = np.random.default_rng(5)
    ours, theirs = rng.integers(100, 300, 200), rng.integers(100, 300, 200)
    assert length_controlled(rng.random(200), ours, theirs).warning == ""


def test_several_verdicts_of_one_prompt_are_one_prompt():
    rng = np.random.default_rng(6)
    p, ours, theirs = rng.random(30), rng.integers(10, 90, 30), rng.integers(10, 90, 30)
    once = length_controlled(p, ours, theirs)
    for times in (2, 5):
        ids = [i for i in range(30) for _ in range(times)]
        repeated = length_controlled(*(np.repeat(x, times) for x in (p, ours, theirs)), ids)
        assert repeated.n == 30
        assert (repeated.value, repeated.low, repeated.high) == pytest.approx((once.value, once.low, once.high))
    assert by_prompt(np.array([1.0, 0.0, np.nan, np.nan]), ["a", "a", "a", "b"]) == pytest.approx(
        [0.5, np.nan], nan_ok=True
    )


def test_equal_lengths_reduce_it_to_the_raw_rate():
    wins = np.array([1, 1, 0.5, 0, 1, 0.5, 1, 0.0] * 5)
    found = length_controlled(wins, np.full(40, 80), np.full(40, 80))
    assert found.value == pytest.approx(wins.mean(), abs=1e-4)
    assert found.n == 40


def test_swapping_the_sides_mirrors_it():
    rng = np.random.default_rng(2)
    p, ours, theirs = rng.random(60), rng.integers(10, 90, 60), rng.integers(10, 90, 60)
    one, other = length_controlled(p, ours, theirs), length_controlled(1 - p, theirs, ours)
    assert one.value == pytest.approx(1 - other.value, abs=1e-4)
    assert one.low == pytest.approx(1 - other.high, abs=1e-3)


def test_a_judge_that_only_counts_characters_finds_nobody_better():
    rng = np.random.default_rng(3)
    ours, theirs = rng.integers(60, 160, 400), rng.integers(40, 140, 400)
    wins = np.where(ours == theirs, 0.5, ours > theirs)
    assert wins.mean() > 0.6
    assert abs(length_controlled(wins, ours, theirs).value - 0.5) < 0.1


@pytest.mark.parametrize("everywhere", [0.0, 0.5, 1.0])
def test_one_verdict_everywhere_is_the_rate(everywhere):
    found = length_controlled([everywhere] * 6, range(6), range(3, 9)[::-1])
    assert (found.value, found.low, found.high) == (everywhere,) * 3


def test_what_cannot_be_told_is_nan_and_missing_verdicts_are_left_out():
    assert np.isnan(length_controlled([1, 0, 1], [12, 13, 14], [10, 11, 12]).value)  # always two longer
    assert np.isnan(length_controlled([1.0], [3], [4]).value)
    found = length_controlled([1, np.nan, 0, 1], [5, 900, 5, 5], [5, 5, 5, 5])
    assert found.n == 3 and found.value == pytest.approx(2 / 3, abs=1e-3)


def test_it_is_seeded():
    rng = np.random.default_rng(4)
    arguments = rng.random(30).round(), rng.integers(1, 50, 30), rng.integers(1, 50, 30)
    assert length_controlled(*arguments) == length_controlled(*arguments)
