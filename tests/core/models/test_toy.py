import pytest

from harness.tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER


def reward(toy):
    return lambda topic, tokens: proxy_of(toy.text(tokens))


def test_finished_texts_have_probability_one_in_all(toy):
    for topic in range(toy.topics):
        assert sum(toy.finished_distribution(TOY_SAMPLER, topic).values()) == pytest.approx(1, abs=1e-6)


def test_the_root_value_is_the_mean_reward_over_all_texts(toy):
    values = toy.values(TOY_SAMPLER, reward(toy))
    for topic in range(toy.topics):
        mean = sum(p * proxy_of(toy.text(y)) for y, p in toy.finished_distribution(TOY_SAMPLER, topic).items())
        assert values[toy.index[topic, ()]] == pytest.approx(mean, abs=1e-5)


def test_the_tilt_moves_mass_by_the_exponential_of_the_score(toy):
    base = toy.finished_distribution(TOY_SAMPLER, 0)
    tilted = toy.tilted_distribution(TOY_SAMPLER, 0, lambda y: proxy_of(toy.text(y)))
    good, bad = (1, 1, 1, 1), (2, 2, 2, 2)
    assert tilted[good] / tilted[bad] == pytest.approx(base[good] / base[bad] * 2.718281828**8, rel=1e-5)
    assert sum(tilted.values()) == pytest.approx(1)
