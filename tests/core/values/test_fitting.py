"""What a fit has never seen vary says nothing, and throws no prefix far."""

import numpy as np
import pytest
import torch

from harness.core.types import Candidate, Completion, PrefixStates, Prompt
from harness.core.values.fitting import ValueSettings, fit_value, untrained
from harness.core.values.hidden import Pooling

LENGTH = 6


def rollout(prompt: str, rng: np.random.Generator, habit: float, prompt_habit: float) -> Candidate:
    """A text whose reward is what its first state said all along; the second is the same at every token."""
    reward = rng.normal()
    states = np.array([[[reward, habit]]] * LENGTH, dtype=np.float32)
    about = np.array([[0.0, prompt_habit]], dtype=np.float32)
    completion = Completion(Prompt(prompt, text="x"), tuple(range(LENGTH)), "y", "length")
    return Candidate(completion, reward=float(reward), states=PrefixStates((1,), 4, about, about, states))


@pytest.mark.parametrize("pooling", ["last", "mean_all", "mean_response"])
@pytest.mark.parametrize("size", [0.0, 1.0, 300.0])
def test_a_feature_that_was_constant_in_a_fit_moves_no_value(pooling: Pooling, size: float):
    """It was divided by 1e-6: the error was 346 instead of 0.02 where such a feature took another value."""
    rng = np.random.default_rng(0)
    seen = [rollout(f"p{i // 4:03d}", rng, size, size) for i in range(240)]
    others = [rollout(f"q{i:03d}", rng, size + 1.0, size - 2.0) for i in range(50)]
    settings = ValueSettings(poolings=(pooling,), stride=1, epochs=5)
    value = fit_value(seen, settings, np.random.default_rng(1)).value
    errors = []
    for part in (seen[:50], others):
        found = value.predict(part)
        late = found.position == LENGTH
        errors.append(np.sqrt(np.mean((found.value[late] - [c.reward for c in part]) ** 2)))
    assert errors[0] < 0.3
    assert errors[1] == pytest.approx(errors[0], abs=0.1)


def test_features_are_standardised_and_constant_ones_are_standard_0():
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1e-3, 0.0, 0.0])
    x += torch.tensor([0.0, 5.0, 7.0, 1e4])
    head = untrained(x, ValueSettings(hidden=8))
    standard = (x - head.mean) / head.scale
    assert standard.std(0)[:2].tolist() == pytest.approx([1.0, 1.0], abs=1e-3)
    assert standard[:, 2:].abs().max() < 1e-2 and head.scale[2:].tolist() == [1.0, 1.0]
    weight = head.network[1].get_parameter("weight")
    assert weight[:, 2:].abs().max() == 0 and weight[:, :2].abs().max() > 0
