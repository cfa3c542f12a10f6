import numpy as np
import pytest

from harness.core.reward import RewardHandle, Scale
from harness.core.streams import Streams
from harness.methods.base import Base
from harness.methods.best_of_n import BestOfN
from harness.tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER, chi_square, toy_prompts


def handle(ledger):
    return RewardHandle(lambda cs: np.array([proxy_of(c.text) for c in cs]), ledger, Scale(0, 1))


def test_best_of_one_is_base(toy_handle, ledger):
    prompts = toy_prompts(20)
    base = Base(Base.Config(), toy_handle, handle(ledger), Streams(5)).generate(prompts)
    best = BestOfN(BestOfN.Config(n=1), toy_handle, handle(ledger), Streams(5)).generate(prompts)
    assert [a.pick("first").tokens for a in base] == [a.pick("reward").tokens for a in best]


def test_its_mean_reward_equals_the_enumerated_expectation(toy, toy_handle, ledger):
    """E max of 4 from the exact distribution; 2,000 prompts, five standard errors: a false alarm in two million."""
    texts = toy.finished_distribution(TOY_SAMPLER, 0)
    levels = sorted({proxy_of(toy.text(y)) for y in texts})
    below = [sum(p for y, p in texts.items() if proxy_of(toy.text(y)) <= level) for level in levels]
    best = np.diff([0.0, *[b**4 for b in below]])
    expected = float(np.dot(best, levels))
    sd = float(np.sqrt(np.dot(best, (np.array(levels) - expected) ** 2)))
    answers = BestOfN(BestOfN.Config(n=4), toy_handle, handle(ledger), Streams(0)).generate(toy_prompts(2000, topic=0))
    got = np.mean([proxy_of(a.pick("reward").text) for a in answers])
    assert got == pytest.approx(expected, abs=5 * sd / np.sqrt(2000))


def pool_and_picks(toy_handle, ledger, tau, prompts):
    answers = BestOfN(BestOfN.Config(n=4, tau=tau), toy_handle, handle(ledger), Streams(1)).generate(prompts)
    return [tuple(c.completion.tokens for c in a.finalists) for a in answers], [a.picks["reward"] for a in answers]


def test_softness_near_zero_is_the_best_and_changes_no_sample(toy, toy_handle, ledger):
    hard, soft = (pool_and_picks(toy_handle, ledger, tau, toy_prompts(50)) for tau in (0.0, 1e-6))
    assert hard[0] == soft[0]
    rewards = [[proxy_of(toy.text(t)) for t in pool] for pool in hard[0]]
    assert [r[i] for r, i in zip(rewards, hard[1], strict=True)] == [
        r[i] for r, i in zip(rewards, soft[1], strict=True)
    ]


def test_great_softness_picks_uniformly_from_the_pool(toy_handle, ledger):
    """Chi-square over four places; a correct method fails once in 10,000 seeds."""
    _, picks = pool_and_picks(toy_handle, ledger, 1e6, toy_prompts(2000))
    assert chi_square(np.bincount(picks, minlength=4), np.full(4, 500.0)) > 1e-4


def test_a_soft_pick_follows_the_rewards_of_its_pool(toy, toy_handle, ledger):
    """Mean reward of soft picks against sum_i softmax(r / tau)_i r_i of the same pools: five standard errors."""
    pools, picks = pool_and_picks(toy_handle, ledger, 0.5, toy_prompts(2000))
    rewards = np.array([[proxy_of(toy.text(t)) for t in pool] for pool in pools])
    weights = np.exp(rewards / 0.5) / np.exp(rewards / 0.5).sum(1, keepdims=True)
    got = rewards[np.arange(2000), picks] - (weights * rewards).sum(1)
    assert abs(got.mean()) < 5 * got.std() / np.sqrt(2000)


def test_the_kl_bound_holds_exactly_for_two_samples(toy):
    """KL(best-of-2 || base) of the enumerated texts of one topic stays below log 2 - 1/2."""
    texts = toy.finished_distribution(TOY_SAMPLER, 0)
    order = sorted(texts, key=lambda y: (proxy_of(toy.text(y)), y))
    below = np.cumsum([texts[y] for y in order])
    best = np.diff([0.0, *below**2])
    kl = float(np.sum(best * np.log(best / np.array([texts[y] for y in order]))))
    assert 0.1 < kl <= BestOfN.kl_bound(BestOfN.Config(n=2), TOY_SAMPLER) == pytest.approx(np.log(2) - 0.5)
