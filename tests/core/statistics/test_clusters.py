"""Prompts of one cluster are drawn together: identities with plain intervals, and what correlated prompts are worth."""

import math
from itertools import product

import numpy as np
import pytest

from harness.core.statistics.best_of_n import as_good_as
from harness.core.statistics.stats import (
    difference,
    difference_over_seeds,
    gain_ratio,
    mcnemar,
    mean,
    ratio,
    sign_flips,
    win_rate,
)

N = 40
RNG = np.random.default_rng(3)
A, B, BASE = RNG.normal(1, 1, N), RNG.normal(0.5, 1, N), RNG.normal(0, 1, N)
A[5] = B[7] = math.nan
CURVES = np.sort(RNG.normal(size=(N, 4)), axis=1)
ALONE = [f"customer {i}" for i in range(N)]

EVERY = {
    "mean": lambda rows, clusters: mean(A[rows], clusters=clusters),
    "difference": lambda rows, clusters: difference(A[rows], B[rows], clusters=clusters),
    "ratio": lambda rows, clusters: ratio(A[rows], B[rows] + 9, clusters=clusters),
    "gain_ratio": lambda rows, clusters: gain_ratio(A[rows], B[rows] + 9, BASE[rows], clusters=clusters),
    "win_rate": lambda rows, clusters: win_rate(np.round(A[rows]), np.round(B[rows]), clusters=clusters),
    "as_good_as": lambda rows, clusters: as_good_as(CURVES[rows], A[rows] / 4, clusters=clusters),
    "over seeds": lambda rows, clusters: difference_over_seeds(
        np.concatenate([A[rows], A[rows] + 0.3, B[rows]]),
        np.zeros(3 * len(rows)),
        [f"{i:03d}" for i in range(len(rows))] * 3,
        np.repeat([1, 2, 3], len(rows)),
        clusters=None if clusters is None else list(clusters) * 3,
    ),
}


def told(estimate) -> tuple[str, ...]:
    return tuple(repr(float(value)) for value in vars(estimate).values())


@pytest.mark.parametrize("name", EVERY)
def test_clusters_of_one_prompt_give_the_plain_interval_to_the_digit(name):
    rows = np.arange(N)
    assert told(EVERY[name](rows, ALONE)) == told(EVERY[name](rows, None))


@pytest.mark.parametrize("name", EVERY)
def test_every_row_twice_in_one_cluster_is_as_wide_as_once_and_independent_it_would_claim_more(name):
    once, twice = np.arange(N), np.repeat(np.arange(N), 2)
    plain, clustered = EVERY[name](once, None), EVERY[name](twice, [ALONE[i] for i in twice])
    ends = [(of.value, of.low, of.high) for of in (clustered, plain)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-12) and clustered.n == 2 * plain.n
    claimed = EVERY[name](twice, None)
    if name != "over seeds":  # where the luck of seeds is most of the width
        assert claimed.high - claimed.low < 0.8 * (plain.high - plain.low)


def test_p_values_are_of_clusters_as_well():
    twice = np.repeat(np.arange(N), 2)
    clusters = [ALONE[i] for i in twice]
    assert difference(A[twice], B[twice], clusters=clusters).p == difference(A, B).p
    assert win_rate(A[twice], B[twice], clusters=clusters).p == win_rate(A, B).p > win_rate(A[twice], B[twice]).p
    few = difference([1.0] * 9, [0.0] * 9, clusters=list("aaabbbccc"))
    assert few.p == 2.0 ** (1 - 3)  # three signs alone


@pytest.mark.parametrize("nets", [[3, -1, 2], [1, 1, -4, 2, 0], [5, 5, -2, 1, 1, -3], [2, -1], [0, 7, -1, 1]])
def test_sign_flips_count_every_way_that_clusters_could_have_turned_out(nets):
    sums = [abs(sum(s * n for s, n in zip(signs, nets, strict=True))) for signs in product((1, -1), repeat=len(nets))]
    assert sign_flips(nets) == pytest.approx(sum(s >= abs(sum(nets)) for s in sums) / len(sums))


@pytest.mark.parametrize("wins, losses", [(5, 1), (3, 3), (0, 0), (12, 2)])
def test_sign_flips_of_single_prompts_are_mcnemars_test(wins, losses):
    assert sign_flips([1] * wins + [-1] * losses + [0, 0]) == mcnemar(wins, losses)
    assert sign_flips([4] * wins + [-4] * losses) == mcnemar(wins, losses)


def test_one_cluster_has_no_interval():
    for name in EVERY:
        found = EVERY[name](np.arange(8), ["the same"] * 8)
        assert not math.isnan(found.value) and math.isnan(found.low) and math.isnan(found.high), name
        assert math.isnan(found.p), name


def test_where_prompts_of_a_customer_are_alike_only_clustered_intervals_cover():
    """40 customers of 5 prompts, half of the variance theirs; on a fixed seed, 200 draws: 0.95 +- 0.015."""
    rng, clusters = np.random.default_rng(11), np.repeat(np.arange(40), 5).tolist()
    covered = {"plain": 0, "clustered": 0}
    for _ in range(200):
        x = np.repeat(rng.normal(size=40), 5) + rng.normal(size=200)
        for name, of in (("plain", None), ("clustered", clusters)):
            found = mean(x, resamples=500, clusters=of)
            covered[name] += found.low <= 0 <= found.high
    assert covered["clustered"] >= 180 > 160 > covered["plain"]
