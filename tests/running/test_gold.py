"""What the evaluation asks of a task: metered, checked, and refused before any work where the policy cannot do it."""

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.models.toy import ToyPolicy
from harness.core.task import GOLD
from harness.core.types import Completion, Prompt
from harness.evidence.store import find_run, load_run
from harness.running import material
from harness.running.gold import GoldHandle
from harness.running.plan import plan
from harness.running.rescore import rescore
from harness.tasks.toy import Toy

ANSWERS = [Completion(Prompt("p", text="topic 0"), (1,), "a", "length")] * 3


def unasked(completions):
    raise AssertionError("this gold does not read the base")


def test_the_gold_books_what_it_scores(tmp_path, toy):
    ledger = Ledger()
    with ledger.phase("score"):
        scores = GoldHandle(Toy(Toy.Config(), toy, tmp_path), ledger, unasked)(ANSWERS)
    assert scores["gold_reward"].tolist() == pytest.approx([1.3] * 3)
    (row,) = ledger.drain()
    assert (row["role"], row["sequences"]) == ("gold", 3)


def test_scores_without_a_gold_and_of_a_wrong_length_are_named(tmp_path, toy, monkeypatch):
    ledger, task = Ledger(), Toy(Toy.Config(), toy, tmp_path)
    for scores, says in (
        ({"fluency": np.zeros(3)}, "one metric must be 'gold_reward'"),
        ({"gold_reward": np.zeros(2)}, r"gold_reward returned shape \(2,\) for 3 completions"),
    ):
        monkeypatch.setattr(Toy, "score", lambda self, completions, scores=scores: scores)
        with ledger.phase("score"), pytest.raises(UserError, match=says):
            GoldHandle(task, ledger, unasked)(ANSWERS)


def test_a_method_that_needs_more_than_the_policy_gives_is_refused_before_any_work(place, capsys, monkeypatch):
    made = ToyPolicy.__init__

    def without_states(self, *args, **options):
        made(self, *args, **options)
        self.capabilities = frozenset({"text", "logprobs"})

    monkeypatch.setattr(ToyPolicy, "__init__", without_states)
    assert cli.main(["run", "--task", "toy", "--method", "iro"]) == 2
    assert "iro needs states of the policy; 'toy' gives logprobs, text" in capsys.readouterr().err
    assert not list((place / "cache").rglob("batch-*"))


@pytest.fixture
def plans(monkeypatch):
    """What was planned of each run."""
    made = []

    def noted(*args):
        made.append(plan(*args))
        return made[-1]

    monkeypatch.setattr(material, "plan", noted)
    return made


def as_the_base_finds_it(self, completions, base_nll):
    """A gold that counts answers with two letters or more, where the base finds them neither sure nor unheard of."""
    long = [i for i, c in enumerate(completions) if len(c.text) >= 2]
    gold = np.zeros(len(completions), np.float32)
    gold[long] = base_nll([completions[i] for i in long])
    return {GOLD: gold}


def test_a_gold_that_reads_the_base_is_told_what_the_run_stores_and_a_text_is_read_once(
    place, monkeypatch, unrendered, plans
):
    monkeypatch.setattr(Toy, "gold_reads_base", True)
    monkeypatch.setattr(Toy, "score_beside_base", as_the_base_finds_it)
    monkeypatch.setattr(Toy, "versions", {"gold": 1})
    command = "run --task toy --method best_of_n --limit 12 --set fit.prompts=12 --workers 1"
    assert cli.main(command.split()) == 0
    run = load_run(find_run(place / "results", "latest"))
    wide = run.scores.pivot("metric", index=["method", "prompt_id"], values="value").join(
        run.completions.select("method", "prompt_id", "response"), on=["method", "prompt_id"]
    )
    for gold, nll, response in wide.select(GOLD, "base_nll", "response").iter_rows():
        assert gold == (pytest.approx(nll) if len(response) >= 2 else 0)
    assert {len(text) >= 2 for text in wide["response"]} == {True, False}
    scored = run.ledger.filter(pl.col("phase") == "score", pl.col("role") == "policy")
    read = {row["method"]: row["prefill_tokens"] for row in scored.iter_rows(named=True) if row["method"] != "harness"}
    plain = {s.method: s.counts.read_tokens for s in plans[0] if s.label.endswith(": scores") and s.method in read}
    assert read and all(read[name] <= plain[name] for name in read)  # not twice
    said = sum(s.counts.read_tokens for s in plans[0] if s.kind == "scores")
    assert 0 < scored["prefill_tokens"].sum() <= said
    (found,) = rescore(place / "results", 50, place / "cache")
    assert found.largest < 1e-6 and found.n > 10
