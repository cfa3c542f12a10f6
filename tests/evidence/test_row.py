"""Rows of tables as columns: an estimate is five, and what was not tested has none."""

from dataclasses import fields, replace

from harness.core.statistics.stats import Estimate
from harness.evidence.row import WHERE_TESTED, Comparison, Costs, flat, frame
from harness.evidence.schema import Row
from harness.evidence.table import comparison

COSTS = Costs(100.0, 0.0, 0.0, 16.0, 1000, 400, 0.0, 200.0, 300.0)


def test_an_estimate_is_five_columns_and_a_key_three():
    columns = flat({"key": Row("iro", 1, "value"), "gold": Estimate(1.0, 0.5, 1.5, 60), "n": 3})
    estimate = ["gold", "gold_low", "gold_high", "gold_n", "gold_p"]
    assert list(columns) == ["method", "iteration", "final_pick", *estimate, "n"]
    assert (columns["gold"], columns["gold_high"], columns["gold_n"]) == (1.0, 1.5, 60)


def test_nested_parts_stand_in_their_place():
    costs = replace(COSTS, usd=0.1, usd_with_fitting=0.3, fit_usd=20.0)
    assert flat({"a": 1, "costs": costs, "b": {"c": 2}}) == {"a": 1, **vars(costs), "c": 2}


def test_columns_of_a_comparison_are_its_fields_and_those_of_its_parts(planted):
    row = comparison(planted)[-1]
    nested = {"key", "drift", "costs", "equivalent", "over_refits"}  # the last where a run had refits
    unknown = {f.name for part in (row, row.costs) for f in fields(part) if f.metadata == WHERE_TESTED
               and getattr(part, f.name) is None}  # fmt: skip
    assert unknown == {"clusters", "over_refits", "usd", "usd_with_fitting", "fit_usd"}  # of what no run had: no column
    names = {f.name for f in fields(Comparison)} - nested | set(vars(row.drift)) | set(vars(row.costs))
    assert names - unknown < set(flat(row)) and not unknown & set(flat(row))


def test_a_p_value_of_no_test_has_no_column(planted):
    base = comparison(planted)[0]
    assert base.p_wins_holm is None and "p_wins_holm" not in flat(base) and "p_holm" in flat(base)
    table = frame(comparison(planted))
    assert table["p_wins_holm"].null_count() == 1 and len(table) == 4


def test_costs_are_compared_in_flops_with_fitting_or_in_tokens():
    assert (COSTS.over(replace(COSTS, flops_with_fitting=150.0)), COSTS.unit) == (2.0, "FLOPs")
    unpriced = replace(COSTS, flops=None, flops_with_fitting=None)
    assert (unpriced.over(replace(unpriced, policy_tokens=400.0)), unpriced.unit) == (0.25, "tokens")
