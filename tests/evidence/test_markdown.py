"""How numbers are written: as many digits as their intervals allow, wherever they lie."""

from math import nan

import pytest

from harness.core.statistics.stats import Estimate
from harness.evidence.markdown import digits_for, digits_of, in_range


@pytest.mark.parametrize(
    "spread, number, said",
    [(240, -2664.1, "-2,664"), (4.5, 58.77, "58.8"), (0.045, 1000.0123, "1,000.012"), (12, 81.2, "81"), (1.0, 5, "5.0"),
     (1e-9, 3.21e-8, "3.21e-08"), (0, 2.5, "2.5"), (nan, 2.5, "2.5")],
)  # fmt: skip
def test_a_number_shows_its_spread_to_two_digits(spread, number, said):
    assert f"{number:{digits_for(spread)}}" == said


def test_the_digits_are_those_of_the_middle_interval():
    some = [Estimate(-2664, -2664 - half, -2664 + half, 9) for half in (1, 100, 130)]
    digits = digits_of([*some, None, Estimate(1, nan, nan, 1), Estimate(2, 2, 2, 5)])
    assert some[1].shown(digits) == "-2,664 [-2,764, -2,564]" and digits_of([]) == ".4g"


def test_a_range_of_counts_is_one_where_they_are_equal():
    assert in_range([32, 32]) == "32" and in_range([30, 32, 28]) == "28 to 32"
