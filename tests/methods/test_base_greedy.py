"""The base read greedily, on the toy whose probabilities are known."""

from dataclasses import replace

import numpy as np

from harness.core.models.handle import PolicyHandle
from harness.core.models.sampling import Sampler
from harness.core.streams import Streams
from harness.evidence.table import comparison
from harness.methods import METHODS
from harness.running.config import resolve
from harness.running.request import Request
from tests.conftest import TOY_SAMPLER, planted_rows, toy_prompts


def test_it_writes_the_most_probable_token_at_every_step_whatever_the_sampling_rule(toy, ledger):
    prompts, kind = toy_prompts(4), METHODS["base_greedy"]
    expected = []
    for prompt in prompts:
        topic, written = int(prompt.text.split()[-1]), ()
        while not toy.is_finished(written):
            written = (*written, int(np.argmax(toy._logits[toy.index[topic, written]])))
        expected.append(written)
    for sampler in (TOY_SAMPLER, replace(TOY_SAMPLER, temperature=2.0, top_k=2), Sampler(0.0, 0, 1.0, 4)):
        handle = PolicyHandle(toy, sampler, ledger)
        answers = kind(kind.Config(), handle, None, Streams(3)).generate(prompts)
        assert [answer.pick("first").tokens for answer in answers] == expected
        assert all(answer.work["first"].reward_calls == 0 for answer in answers)


def test_every_run_has_it_beside_the_sampled_base_and_a_method_alone_has_not():
    assert resolve(Request(("iro",), "toy")).methods == ("base", "base_greedy", "best_of_n", "iro")
    assert resolve(Request(("iro",), "toy", only=True)).methods == ("iro",)


def test_it_is_called_base_greedy_and_set_beside_the_runs_own_best_of_n(planted):
    row = next(row for row in comparison(planted_rows(planted, "base", "base_greedy")) if "greedy" in row.key.method)
    assert row.key.name == "base (greedy)" and row.beside == "best-of-8" and row.win_rate_over_base is not None
