"""Over-optimisation and drift, by hand."""

import numpy as np
import polars as pl
import pytest

from harness.evidence.drift import distinct, drift, repeats


def rows(gold: list[float], proxy: list[float], texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"gold_reward": gold, "proxy_reward": proxy, "response": texts})


def test_gains_are_paired_and_their_ratio_is_gold_per_proxy():
    base = rows([0.0, 5.0, -5.0], [1.0, 2.0, 3.0], ["a"] * 3)
    got = drift(rows([1.0, 6.0, -4.0], [5.0, 6.0, 7.0], ["a"] * 3), base)
    assert (got.gold_gain.value, got.gold_gain.low, got.gold_gain.high) == (1, 1, 1)
    assert got.proxy_gain.value == 4 and got.gold_per_proxy.value == 0.25
    assert got.gold_per_proxy.n == 3


def test_the_base_has_no_gains_and_a_missing_gold_is_left_out():
    base = rows([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], ["a b"] * 3)
    assert drift(base, None).gold_gain is None
    got = drift(rows([1.0, np.nan, 3.0], [2.0, 90.0, 2.0], ["a b"] * 3), base)
    assert got.gold_per_proxy.value == 1.0 and got.gold_per_proxy.n == got.gold_gain.n == 2
    assert np.isnan(drift(base, base).gold_per_proxy.value)  # no proxy gain to divide by


@pytest.mark.parametrize(
    "text, answer", [("a b c d", False), ("a b c d a b c", False), ("a b c d e a b c d", True), ("x x x x x", True)]
)
def test_repetition_is_the_same_four_words_twice(text, answer):
    assert repeats(text) is answer


def test_distinct_counts_different_word_runs_over_all_of_them():
    texts = ["a b c", "a b d"]
    assert distinct(texts, 2) == 3 / 4 and distinct(texts, 3) == 1
    assert np.isnan(distinct(["a"], 2))
