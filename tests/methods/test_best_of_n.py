import numpy as np
import pytest

from harness.core.reward import RewardHandle, Scale
from harness.core.streams import Streams
from methods.base import Base
from methods.best_of_n import BestOfN
from tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER, toy_prompts


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
