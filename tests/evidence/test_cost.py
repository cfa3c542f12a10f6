"""One figure for what an answer costs, by hand from planted counts."""

from dataclasses import replace

import pytest

from harness.evidence.cost import AMORTISED_OVER, SampledCost, best_of_n_costs, costs
from tests.conftest import PRICES


def of_row(run, method, iteration, pick):
    part = run.completions.filter(method=method, final_pick=pick)
    return costs(run, part, method, iteration)


def test_the_flops_of_a_row_by_hand(planted):
    priced = replace(planted, about={**planted.about, "flops": PRICES})
    assert of_row(priced, "base", 0, "first").flops == 20 * 100
    assert of_row(priced, "best_of_n", 0, "reward").flops == 90 * 100 + 8 * 5
    row = of_row(priced, "iro", 1, "reward")
    assert row.flops == 90 * 100 + 30 * 7 + 2 * 5
    fitting = (1000 + 9000) * 100 + 400 * 5
    assert row.flops_with_fitting == pytest.approx(row.flops + fitting / AMORTISED_OVER)


def test_a_method_without_a_price_of_values_values_for_nothing(planted):
    priced = replace(planted, about={**planted.about, "flops": {**PRICES, "value_call": {}}})
    assert of_row(priced, "iro", 1, "value").flops == 90 * 100


def test_a_run_without_prices_has_counts_and_no_flops(planted):
    row = of_row(planted, "iro", 1, "value")
    assert (row.flops, row.flops_with_fitting) == (None, None)
    assert (row.policy_tokens, row.fit_policy_tokens, row.fit_proxy_calls) == (90, 10_000, 400)


def test_best_of_1_costs_what_the_base_does_and_best_of_all_what_was_measured(planted):
    priced = replace(planted, about={**planted.about, "flops": PRICES})
    rivals = best_of_n_costs(priced, 8)
    assert rivals[0] == SampledCost(20, of_row(priced, "base", 0, "first").flops)
    assert rivals[-1] == SampledCost(90, of_row(priced, "best_of_n", 0, "reward").flops)
    assert [point.policy_tokens for point in rivals] == [20 + 10 * n for n in range(8)]
