"""Looking after every 50 prompts: what fixed intervals lose by that, and sequential ones do not."""

import math

import numpy as np
import pytest

from harness.core.statistics import sequential, stats
from harness.core.statistics.sequential import FEWEST, half_width, margin_of_unit_sd

LOOKS = np.arange(50, 2001, 50)
RUNS = 1000


def missed(x: np.ndarray, mean: float, margins: np.ndarray) -> float:
    """Share of the rows of x (R, 2000) whose mean +- margins * sd misses the true mean at some look.

    There is no interval before FEWEST values differ from the most common one, which is 0 where values repeat.
    """
    n = LOOKS
    sums, squares, others = (np.cumsum(of, 1)[:, n - 1] for of in (x, x * x, x != 0))
    centre = sums / n
    sd = np.sqrt(np.maximum(squares / n - centre**2, 0) * n / (n - 1))
    covered = np.abs(centre - mean) <= margins * sd + 1e-12
    return float(1 - (covered | (others < FEWEST)).all(1).mean())


SEQUENTIAL = np.array([margin_of_unit_sd(int(n)) for n in LOOKS])


@pytest.mark.parametrize(
    "draw, mean",
    [
        (lambda rng, size: rng.standard_normal(size) + 0.3, 0.3),
        (lambda rng, size: rng.exponential(size=size), 1.0),
        (lambda rng, size: rng.standard_t(3, size=size), 0.0),
        (lambda rng, size: rng.integers(-1, 2, size=size).astype(float), 0.0),  # checkers: lost, alike, won
        (lambda rng, size: (rng.random(size) < 0.02).astype(float), 0.02),  # hardly ever another score
        (lambda rng, size: -5.0 * (rng.random(size) < 0.03), -0.15),  # a rare disaster
    ],
    ids=["normal", "exponential", "heavy tails", "checkers", "rare", "disaster"],
)
def test_all_looks_together_cover_the_mean_19_times_in_20(draw, mean):
    """On a fixed seed; of 1,000 runs that miss with a chance of 5%, 70 or more do in 3 of 1,000."""
    assert missed(draw(np.random.default_rng(7), (RUNS, 2000)), mean, SEQUENTIAL) <= 0.07


def test_an_interval_for_one_number_of_prompts_misses_six_times_as_often_when_it_is_looked_at_often():
    x = np.random.default_rng(7).standard_normal((RUNS, 2000))
    assert missed(x, 0.0, 1.96 / np.sqrt(LOOKS)) > 0.2 > 6 * missed(x, 0.0, SEQUENTIAL)


@pytest.mark.parametrize("n", [50, 100, 350, 1000])
@pytest.mark.parametrize("kind", ["normal", "skewed", "few"])
def test_it_is_never_narrower_than_the_interval_of_that_number_of_prompts(n, kind):
    rng = np.random.default_rng(n)
    draws = {"normal": rng.normal(size=n), "skewed": np.exp(3 * rng.normal(size=n)), "few": rng.random(n) < 0.3}
    x = draws[kind].astype(float)
    fixed, valid = stats.mean(x), sequential.mean(x)
    assert valid.low <= fixed.low and fixed.high <= valid.high
    assert (valid.value, valid.n) == (fixed.value, n) and math.isnan(valid.p)
    assert half_width(valid) >= x.std(ddof=1) * margin_of_unit_sd(n) * (1 - 1e-12)


def test_the_width_is_that_of_the_paper_and_tightest_where_it_is_tuned():
    r2 = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 500
    by_hand = math.sqrt(2 * (200 * r2 + 1) / (200**2 * r2) * math.log(math.sqrt(200 * r2 + 1) / 0.05))
    assert margin_of_unit_sd(200) == pytest.approx(by_hand)
    in_standard_errors = {n: margin_of_unit_sd(n) * math.sqrt(n) for n in (50, 500, 5000)}
    assert min(in_standard_errors.values()) == in_standard_errors[500] == pytest.approx(3.035, abs=1e-3)
    assert all(margin_of_unit_sd(n) > margin_of_unit_sd(n + 50) for n in range(50, 5000, 50))


def test_there_is_no_interval_before_enough_values_differ_and_nan_is_left_out():
    x = [0.0] * 91 + [1.0] * (FEWEST - 1) + [math.nan]
    early = sequential.mean(x)
    assert math.isnan(early.low) and early.n == 100 and early.value == pytest.approx(0.09)
    assert not math.isnan(sequential.mean([*x, 1.0]).low)
    assert math.isnan(sequential.mean([]).value) and math.isnan(half_width(sequential.mean([1.0])))
