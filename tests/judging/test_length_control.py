"""The length-controlled win rate: planted truths, and what it reduces to."""

import numpy as np
import pytest

from harness.core.statistics.stats import mean
from harness.judging.length_control import length_controlled


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


def test_soft_labels_give_the_planted_rate_exactly():
    """With probabilities for labels there is no noise; what is left is the penalty on phi."""
    rng = np.random.default_rng(1)
    difference = rng.normal(30, 60, 500).round()
    p = 1 / (1 + np.exp(-(0.7 - 0.9 * np.tanh(difference / difference.std(ddof=1)))))
    found = length_controlled(p, 200 + difference, np.full(500, 200))
    assert found.value == pytest.approx(1 / (1 + np.exp(-0.7)), abs=1e-3)


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
