import numpy as np
import pytest
import torch

from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.core.values.bootstrap import BootstrapSettings
from harness.core.values.fitting import ValueSettings
from harness.methods.base import Base
from harness.methods.controlled_decoding import ControlledDecoding
from harness.methods.iro import Iro
from harness.tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER, chi_square, toy_prompts
from tests.core.values.test_value import prefix_mass
from tests.table_value import TableValue

VALUE = ValueSettings(poolings=("last",), stride=1, epochs=3)


def reward(ledger):
    return RewardHandle(lambda cs: np.array([proxy_of(c.text) for c in cs]), ledger, Scale(0, 1))


def fitted(handle, ledger, method, prompts=100, samples=8, **settings):
    made = method(method.Config(**settings), handle, reward(ledger), Streams(0))
    answers = sample_rows(handle, toy_prompts(prompts), samples, Streams(0), "first", made.reward, (1,))
    made.fit(1, [c for a in answers for c in a.finalists])
    return made


def picked(method, prompts, pick):
    return [a.pick(pick).tokens for a in method.generate(prompts)]


def test_block_wise_fudge_is_iro_of_one_iteration_and_width_one(toy_handle, ledger):
    block = fitted(toy_handle, ledger, ControlledDecoding, mode="block", successors=3, chunk=2)
    iro = fitted(toy_handle, ledger, Iro, iterations=1, width=1, successors=3, chunk=2)
    assert picked(block, toy_prompts(30), "value") == picked(iro, toy_prompts(30), "value")


def test_strength_zero_over_the_whole_support_is_base(toy_handle, ledger):
    plain = fitted(toy_handle, ledger, ControlledDecoding, strength=0)
    base = Base(Base.Config(), toy_handle, reward(ledger), plain.streams)
    assert picked(plain, toy_prompts(40), "first") == picked(base, toy_prompts(40), "first")


def test_with_exact_values_it_samples_the_per_token_tilt(toy, toy_handle, ledger):
    """Chi-square over finished texts of prod_t pi(z) exp(1.5 V(y, z)) / Z(y); a false alarm once in 10,000 seeds."""
    values = toy.values(TOY_SAMPLER, lambda _, y: proxy_of(toy.text(y)))
    method = ControlledDecoding(ControlledDecoding.Config(strength=1.5), toy_handle, reward(ledger), Streams(0))
    method._value = TableValue(values)
    exact, open_nodes = {}, [((), 1.0)]
    while open_nodes:
        prefix, mass = open_nodes.pop()
        if toy.is_finished(prefix):
            exact[prefix] = mass
            continue
        own = prefix_mass(toy, 0, prefix)
        step = [prefix_mass(toy, 0, (*prefix, z)) / own for z in range(4)]
        weights = np.array(step) * np.exp([1.5 * values[toy.index[0, (*prefix, z)]] for z in range(4)])
        open_nodes += [((*prefix, z), mass * w) for z, w in enumerate(weights / weights.sum())]
    drawn = picked(method, toy_prompts(4000, topic=0), "first")
    counts = np.array([drawn.count(y) for y in exact])
    assert counts.sum() == 4000
    assert chi_square(counts, 4000 * np.array(list(exact.values()))) > 1e-4


@pytest.mark.slow
def test_bootstrapped_and_regressed_values_agree_with_the_enumerated_ones(toy, toy_handle, ledger):
    """On prefixes of 2% of the mass or more: each within 0.3, and within 0.3 of each other."""
    exact = toy.values(TOY_SAMPLER, lambda _, y: proxy_of(toy.text(y)))
    lengths = torch.tensor([len(y) for _, y in toy.nodes])
    inputs = torch.cat([torch.eye(toy.width), lengths.float().log1p()[:, None]], 1)
    often = np.array([prefix_mass(toy, topic, y) for topic, y in toy.nodes]) > 0.02
    values = []
    for objective in ("fudge", "q"):
        method = fitted(
            toy_handle, ledger, ControlledDecoding, prompts=500, objective=objective, value=VALUE,
            q=BootstrapSettings(prompts=400, draws=8),
        )  # fmt: skip
        values.append(method.value.head(inputs).numpy())
    fudge, q = values
    assert often.sum() > 25
    assert np.abs(fudge - exact)[often].max() < 0.3
    assert np.abs(q - exact)[often].max() < 0.3
    assert np.abs(q - fudge)[often].max() < 0.3


def test_reading_candidates_is_charged(toy_handle, ledger):
    method = fitted(toy_handle, ledger, ControlledDecoding, candidates=2)
    for answer in method.generate(toy_prompts(6)):
        work, length = answer.work["first"], len(answer.pick("first").tokens)
        assert work.value_calls == 2 * length
        assert work.policy_tokens == 1 + length + 2 * length  # the toy has one block, and the value reads it


@pytest.mark.parametrize("candidates", [1, 2])
def test_only_the_most_probable_candidates_are_drawn(toy, toy_handle, ledger, candidates):
    method = fitted(toy_handle, ledger, ControlledDecoding, candidates=candidates)
    for answer in method.generate(toy_prompts(20)):
        topic, tokens = int(answer.prompt.text[-1]), answer.pick("first").tokens
        for t, token in enumerate(tokens):
            masses = [prefix_mass(toy, topic, (*tokens[:t], z)) for z in range(4)]
            assert sorted(masses, reverse=True).index(masses[token]) < candidates
