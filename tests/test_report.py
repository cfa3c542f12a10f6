"""What the report says, on a planted run."""

from dataclasses import replace

from harness.report import table_markdown, write_report
from harness.table import comparison
from tests.conftest import PRICES


def test_flops_are_a_column_where_the_run_has_prices(planted):
    assert "FLOPs" not in table_markdown(comparison(planted))
    priced = replace(planted, about={**planted.about, "flops": {**PRICES, "policy_token": 1e9}})
    shown = table_markdown(comparison(priced))
    assert "| GFLOPs (with fitting) |" in shown
    assert "| 20 (20) |" in shown and "| 90 (91) |" in shown


def test_the_report_says_which_best_of_n_is_as_good(planted):
    report = write_report(planted).read_text()
    section = report.split("## The best-of-n that is as good")[1].split("\n## ")[0]
    value, reward = (line for line in section.splitlines() if line.startswith("| iro"))
    n, share = comparison(planted)[2]["as_good_as"], comparison(planted)[2]["share_of_tokens"]
    assert f"| {n.value:.1f} [{n.low:.1f}, " in value and f"| {100 * share.value:.0f}%" in value
    assert "| >8" in reward and "| <100%" in reward
    priced = replace(planted, about={**planted.about, "flops": PRICES})
    assert "share of its FLOPs, with fitting" in write_report(priced).read_text()
