"""The rows that a search needs to be as good as best-of-n, and their cost, on planted golds."""

import numpy as np
import pytest

from harness.core.statistics.best_of_n import cost_of_reaching, reached_at
from harness.core.statistics.stats import Estimate
from harness.evidence.cost import SampledCost
from harness.evidence.row import Costs
from harness.evidence.rows_needed import Searched, needed
from harness.evidence.schema import Row

NOISE = np.linspace(-0.1, 0.1, 20)
GOLD = {1: 0.0, 4: 0.3, 9: 0.8}


def searched(u, flops):
    costs = Costs(10.0 * u, 0, 0, 0, 0, 0, 0.0, flops and flops * u, flops and flops * u + 50.0)
    key = Row("base", 0, "first") if u == 1 else Row("iro", 1, "value")
    return Searched(key, u, GOLD[u] + NOISE, costs)


def lines(flops, levels=(2, 3)):
    rivals = np.array([0.0, 0.4, 0.9]) + NOISE[:, None]
    paid = [SampledCost(10.0 * n, flops and 20.0 * n) for n in (1, 2, 3)]
    base, *searches = (searched(u, flops) for u in (1, 9, 4))
    return needed(base, searches, rivals, paid, levels)


def test_rows_and_shares_by_hand():
    _, _, header, _, first, second, _, text = lines(20.0)
    assert "FLOPs, with fitting" in header and "`>9`" in text
    # 0.4 lies a fifth of the way from U = 4 to 9; equal noise cancels, so that the intervals are points
    what, shares = "| iro (iteration 1) | value", "250% [250, 250] | 250% [250, 250] | 375% [375, 375] |"
    assert first == f"{what} | best-of-2 | 5.0 [5.0, 5.0] | {shares}"
    assert second == f"{what} | best-of-3 | >9 | >300% | >300% | >383% |"


def test_without_prices_tokens_alone_are_shown():
    _, _, header, _, first, *_ = lines(None, levels=[2])
    assert "FLOPs" not in header and first.endswith("| 5.0 [5.0, 5.0] | 250% [250, 250] |")


def test_the_costs_are_read_between_the_points_and_end_with_the_last():
    part = cost_of_reaching(Estimate(2.5, 1.0, np.inf, 30), [1, 4], [10, 40], 50)
    assert (part.value, part.low, part.high, part.n) == (pytest.approx(0.5), 0.2, 0.8, 30)


def test_curves_that_do_not_belong_to_the_points_are_refused():
    with pytest.raises(AssertionError, match="2 points"):
        reached_at([1, 4], np.zeros((5, 3)), np.zeros(5))
