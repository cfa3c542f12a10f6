"""An average of heads: what it is made of, that it reads as it predicts, and that one head alone is what it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.core.errors import UserError
from harness.core.streams import Streams
from harness.core.values.ensemble import AveragedValue, fit_averaged
from harness.core.values.fitting import ValueSettings, fit_value, split
from harness.core.values.stored import load_value
from harness.methods import METHODS
from tests.conftest import toy_prompts
from tests.core.values.test_value import rollouts

SETTINGS = ValueSettings(epochs=2, hidden=8)


@pytest.fixture
def data(toy_handle, ledger):
    return rollouts(toy_handle, ledger, toy_prompts(30), 6, (1,))


@pytest.fixture
def averaged(data):
    return fit_averaged(data, replace(SETTINGS, ensemble=3), np.random.default_rng(0))


def test_one_head_is_what_it_was(data):
    alone = fit_averaged(data, SETTINGS, np.random.default_rng(0))
    plain = fit_value(data, SETTINGS, np.random.default_rng(0))
    one, other = alone.value.head.state_dict(), plain.value.head.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert alone.report.choices == plain.report.choices and alone.report.held_out == plain.report.held_out


def test_the_first_of_several_is_that_head_and_what_it_held_out_no_other_saw(data, averaged):
    plain = fit_value(data, SETTINGS, np.random.default_rng(0))
    first, *others = averaged.value.members
    assert torch.equal(first.head.linear.weight, plain.value.head.linear.weight) and len(others) == 2
    assert averaged.report.held_out == plain.report.held_out
    assert not torch.equal(others[0].head.linear.weight, others[1].head.linear.weight)


def test_it_is_never_worse_than_its_members_on_average(data, averaged):
    """Squared error is convex, so this holds of any average; it would not of a sum, or of another one's predictions."""
    held = [c for c in data if c.completion.prompt.id in averaged.report.held_out]
    errors = []
    for value in (averaged.value, *averaged.value.members):
        said = value.predict(held)
        reward = np.array([c.reward for c in held])[said.rollout]
        errors.append(np.mean((said.value - reward) ** 2))
    assert errors[0] < np.mean(errors[1:])


def test_read_along_rows_it_says_what_it_predicts_and_what_was_saved_says_the_same(averaged, toy_handle, tmp_path):
    averaged.value.save(tmp_path)
    loaded = load_value(tmp_path, toy_handle)
    assert isinstance(loaded, AveragedValue) and loaded.layers == averaged.value.layers
    rows = toy_handle.decode(toy_prompts(4), 3, Streams(1), averaged.value.layers, record=True)
    readers = [value.start(rows) for value in (averaged.value, loaded, *averaged.value.members)]
    for _ in range(2):
        chunk = rows.extend(1)
        average, again, *members = (reader.advance(chunk) for reader in readers)
        assert torch.allclose(average, torch.stack(members).mean(0)) and torch.equal(average, again)
        index = torch.tensor([0, 0, 1, 3, 5, 4, 6, 7, 8, 9, 9, 9])
        rows.select(index, torch.arange(3).repeat(4))
        for reader in readers:
            reader.reorder(index)
    assert averaged.value.flops() == sum(member.flops() for member in averaged.value.members)


def test_folds_hold_out_every_prompt_once(data):
    held = [{c.completion.prompt.id for c in split(data, 0.2, fold)[1]} for fold in range(5)]
    assert set.union(*held) == {c.completion.prompt.id for c in data}
    assert sum(map(len, held)) == 30 and split(data, 0.2, 5) == split(data, 0.2)


@pytest.mark.parametrize("name, settings, said", [
    ("iro", {"warm_start": True}, "iro.value.ensemble=2 and iro.warm_start=true"),
    ("controlled_decoding", {"objective": "q"}, "controlled_decoding.value.ensemble=2: CD-Q"),
])  # fmt: skip
def test_what_goes_on_from_a_single_head_refuses_an_average(data, toy_handle, name, settings, said):
    kind = METHODS[name]
    config = kind.Config(value=replace(SETTINGS, ensemble=2), **settings)
    with pytest.raises(UserError, match=said):
        kind(config, toy_handle, None, Streams(0)).fit(1, data)


def test_tokens_are_valued_by_an_average(data, toy_handle):
    kind = METHODS["controlled_decoding"]
    method = kind(kind.Config(value=replace(SETTINGS, ensemble=2)), toy_handle, None, Streams(0))
    method.fit(1, data)
    assert len(method.generate(toy_prompts(3))) == 3 and isinstance(method.value, AveragedValue)
