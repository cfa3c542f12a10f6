import numpy as np
import pytest

from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.methods.base import Base
from harness.methods.iro import Iro, reweighted
from harness.tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER, toy_prompts


def reward(ledger):
    return RewardHandle(lambda cs: np.array([proxy_of(c.text) for c in cs]), ledger, Scale(0, 1))


def fitted(handle, ledger, prompts=200, **settings):
    method = Iro(Iro.Config(width=2, successors=2, chunk=1, **settings), handle, reward(ledger), Streams(0))
    for iteration in range(1, method.iterations + 1):
        if iteration == 1:
            answers = sample_rows(handle, toy_prompts(prompts), 8, Streams(0), "first", method.reward, (1,))
            method.fit(1, [c for a in answers for c in a.finalists])
        else:
            method.fit(iteration, method.rollout(iteration, toy_prompts(prompts), (1,)))
    return method


@pytest.fixture(scope="module")
def first_value(toy):
    """The value of iteration 1 on 200 prompts: no setting of the tests that take it touches its fit."""
    ledger = Ledger()
    with ledger.phase("fit"):
        return fitted(PolicyHandle(toy, TOY_SAMPLER, ledger), ledger, iterations=1).values[0]


@pytest.fixture
def after_one(toy_handle, ledger, first_value):
    """A method after its first iteration, with the given settings."""

    def make(**settings):
        config = Iro.Config(width=2, successors=2, chunk=1, iterations=1, **settings)
        assert Iro.fit_config(config, 1) == Iro.fit_config(Iro.Config(width=2, successors=2, chunk=1, iterations=1), 1)
        method = Iro(config, toy_handle, reward(ledger), Streams(0))
        method.values = [first_value]
        return method

    return make


def test_zero_iterations_picked_first_is_base(toy_handle, ledger):
    iro = Iro(Iro.Config(iterations=0), toy_handle, reward(ledger), Streams(3)).generate(toy_prompts(30))
    base = Base(Base.Config(), toy_handle, reward(ledger), Streams(3)).generate(toy_prompts(30))
    assert [a.pick("first").tokens for a in iro] == [a.pick("first").tokens for a in base]


def test_one_iteration_raises_the_reward_far_above_base(after_one, toy_handle, ledger):
    """Guided by a fitted value, without asking the reward: 300 prompts, more than five standard errors."""
    method = after_one()
    gain = [
        proxy_of(g.pick("value").text) - proxy_of(b.pick("first").text)
        for g, b in zip(
            method.generate(toy_prompts(300)),
            Base(Base.Config(), toy_handle, reward(ledger), Streams(0)).generate(toy_prompts(300)),
            strict=True,
        )
    ]
    assert np.mean(gain) > 5 * np.std(gain) / np.sqrt(300)


@pytest.mark.parametrize("keep, at_most", [("argmax", 1), ("random", 1), ("all", 2), ("rows", 4)])
def test_keep_decides_what_a_search_leaves_as_training_data(after_one, keep, at_most):
    method = after_one(keep=keep)
    kept = method.rollout(2, toy_prompts(40), (1,))
    by_prompt = {}
    for candidate in kept:
        by_prompt.setdefault(candidate.completion.prompt.id, []).append(candidate)
    assert len(by_prompt) == 40
    assert max(map(len, by_prompt.values())) == at_most
    for candidates in by_prompt.values():
        assert len({c.completion.tokens for c in candidates}) == len(candidates)
        assert all(c.states is not None and not np.isnan(c.reward) for c in candidates)
    if keep == "argmax":
        answers = method.generate(toy_prompts(40))
        assert [c.completion.tokens for c in kept] == [a.pick("reward").tokens for a in answers]


def test_training_searches_may_be_wider_than_those_at_test_time(toy_handle, ledger):
    wide = fitted(toy_handle, ledger, prompts=40, iterations=2, keep="rows")
    narrow = Iro(
        Iro.Config(1, 3, 1, rollout_width=2, rollout_successors=2, keep="rows"), toy_handle, reward(ledger), Streams(0)
    )
    narrow.values = wide.values
    assert Iro.fit_config(narrow.config, 3) == Iro.fit_config(wide.config, 3)
    rollouts = [[c.completion for c in m.rollout(3, toy_prompts(20), (1,))] for m in (wide, narrow)]
    assert rollouts[0] == rollouts[1]
    assert {len(a.finalists) for a in narrow.generate(toy_prompts(20))} <= {1, 3}


def test_only_ratios_of_betas_matter_to_top(toy_handle, ledger):
    one = fitted(toy_handle, ledger, prompts=40, iterations=2, beta=(1.0, 2.0)).generate(toy_prompts(30))
    two = fitted(toy_handle, ledger, prompts=40, iterations=2, beta=(3.0, 6.0)).generate(toy_prompts(30))
    assert [a.pick("value").tokens for a in one] == [a.pick("value").tokens for a in two]


def test_fits_are_shared_by_settings_that_do_not_touch_them():
    plain = Iro.Config(beta=(1.0, 2.0))
    assert Iro.fit_config(Iro.Config(chunk=4, keep="all", beta=(3.0,), width=2), 1) == Iro.fit_config(plain, 1)
    assert Iro.fit_config(Iro.Config(beta=(2.0, 8.0)), 2) == Iro.fit_config(plain, 2)  # one value: no ratio
    assert Iro.fit_config(Iro.Config(beta=(2.0, 8.0)), 3) != Iro.fit_config(plain, 3)
    assert Iro.fit_config(Iro.Config(beta=(2.0, 4.0)), 3) == Iro.fit_config(plain, 3)
    assert Iro.fit_config(Iro.Config(beta=(2.0, 4.0), select="resample"), 3) != Iro.fit_config(
        Iro.Config(beta=(1.0, 2.0), select="resample"), 3
    )


def test_answers_are_shared_by_settings_that_only_shape_later_fits():
    plain = Iro.Config(beta=(1.0, 2.0))
    for same in (
        Iro.Config(keep="all", beta=(2.0, 4.0)), Iro.Config(iterations=1, beta=(1.0, 2.0), rollout_width=2)
    ):  # fmt: skip
        assert Iro.answer_config(same, 2) == Iro.answer_config(plain, 2)
    assert Iro.answer_config(Iro.Config(beta=(1.0, 9.0)), 1) == Iro.answer_config(plain, 1)
    assert Iro.answer_config(Iro.Config(beta=(1.0, 9.0)), 2) != Iro.answer_config(plain, 2)
    for other in ({"chunk": 4}, {"width": 2}, {"successors": 2}, {"select": "resample"}, {"diversity": False}):
        assert Iro.answer_config(Iro.Config(beta=(1.0, 2.0), **other), 2) != Iro.answer_config(plain, 2)


def test_reweighted_base_samples_follow_the_tilt(after_one):
    """Without a search: base samples, drawn by exp(S). S is raised, and 8 of 64 draws keep within Monte-Carlo error of
    the mean S under the weights: false alarm below 1e-6 at five standard errors."""
    method = after_one(keep="reweight", rollout_width=8, rollout_successors=8)
    samples = method.rollout(2, toy_prompts(50), (1,))
    assert len(samples) == 50 * 64 and all(c.states is not None for c in samples)
    scores = np.array([c.score for c in samples]).reshape(50, 64)
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    drawn = reweighted(samples, 8, Streams(0))
    got = np.array([c.score for c in drawn.candidates]).reshape(50, 8)
    expected = (weights * scores).sum(1)
    spread = np.sqrt(((weights * scores**2).sum(1) - expected**2).mean() / got.size)
    assert abs(got.mean() - expected.mean()) < 5 * spread
    assert got.mean() > scores.mean() + 5 * spread
    assert drawn.effective_samples == pytest.approx((1 / (weights**2).sum(1)).mean())
    report = method.fit(2, samples)
    assert report.choices["effective_samples"] == drawn.effective_samples
    assert report.choices["rollouts"] == 50 * 8


def test_later_values_are_fitted_on_the_guided_distribution(toy, after_one):
    """Rollouts of iteration 2 follow V_1: they are worth more than base samples."""
    method = after_one()
    guided = np.mean([c.reward for c in method.rollout(2, toy_prompts(100), (1,))])
    values = toy.values(TOY_SAMPLER, lambda _, y: proxy_of(toy.text(y)))
    base = np.mean([values[toy.index[topic, ()]] for topic in range(2)])
    assert guided > base + 0.5
