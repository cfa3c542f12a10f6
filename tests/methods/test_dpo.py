from dataclasses import replace

import numpy as np
import pytest
import torch

from harness import cli
from harness.core.errors import UserError
from harness.core.models.preference import pairs_of
from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.core.types import Prompt
from harness.methods.dpo import Dpo
from harness.running.config import resolve
from harness.running.request import Request


@pytest.fixture
def rollouts(tiny_handle, ledger):
    reward = RewardHandle(lambda cs: np.array([c.text.count("a") + len(c.text) / 64 for c in cs]), ledger, Scale(0, 1))
    prompts = [Prompt(f"f{i}", text=f"{'abcdefghijklmnop'[i]} day") for i in range(16)]
    answers = sample_rows(tiny_handle, prompts, 6, Streams(0), "first", reward)
    return [c for a in answers for c in a.finalists]


def test_pairs_are_the_best_and_the_worst_of_each_prompt(rollouts):
    unknown = [replace(c, reward=float("nan")) if i % 6 == 0 else c for i, c in enumerate(rollouts)]
    for data in (rollouts, unknown):
        for best, worst in pairs_of(data):
            same = [c.reward for c in data if c.completion.prompt == best.completion.prompt and not np.isnan(c.reward)]
            assert best.completion.prompt == worst.completion.prompt
            assert (best.reward, worst.reward) == (max(same), min(same))
    with pytest.raises(UserError, match="no prompt has two base samples of different reward"):
        pairs_of([replace(c, reward=1.0) for c in rollouts])


def test_training_prefers_the_chosen_and_leaves_the_base_alone(tiny, tiny_handle, rollouts):
    before = {name: p.clone() for name, p in tiny.model.state_dict().items()}
    method = Dpo(Dpo.Config(learning_rate=1e-2, batch=4, epochs=3), tiny_handle, None, Streams(0))
    report = method.fit(1, rollouts)
    pairs = pairs_of(rollouts)
    margins = []
    for handle in (tiny_handle, method.copy.policy):
        best, worst = (handle.logprobs([pair[i].completion for pair in pairs]) for i in (0, 1))
        margins.append(np.mean([b.sum() - w.sum() for b, w in zip(best, worst, strict=True)]))
    assert margins[1] > margins[0] + 1
    assert method.own_policy is method.copy.policy
    answers = [a.pick("first") for a in method.generate([pair[0].completion.prompt for pair in pairs])]
    own, base = (policy.logprobs(answers) for policy in (method.own_policy, tiny_handle))
    assert np.mean([(a - b).sum() for a, b in zip(own, base, strict=True)]) > 0  # its KL from the base, estimated
    assert report.rows[-1]["accuracy"] > 0.7 and report.rows[-1]["loss"] < report.rows[0]["loss"]
    assert all(torch.equal(before[name], p) for name, p in tiny.model.state_dict().items())


def test_completions_are_trained_on_as_they_were_written(tiny_handle, rollouts, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "harness.core.models.preference._run_trainer",
        lambda model, tokenizer, rows, config, seed: seen.extend(rows) or ({}, []),
    )
    monkeypatch.setattr("harness.core.models.preference._merged", lambda policy, files: None)
    Dpo(Dpo.Config(), tiny_handle, None, Streams(0)).fit(1, rollouts)
    for row, (best, worst) in zip(seen, pairs_of(rollouts), strict=True):
        assert tuple(row["chosen_ids"]) == best.completion.tokens
        assert tuple(row["rejected_ids"]) == worst.completion.tokens
        assert tuple(row["prompt_ids"]) == tiny_handle.encode(best.completion.prompt)


def test_without_the_extra_it_says_how_to_install_and_all_leaves_it_out(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"dpo: trl and peft not installed: pip install .*\[dpo\]"):
        resolve(Request(methods=("dpo",)))
    config = resolve(Request(methods=("all",)))
    assert "dpo" not in config.methods and "not installed" in config.left_out["dpo"]


def test_a_method_left_out_has_a_row_that_says_why(place, capsys, unrendered):
    options = ["--task", "toy", "--limit", "8", "--set", "fit.prompts=12", "--workers", "1"]
    assert cli.main(["run", "--method", "all", *options]) == 0
    assert "DPO was left out: the toy has no weights to train" in " ".join(capsys.readouterr().out.split())
    (folder,) = (place / "results" / "runs").iterdir()
    assert "| dpo | left out: the toy has no weights to train |" in (folder / "report.md").read_text(encoding="utf-8")
