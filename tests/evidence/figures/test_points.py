"""What figures draw, read back from the drawing: points where they were measured, and what they are compared with."""

from dataclasses import replace

import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from harness.core.statistics.stats import Estimate
from harness.evidence.figures.along import Drawn, Level, gold_by_iteration
from harness.evidence.figures.curves import gold_against_compute
from harness.evidence.schema import Row
from harness.evidence.table import best_of_n_curve, comparison


def points(fig: Figure) -> dict[str, ErrorbarContainer]:
    return {c.get_label(): c for c in fig.axes[0].containers if isinstance(c, ErrorbarContainer)}


def on_page(container: ErrorbarContainer) -> float:
    """Where a point is drawn, from the left, in pixels."""
    line = container.lines[0]
    return float(line.get_transform().transform(line.get_xydata())[0, 0])


@pytest.mark.parametrize("width", ["column", "full"])
def test_points_stand_at_the_cost_that_was_measured(planted, width):
    """Every iteration was moved by 5% of its cost, and DPO was drawn cheaper than the base."""
    table = comparison(planted)
    base, value, reward = (table[i] for i in (0, 2, 3))
    dear = replace(base.costs, policy_tokens=base.costs.policy_tokens * 1.01)
    dpo = replace(base, key=Row("dpo", 1, "first"), costs=dear)
    rows = [replace(base, key=Row("args", 3, "first"), costs=dear), dpo, base, value, reward]
    fig = gold_against_compute(rows, best_of_n_curve(planted), width)
    found = points(fig)
    names = {"base": base, "DPO, iteration 1": dpo, "IRO, iteration 1, picked by value": value}
    for name, row in names.items():
        [x], [y] = found[name].lines[0].get_data()
        assert (x, y) == (row.costs.policy_tokens, row.gold.value)
    assert on_page(found["base"]) < on_page(found["DPO, iteration 1"])
    # rows of one method at one cost: apart on the page alone
    pair = [found[f"IRO, iteration 1, picked by {who}"] for who in ("value", "proxy")]
    assert pair[0].lines[0].get_xdata() == pair[1].lines[0].get_xdata() and on_page(pair[0]) < on_page(pair[1])
    ax = fig.axes[0]
    low, high = ax.get_ylim()
    assert all(low < bound < high for row in rows for bound in (row.gold.low, row.gold.high))
    left, right = ax.get_xlim()
    assert all(left < row.costs.policy_tokens < right for row in rows) and "side by side" in ax.get_xlabel()


def test_gold_by_iteration_has_intervals_lines_and_what_they_are_compared_with():
    """It was six dots."""
    rows = [
        Drawn(Row("iro", i, pick), i, Estimate(0.5 + i / 10, 0.4, 0.9, 50))
        for i in (1, 2, 3)
        for pick in ("value", "reward")
    ]
    levels = [
        Level("base", "base", Estimate(0.0, -0.1, 0.1, 50)),
        Level("best_of_n", "best-of-16", Estimate(0.4, 0.3, 0.5, 50)),
    ]
    fig = gold_by_iteration(rows, levels, "column")
    ax, found = fig.axes[0], points(fig)
    assert list(found) == ["IRO, picked by value", "IRO, picked by proxy"]
    for container in found.values():
        assert list(container.lines[0].get_xdata()) == [1, 2, 3] and container.lines[2]  # bars
        assert container.lines[0].get_linestyle() != "None"
    named = {line.get_label(): line.get_ydata()[0] for line in ax.lines}
    assert (named["base"], named["best-of-16"]) == (0.0, 0.4) and len(ax.patches) == 2  # bands
    assert ax.get_ylim()[0] < -0.1 and ax.get_ylim()[1] > 0.9
