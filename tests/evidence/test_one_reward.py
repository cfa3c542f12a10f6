"""Gold and proxy that are one function, up to unit and origin, are named wherever gold is shown."""

import numpy as np
import pytest

from harness import cli
from harness.evidence.record import Agreement
from harness.tasks.toy import Toy

RUN = ["run", "--task", "toy", "--method", "best_of_n", "--limit", "8", "--set", "fit.prompts=8", "--workers", "1"]


def as_proxy(self, completions):
    return {"gold_reward": 3 * self.reward()(completions) - 7}


def nearly(self, completions):
    proxy = self.reward()(completions)
    return {"gold_reward": proxy + np.float32(0.1) * np.array([len(c.text) for c in completions], np.float32)}


@pytest.mark.parametrize("score, one", [(as_proxy, True), (nearly, False)])
def test_a_gold_that_is_the_proxy_in_other_units_is_named_in_table_report_and_screen(
    place, capsys, monkeypatch, unrendered, score, one
):
    monkeypatch.setattr(Toy, "score", score)
    assert cli.main(RUN) == 0
    shown = capsys.readouterr()
    assert ("warning: Gold and proxy are one function (correlation 1 on" in shown.err) == one
    assert ("mind gold and proxy are one function, so nothing held out" in shown.out) == one
    assert (" gold = proxy (sd) " in shown.out) == one
    (folder,) = (place / "results" / "runs").iterdir()
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert ("| gold, which is the proxy (sd) |" in report) == one
    assert ("**Gold and proxy are one function" in report) == one
    assert ("| final pick | gold (sd) |" in report) != one
    assert cli.main(["leaderboard"]) == 0
    assert ("steered and judged by the same reward" in capsys.readouterr().out) == one


@pytest.mark.parametrize("correlation, one", [(1.0, True), (0.9999999, True), (0.9999, False), (-1.0, False)])
def test_from_which_correlation_on(correlation, one):
    assert bool(Agreement(480, correlation, 0.5).warning) == one
