"""One figure for what an answer costs, by hand from planted counts."""

from dataclasses import replace
from math import inf

import polars as pl
import pytest

from harness.core.errors import UserError
from harness.evidence.cost import AMORTISED_OVER, SampledCost, at_reward_price, best_of_n_costs, costs
from harness.evidence.table import comparison
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
    assert row.fit_flops == fitting
    assert row.flops_with_fitting == pytest.approx(row.flops + fitting / 60)  # the prompts that were run
    assert row.flops_amortised == pytest.approx(row.flops + fitting / AMORTISED_OVER)
    assert row.flops_large_reward == 90 * 100 + 30 * 7 + 2 * 20 * 100  # a base text and its prompt are 20 tokens


def test_fitting_pays_from_the_prompts_over_which_it_has_saved_what_it_took(planted):
    about = {**planted.about, "flops": {**PRICES, "value_call": {"iro": 1.0}, "reward_call": 50.0}}
    rows = {row.key.final_pick: row for row in comparison(replace(planted, about=about)) if row.key.method == "iro"}
    own, best = 90 * 100 + 30 * 1, 90 * 100 + 8 * 50
    assert rows["value"].break_even == pytest.approx(((1000 + 9000) * 100 + 400 * 50) / (best - own))
    at = replace(rows["value"].costs, flops_with_fitting=own + rows["value"].costs.fit_flops / rows["value"].break_even)
    assert at.flops_with_fitting == pytest.approx(best)
    dear = {**planted.about, "flops": {**PRICES, "value_call": {"iro": 1000.0}}}
    assert all(row.break_even == inf for row in comparison(replace(planted, about=dear)) if row.key.method == "iro")
    assert all(row.break_even is None for row in comparison(replace(planted, about=dear)) if row.key.method == "base")


def test_a_reward_of_the_policys_size_is_shown_where_a_method_calls_it_more_than_best_of_n(planted):
    asks = (pl.col("final_pick") == "reward") & (pl.col("method") == "iro")
    often = planted.completions.with_columns(reward_calls=pl.when(asks).then(9).otherwise("reward_calls"))
    priced = replace(planted, about={**planted.about, "flops": PRICES})
    assert all(row.large_reward_flops is None for row in comparison(priced))
    large = [row.large_reward_flops for row in comparison(replace(priced, completions=often))]
    assert large == [20 * 100, 90 * 100 + 8 * 2000, 90 * 100 + 30 * 7, 90 * 100 + 30 * 7 + 9 * 2000]


def test_a_call_of_the_reward_takes_what_the_reader_says(planted):
    priced = replace(planted, about={**planted.about, "flops": PRICES})
    assert of_row(at_reward_price(priced, "40"), "best_of_n", 0, "reward").flops == 90 * 100 + 8 * 40
    large = at_reward_price(priced, "policy")
    assert of_row(large, "best_of_n", 0, "reward").flops == 90 * 100 + 8 * 20 * 100
    assert of_row(large, "iro", 1, "value").fit_flops == (1000 + 9000) * 100 + 400 * 20 * 100
    for wrong in ("dear", "nan", "-1", "inf"):
        with pytest.raises(UserError, match="give FLOPs of one call"):
            at_reward_price(priced, wrong)
    with pytest.raises(UserError, match="has no FLOPs of the policy"):
        at_reward_price(planted, "policy")


def test_values_that_guided_the_searches_of_a_fit_are_part_of_what_it_took_and_training_a_head_is_not(planted):
    value = {"method": "iro", "iteration": 1, "phase": "fit", "role": "value", "calls": 1, "seconds": 1.0}
    guided = {**value, "artifact": "rollouts", "sequences": 300, "prefill_tokens": 20}
    trained = {**value, "artifact": "fit", "sequences": 1000, "prefill_tokens": 0}
    ledger = pl.concat([planted.ledger, pl.DataFrame([guided, trained])], how="diagonal_relaxed")
    about = {**planted.about, "flops": {**PRICES, "value_token": {"iro": 11.0}}}
    row = of_row(replace(planted, about=about, ledger=ledger), "iro", 1, "value")
    assert row.fit_flops == (1000 + 9000) * 100 + 400 * 5 + 300 * 7 + 20 * 11


def test_steps_and_seconds_are_of_a_prompt_and_unknown_where_an_earlier_version_did_not_count(planted):
    row = of_row(planted, "iro", 1, "value")
    assert row.steps is None and row.busy_seconds is None
    answering = {"method": "iro", "iteration": 1, "phase": "generate", "role": "policy", "calls": 1, "seconds": 9.0}
    ledger = pl.concat([planted.ledger, pl.DataFrame([{**answering, "busy_seconds": 30.0}])], how="diagonal_relaxed")
    counted = replace(planted, completions=planted.completions.with_columns(steps=7), ledger=ledger)
    row = of_row(counted, "iro", 1, "value")
    assert (row.steps, row.busy_seconds) == (7.0, 0.5)


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
