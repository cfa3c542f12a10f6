"""A task whose proxy and gold ask the same checkers says so wherever gold is shown, and has accuracies of its own."""

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.evidence.accuracies import accuracies
from harness.evidence.graders import task_in_words
from harness.evidence.store import find_run, load_run
from harness.evidence.table import comparison
from harness.tasks.toy import Toy

SHARED = "Verifiable: proxy and gold share checkers"
RUN = ["run", "--task", "toy", "--method", "best_of_n", "--limit", "8", "--set", "fit.prompts=8", "--workers", "1"]
FACTS = {"accuracies": {"letters": ["long", None], "share of a": ["a", "all"], "none | such": ["missing", None]}}


@pytest.fixture
def run(place, monkeypatch, unrendered):
    """A run of the toy whose task counts letters, and says of them what ifeval says of instructions."""
    score, describe = Toy.score, Toy.describe

    def counted(self, completions):
        texts = [c.text for c in completions]
        counts = {
            "a": [t.count("a") for t in texts],
            "all": [len(t) + 1 for t in texts],
            "long": [len(t) > 2 for t in texts],
        }
        return {**score(self, completions), **{name: np.array(of, np.float32) for name, of in counts.items()}}

    monkeypatch.setattr(Toy, "score", counted)
    monkeypatch.setattr(
        Toy, "describe", lambda self: {**describe(self), "shared": SHARED, "test_prompts": "made", **FACTS}
    )
    assert cli.main(RUN) == 0
    return load_run(find_run(place / "results", "latest"))


def test_screen_report_export_leaderboard_and_page_say_it(run, capsys, place):
    assert cli.main(["report", "latest"]) == 0
    assert "mind verifiable: proxy and gold share checkers" in capsys.readouterr().out
    assert f"**{SHARED}.**" in (run.folder / "report.md").read_text(encoding="utf-8")
    assert cli.main(["export", "latest", "--markdown"]) == 0
    assert SHARED in capsys.readouterr().out
    assert cli.main(["leaderboard"]) == 0
    assert "toy (made; verifiable: proxy and gold share checkers)" in (place / "results" / "leaderboard.md").read_text()
    assert task_in_words(run.record) == "toy (made; verifiable: proxy and gold share checkers)"


def test_accuracies_are_means_or_sums_divided(run):
    lines = accuracies(run, comparison(run)).splitlines()
    (base,) = [line for line in lines if line.startswith("| base |")]
    of = run.scores.filter(pl.col("method") == "base").pivot("metric", index="prompt_id", values="value")
    long, share = 100 * of["long"].mean(), 100 * of["a"].sum() / of["all"].sum()
    assert f"| {long:.1f}% [" in base and f"| {share:.1f}% [" in base
    assert "none | such" not in "\n".join(lines)  # no metric of that name, and no cell that breaks the table
