"""What every method owes the harness, on the toy and on a tiny random transformer."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.core.types import Prompt
from harness.methods import METHODS
from tests.conftest import TINY_SAMPLER, TOY_SAMPLER, tiny_prompts, toy_prompts

SMALL = {
    "best_of_n": {"n": 4},
    "args": {"choice": "stochastic", "candidates": 4},
    "controlled_decoding": {"candidates": 4},
    "cards": {"entropy": 0.5, "shortest": 1, "longest": 3, "attempts": 4},
    "weak_to_strong": {"width": 2, "successors": 2, "chunk": 2, "dpo": {"learning_rate": 1e-2, "batch": 2}},
    "dpo": {"learning_rate": 1e-2, "batch": 2},
    "iro": {"width": 2, "successors": 2, "chunk": 2, "iterations": 2},
}


def letters(completions):
    return np.array([c.text.count("a") - c.text.count("b") + len(c.text) / 128 for c in completions])


class World:
    """A policy, its prompts, and what fitting needs."""

    def __init__(self, policy, sampler, prompts, fit_prompts, layers):
        self.policy, self.sampler, self.prompts, self.fit_prompts, self.layers = (
            policy, sampler, prompts, fit_prompts, layers,
        )  # fmt: skip
        self.ledger, self._fitted = Ledger(), {}

    def method(self, name, seed=0, reward=letters, scale=None):
        config = METHODS[name].Config(**SMALL.get(name, {}))
        if reason := METHODS[name].unavailable(self.policy.name, config):
            pytest.skip(reason)
        handle = PolicyHandle(self.policy, self.sampler, self.ledger)
        rewards = RewardHandle(reward, self.ledger, scale or Scale(0.0, 1.0))
        return METHODS[name](config, handle, rewards, Streams(seed))

    def fitted(self, name):
        """The method after all its iterations, fitted once for all tests: answering does not change it."""
        if name not in self._fitted:
            self._fitted[name] = self.fit(name)
        return self._fitted[name]

    def fit(self, name, **options):
        """The method after all its iterations, as the harness would bring it there."""
        method = self.method(name, **options)
        with self.ledger.phase("fit"):
            for iteration in range(1, method.iterations + 1):
                if iteration == 1:
                    answers = sample_rows(
                        method.policy, self.fit_prompts, 4, method.streams, "first", method.reward, self.layers
                    )
                    data = [c for a in answers for c in a.finalists]
                else:
                    data = method.rollout(iteration, self.fit_prompts, self.layers)
                method.fit(iteration, data)
        return method

    def answers(self, method, prompts=None):
        with self.ledger.phase("generate"):
            return method.generate(prompts or self.prompts)


@pytest.fixture(params=["toy", "tiny"], scope="module")
def world(request, toy, tiny):
    if request.param == "toy":
        return World(toy, TOY_SAMPLER, toy_prompts(6), toy_prompts(30), (1,))
    fit_prompts = [Prompt(f"f{i}", text=f"{'abcdefghijkl'[i]} day") for i in range(12)]
    return World(tiny, TINY_SAMPLER, tiny_prompts(), fit_prompts, (2, 3))


def tokens(answers):
    return [{pick: a.pick(pick).tokens for pick in a.picks} for a in answers]


@pytest.mark.parametrize("name", METHODS)
def test_one_answer_per_prompt_in_order_within_the_token_limit(world, name):
    answers = world.answers(world.fitted(name))
    assert [a.prompt for a in answers] == world.prompts
    for answer in answers:
        assert answer.picks.keys() == answer.work.keys() and answer.picks
        for candidate in answer.finalists:
            assert candidate.completion.prompt == answer.prompt
            assert 1 <= len(candidate.completion.tokens) <= world.sampler.max_new_tokens
            assert candidate.completion.stop is not None


@pytest.mark.parametrize("name", METHODS)
def test_order_and_company_of_prompts_do_not_matter(world, name):
    method = world.fitted(name)
    forward = tokens(world.answers(method))
    assert tokens(world.answers(method, world.prompts[::-1])) == forward[::-1]
    assert [tokens(world.answers(method, [p]))[0] for p in world.prompts] == forward


@pytest.mark.parametrize("name", METHODS)
def test_the_seed_decides(world, name):
    methods = world.fitted(name), world.fit(name, seed=0), world.fit(name, seed=1)
    one, again, other = (tokens(world.answers(method)) for method in methods)
    assert one == again
    assert (one == other) == (name == "base_greedy")  # which draws nothing


@pytest.mark.parametrize("name", METHODS)
def test_saved_and_loaded_it_answers_the_same(world, name, tmp_path):
    method = world.fitted(name)
    method.save(tmp_path)
    assert tokens(world.answers(world.method(name).load(tmp_path))) == tokens(world.answers(method))


@pytest.mark.parametrize("name", METHODS)
def test_an_affine_change_of_the_reward_changes_no_answer(world, name):
    plain = tokens(world.answers(world.fitted(name)))
    moved = world.fit(name, reward=lambda cs: 16 * letters(cs) + 2, scale=Scale(2.0, 16.0))
    assert tokens(world.answers(moved)) == plain


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_spent_outside_a_phase(world, name):
    method = world.fitted(name)
    with pytest.raises(RuntimeError, match="outside a phase"):
        method.generate(world.prompts)


@pytest.mark.parametrize("name", METHODS)
def test_work_per_answer_adds_up_to_the_ledger(world, name):
    method = world.fitted(name)
    world.ledger.drain()
    answers = world.answers(method)
    usage = {row["role"]: row for row in world.ledger.drain()}
    dearest = [max(a.work.values(), key=lambda w: w.reward_calls) for a in answers]
    policy = usage["policy"]
    assert sum(w.policy_tokens for w in dearest) == policy["tokens"] + policy["prefill_tokens"]
    assert sum(w.reward_calls for w in dearest) == usage.get("proxy", {}).get("sequences", 0)
    assert sum(w.value_calls for w in dearest) == usage.get("value", {}).get("sequences", 0)


@pytest.mark.parametrize("name", METHODS)
def test_frozen_weights_stay_as_they_were(tiny, name):
    before = {k: v.clone() for k, v in tiny.model.state_dict().items()}
    fit_prompts = [Prompt(f"f{i}", text=f"{'abcdefghijkl'[i]} day") for i in range(12)]
    world = World(tiny, TINY_SAMPLER, tiny_prompts(), fit_prompts, (2, 3))
    world.answers(world.fitted(name))
    assert all(torch.equal(before[k], v) for k, v in tiny.model.state_dict().items())


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_has_a_default_and_says_its_source(name):
    for field in fields(METHODS[name].Config):
        notes = [n for n in getattr(field.type, "__metadata__", ()) if getattr(n, "description", None)]
        assert notes, f"{name}.{field.name} has no description"
    METHODS[name].Config()
    assert METHODS[name].source
