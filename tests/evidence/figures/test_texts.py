"""Words of every kind of figure, at both widths, with one row and with many: legible, whole, and apart."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure

from harness.core.statistics.stats import Estimate
from harness.evidence.figures.along import Drawn, gold_along
from harness.evidence.figures.board import leaderboard
from harness.evidence.figures.by_method import columns_by_method
from harness.evidence.figures.choices import gold_by_choice, heat_map
from harness.evidence.figures.columns import COLUMNS
from harness.evidence.figures.judged import judged
from harness.evidence.figures.kinds import of_run
from harness.evidence.figures.style import INCHES
from harness.evidence.figures.tried import gold_against_settings
from harness.evidence.leaderboard_row import Entry
from harness.evidence.row import Comparison, Judged, Warned
from harness.evidence.schema import Row
from harness.evidence.store import load_run
from harness.evidence.table import best_of_n_curve, comparison
from tests.evidence.figures.texts import faults, shown

pytestmark = pytest.mark.slow

RUNS = Path(__file__).parents[3] / "results" / "runs"
WIDTHS = pytest.mark.parametrize("width", ["column", "full"])
LONG = ("weak_to_strong", "controlled_decoding", "a_method_of_my_own", "args", "cards", "iro", "dpo", "another_one")


def table_of(planted, methods: Sequence[str], iterations: int) -> list[Comparison]:
    """Base and best-of-n, and each method at each iteration with two picks."""
    base, best, value, _ = comparison(planted)
    rows = [base, best]
    for m, method in enumerate(methods):
        for i in range(1, iterations + 1):
            for pick, shift in (("value", 0.0), ("reward", 0.02)):
                at = 0.2 + m / 20 + i / 50 + shift
                gold = Estimate(at, at - 0.1, at + 0.1, 300)
                tokens = base.costs.policy_tokens * (1 + m)
                costs = replace(value.costs, policy_tokens=tokens)
                rows.append(replace(value, key=Row(method, i, pick), gold=gold, proxy=gold, costs=costs))
    return rows


def values_of(iterations: int) -> pl.DataFrame:
    tenths = [i / 10 for i in range(10)]
    return pl.DataFrame(
        {"method": "iro", "value": v, "rollouts": r, "position": 8, "predicted": tenths, "reward": tenths}
        for v in range(1, iterations + 1)
        for r in range(1, iterations + 1)
    )


def require(fig: Figure, width: str) -> None:
    assert faults(fig) == []
    assert fig.get_size_inches()[0] == INCHES[width] and fig.get_size_inches()[1] < 9
    assert not any("_" in text.get_text() for text in shown(fig) if "edge" not in text.get_text())
    for legend in fig.legends:
        assert len(legend.get_texts()) <= 8


@WIDTHS
@pytest.mark.parametrize("methods, iterations", [((), 0), (("iro",), 1), (("iro",), 6), (LONG, 3)])
def test_of_a_run(planted, methods, iterations, width):
    table = table_of(planted, methods, iterations)
    drawings = of_run(table, best_of_n_curve(planted), values_of(iterations) if iterations else None)
    assert ("gold_by_iteration" in drawings) == (iterations > 1)
    for draw in drawings.values():
        require(draw(width), width)


def test_names_are_no_formulas(planted):
    """A dollar sign would have begun one, and a brace after it ended the report with a traceback."""
    for draw in of_run(table_of(planted, ["cost_in_$", "of$_{mine"], 2), best_of_n_curve(planted), None).values():
        require(draw("column"), "column")


def test_a_legend_of_too_many_entries_says_so(planted):
    values = pl.concat(values_of(2).with_columns(method=pl.lit(f"value {i}")) for i in range(12))
    fig = of_run(comparison(planted), [], values)["calibration"]("column")
    require(fig, "column")
    assert [text.get_text() for text in fig.legends[0].get_texts()][-1] == "and 7 more"


@WIDTHS
def test_of_the_base_alone(planted, width):
    for draw in of_run(comparison(planted)[:1], [], None).values():
        require(draw(width), width)


@WIDTHS
def test_of_a_stored_run_of_all_methods(width):
    run = load_run(RUNS / "imdb-050d22a3a2")
    table, curve = comparison(run), best_of_n_curve(run)
    drawings = of_run(table, curve, run.values)
    for draw in drawings.values():
        require(draw(width), width)
    names = {text.get_text() for text in shown(drawings["gold_against_compute"](width))}
    named = {"ARGS", "CARDS", "controlled decoding", "DPO", "IRO", "weak-to-strong", "base", "best-of-n, n = 1 to 16"}
    assert named <= names  # beside its points


@WIDTHS
def test_of_columns_side_by_side(planted, width):
    for columns in (["gold"], list(COLUMNS)[:3], ["tokens", "policy_tokens", "base_nll"]):
        require(columns_by_method(table_of(planted, LONG, 2), columns, width), width)


def drawn_at(values: Sequence[object]) -> list[Drawn]:
    keys = [Row("best_of_n", 0, "reward"), *(Row("iro", i, pick) for i in (1, 2, 3) for pick in ("value", "reward"))]
    return [Drawn(key, value, Estimate(0.5, 0.4, 0.6, 400)) for value in values for key in keys]


@WIDTHS
@pytest.mark.parametrize("values", [(1,), (1, 2, 4, 8, 16, 32, 64, 128, 256), (0.125, 0.25, 0.3, 0.31, 1.5, 40.0)])
def test_along_numbers(values, width):
    curve = [Estimate(0.1 + n / 500, 0.0, 0.9, 400) for n in range(64)]
    for rivals in ([], curve):
        require(gold_along(drawn_at(values), "rows a prompt (width * successors)", rivals, width), width)


@WIDTHS
def test_at_values_without_order(width):
    values = ["argmax", "random", "the rewards of a long name, version 2", "all", "rows", True]
    require(gold_by_choice(drawn_at(values), "kept of a search", width), width)
    require(
        gold_by_choice(drawn_at(["all"]), "a name of an axis that is longer than its one line is high", width), width
    )


@WIDTHS
@pytest.mark.parametrize("down, across", [(1, 1), (3, 4), (4, 12)])
def test_at_pairs_of_values(down, across, width):
    gold = {(a, 0.125 * b): Estimate(a / 10 + b / 7, 0.1, 0.4, 60) for a in range(down) for b in range(across)}
    require(heat_map(gold, ["chunk", "beta"], width), width)


@WIDTHS
def test_of_a_judgement(width):
    rate, nothing = Estimate(0.6, 0.5, 0.7, 60), float("nan")
    controlled = Warned(nothing, nothing, nothing, 0)
    keys = [Row("iro", 1, "value"), Row("iro", 1, "reward"), Row("somebody_elses_model", 0, "")]
    rows = [Judged(key, "best_of_n", rate, controlled, 60, 0, None, 0, rate) for key in keys]
    for count in (1, 3):
        require(judged(rows[:count], width), width)


@WIDTHS
def test_of_a_tuning(width):
    tunables = {
        "beta": {"scale": "log", "low": 0.01, "high": 10.0, "when": None},
        "width x successors x chunk": {
            "scale": "choice",
            "values": ["1 x 16 x 8", "4 x 4 x 8", "16 x 1"],
            "when": None,
        },
        "select": {"scale": "choice", "values": ["top", "resample"], "when": None},
        "tau": {"scale": "linear", "low": 0.0, "high": 1.0, "when": {"name": "select", "value": "resample"}},
        "iterations": {"scale": "linear", "low": 1, "high": 3, "when": None},
    }
    choices = tunables["width x successors x chunk"]["values"]
    tries = [
        {
            "point": json.dumps(
                {"beta": 10.0**-i, "width x successors x chunk": choices[i], "select": "top", "tau": 0, "iterations": i}
            ),
            "gold": 0.5, "gold_low": 0.4, "gold_high": 0.6, "gold_n": 300, "chosen": i == 1,
        }
        for i in range(3)
    ]  # fmt: skip
    require(gold_against_settings("iro", tunables, ["beta: 0.01, the lowest"], tries, width), width)
    require(gold_against_settings("iro", {"beta": tunables["beta"]}, [], tries, width), width)


@WIDTHS
def test_of_a_leaderboard(planted, width):
    entries = [
        Entry(
            task="imdb", model="a-model-with-a-long-name-135m-instruct", profile=profile, seed=0, same_reward=False,
            settings_from=source, slice="test", prompts=300, run_id=source, commit="0" * 40, dirty=False, reason="",
            row=row, settings={}, settings_hash=source, rewards={"proxy": 2, "gold": 1},
        )
        for profile in ("quick", "standard")
        for source in ("defaults", "tune:imdb")
        for row in table_of(planted, LONG[: 6 if profile == "quick" else 1], 2 if profile == "standard" else 1)
    ]  # fmt: skip
    require(leaderboard(entries, width), width)
    require(leaderboard([], width), width)
