"""Where a value is read: fitted on the toy, values must equal the enumerated ones, prefix by prefix."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from harness.core.errors import UserError
from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.core.values.fitting import Prefixes, ValueSettings, fit_value, split
from harness.core.values.hidden import Head, HiddenValue, prefix_features
from harness.tasks.toy import proxy_of
from tests.conftest import TOY_SAMPLER, tiny_prompts, toy_prompts


def rollouts(handle, ledger, prompts, samples, layers):
    reward = RewardHandle(lambda cs: np.array([proxy_of(c.text) for c in cs]), ledger, Scale(0, 1))
    parts = [prompts[i : i + 100] for i in range(0, len(prompts), 100)]  # as the harness does, in batches
    answers = [a for part in parts for a in sample_rows(handle, part, samples, Streams(0), "first", reward, layers)]
    return [c for a in answers for c in a.finalists]


@pytest.fixture(scope="module")
def fitted(toy):
    from harness.core.ledger import Ledger
    from harness.core.models.handle import PolicyHandle

    ledger = Ledger()
    with ledger.phase("fit"):
        data = rollouts(PolicyHandle(toy, TOY_SAMPLER, ledger), ledger, toy_prompts(2000), 8, (1,))
    settings = ValueSettings(poolings=("last",), stride=1, epochs=3)
    return fit_value(data, settings, np.random.default_rng(0))


@pytest.mark.slow
def test_fitted_values_equal_the_enumerated_ones(toy, fitted):
    """A node seen m times is known to about sd / sqrt(m); nodes of 1% of the mass or more to 0.2 here."""
    exact = toy.values(TOY_SAMPLER, lambda _, y: proxy_of(toy.text(y)))
    rows = torch.eye(toy.width)
    lengths = torch.tensor([len(y) for _, y in toy.nodes])
    inputs = torch.cat([rows, lengths.float().log1p()[:, None]], 1)
    with torch.no_grad():
        got = fitted.value.head(inputs).numpy()
    mass = np.array([prefix_mass(toy, topic, y) for topic, y in toy.nodes])
    often = mass > 0.01
    assert often.sum() > 50
    assert np.abs(got - exact)[often].max() < 0.2
    assert np.corrcoef(got[often], exact[often])[0, 1] > 0.995


def test_texts_of_the_same_weight_whatever_their_length(ledger, toy_handle):
    """Sequence weights: a text's prefixes share its weight; the fit minimises that mean, not the mean over prefixes."""
    data = rollouts(toy_handle, ledger, toy_prompts(200), 8, (1,))
    by_text = Prefixes.of(data, 1, "last", 1, "sequence")
    sums = np.bincount(by_text.rollout, by_text.weight.numpy())
    assert np.allclose(sums, sums[0]) and by_text.weight.mean() == pytest.approx(1.0, abs=1e-6)
    counts = np.bincount(by_text.rollout)
    assert len(set(counts)) > 1

    def error(weight, judged):
        fitted = fit_value(
            data, ValueSettings(poolings=("last",), stride=1, epochs=0, weight=weight), np.random.default_rng(0)
        )
        head = fitted.value.head
        with torch.no_grad():
            return float((judged.weight * (head(judged.x) - judged.y) ** 2).mean())

    train, _ = split(data, 0.2)
    per_text, per_prefix = (Prefixes.of(train, 1, "last", 1, weight) for weight in ("sequence", "token"))
    assert error("sequence", per_text) < error("token", per_text)
    assert error("token", per_prefix) < error("sequence", per_prefix)


def prefix_mass(toy, topic, prefix):
    return sum(p for y, p in finished_texts(toy, topic).items() if y[: len(prefix)] == prefix)


@cache
def finished_texts(toy, topic):
    return toy.finished_distribution(TOY_SAMPLER, topic)


def test_the_report_says_how_good_the_fit_is_by_position(fitted):
    rows = {row["position"]: row for row in fitted.report.rows}
    assert set(rows) == {0, 1, 2, 3, -1}
    r2 = [rows[t]["r2"] for t in (0, 1, 2, 3, -1)]
    assert r2 == sorted(r2)  # the later, the better known
    assert rows[-1]["r2"] > 0.95  # a finished text has one reward
    assert np.isnan(rows[0]["within_prompt_correlation"])  # a prompt alone cannot tell its samples apart


@pytest.mark.parametrize("pooling", ["last", "mean_all", "mean_response"])
def test_a_reader_sees_the_features_that_were_fitted(tiny, tiny_handle, pooling):
    """Followed through reordering, chunk by chunk, or computed at once from stored states: the same values."""
    layer, sizes = 3, {"last": 32, "mean_all": 32, "mean_response": 64}
    torch.manual_seed(0)
    head = Head(sizes[pooling] + 1, 8)
    value = HiddenValue(head, layer, pooling)
    rows = tiny_handle.decode(tiny_prompts(), 4, Streams(2), (layer,), record=True)
    reader = value.start(rows)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        got = reader.advance(rows.extend(3))
        for i, tokens in enumerate(rows.tokens_of()):
            x, lengths = prefix_features(rows.states_of(i), layer, pooling, 1)
            assert lengths[-1] == len(tokens)
            assert float(got[i]) == pytest.approx(float(head(x)[-1]), abs=2e-2)
        index = torch.cat([4 * p + torch.randint(4, (4,), generator=generator) for p in range(4)])
        rows.select(index, torch.arange(4).repeat(4))
        reader.reorder(index)


def test_a_saved_value_is_the_same_value(fitted, toy, tmp_path):
    fitted.value.save(tmp_path)
    again = HiddenValue.load(tmp_path)
    x = torch.randn(5, toy.width + 1)
    assert torch.equal(again.head(x), fitted.value.head(x))
    assert (again.layer, again.pooling) == (1, "last")


def test_rewards_of_nan_are_left_out_and_counted(toy_handle, ledger):
    data = rollouts(toy_handle, ledger, toy_prompts(40), 4, (1,))
    data[0] = replace(data[0], reward=float("nan"))
    report = fit_value(data, ValueSettings(poolings=("last",)), np.random.default_rng(0)).report
    assert report.choices["left_out_nan"] == 1
    assert report.choices["rollouts"] == 159


def test_too_few_prompts_are_refused(toy_handle, ledger):
    with pytest.raises(UserError, match="at least 5 prompts, not 4"):
        fit_value(rollouts(toy_handle, ledger, toy_prompts(4), 4, (1,)), ValueSettings(), np.random.default_rng(0))


def test_fitting_twice_gives_the_same_bytes(toy_handle, ledger):
    data = rollouts(toy_handle, ledger, toy_prompts(40), 4, (0, 1))
    one, two = (fit_value(data, ValueSettings(), np.random.default_rng(3)).value.head.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_correction_keeps_what_the_earlier_value_knew(toy, toy_handle, ledger, fitted):
    """The reward moves by 3 and only 40 prompts show it: prefixes hardly seen move along, unlike in a fresh fit."""
    few = [replace(c, reward=c.reward + 3) for c in rollouts(toy_handle, ledger, toy_prompts(40), 4, (1,))]
    settings = ValueSettings(poolings=("last",), stride=1, epochs=3)
    before = {name: tensor.clone() for name, tensor in fitted.value.head.state_dict().items()}
    exact = toy.values(TOY_SAMPLER, lambda _, y: proxy_of(toy.text(y))) + 3
    lengths = torch.tensor([len(y) for _, y in toy.nodes])
    inputs = torch.cat([torch.eye(toy.width), lengths.float().log1p()[:, None]], 1)
    errors = [
        np.mean((fit_value(few, settings, np.random.default_rng(0), start).value.head(inputs).numpy() - exact) ** 2)
        for start in (fitted.value, None)
    ]
    assert errors[0] < 0.5 * errors[1]
    after = fitted.value.head.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_constant_reward_of_the_held_out_prompts_is_named(toy_handle, ledger):
    data = [replace(c, reward=1.0) for c in rollouts(toy_handle, ledger, toy_prompts(20), 2, (1,))]
    with pytest.raises(UserError, match="held-out fit prompts have the reward 1"):
        fit_value(data, ValueSettings(), np.random.default_rng(0))
