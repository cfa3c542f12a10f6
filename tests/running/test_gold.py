"""What the evaluation asks of a task: metered, checked, and refused before any work where the policy cannot do it."""

import numpy as np
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.models.toy import ToyPolicy
from harness.core.types import Completion, Prompt
from harness.running.gold import GoldHandle
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
