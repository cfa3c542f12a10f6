"""A value function that is off by a known amount is found to be off by that amount, on the texts it is asked about."""

import numpy as np
import pytest
import torch

from harness.core.types import Candidate, Completion, PrefixStates, Prompt
from harness.core.values.calibration import calibration, held_out
from harness.core.values.hidden import Head, HiddenValue

LENGTH, EACH = 8, 10


def says(scale: float, offset: float) -> HiddenValue:
    """V = scale * (the only hidden unit) + offset."""
    head = Head(2, 1)
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        head.linear.weight[0, 0], head.linear.bias[0] = scale, offset
    return HiddenValue(head, 1, "last")


def texts(prompts: int, noise: float) -> list[Candidate]:
    """Rollouts whose hidden unit is their final reward, plus noise that shrinks to nothing at the end."""
    rng = np.random.default_rng(0)
    out = []
    for i in range(prompts):
        for _ in range(EACH):
            reward = rng.normal(i % 3)
            shrinking = np.linspace(noise, 0, LENGTH)
            states = (reward + shrinking * rng.normal(size=LENGTH)).astype(np.float32)[:, None, None]
            along = PrefixStates((1,), 4, np.zeros((1, 1)), np.zeros((1, 1)), states)
            completion = Completion(Prompt(f"p{i:03d}", text="x"), tuple(range(LENGTH)), "y", "length")
            out.append(Candidate(completion, reward=float(reward), states=along))
    return out


def test_bias_and_slope_are_those_planted():
    rows = {row["position"]: row for row in calibration(says(2.0, 0.5), texts(60, noise=1.0))}
    assert set(rows) == {0, 2, 4, 6, -1}
    rewards = np.array([c.reward for c in texts(60, noise=1.0)])
    end = rows[-1]
    assert end["n"] == 60 * EACH
    assert end["slope"] == pytest.approx(0.5, abs=1e-4)  # differences are worth half of what V says
    assert end["bias"] == pytest.approx(rewards.mean() + 0.5, abs=1e-4)
    assert end["r2"] == pytest.approx(1 - ((rewards + 0.5) ** 2).mean() / rewards.var(), abs=1e-4)
    assert end["within_prompt_correlation"] == pytest.approx(1.0, abs=1e-4)
    assert np.isnan(rows[0]["slope"])  # the prompts alone are all alike
    assert rows[2]["slope"] < rows[4]["slope"] < rows[6]["slope"] < 0.5  # noise makes differences worth less


def test_tenths_go_up_with_v_and_hold_all_texts():
    data = texts(60, noise=0.0)
    end = next(row for row in calibration(says(1.0, 0.0), data) if row["position"] < 0)
    assert end["predicted"] == pytest.approx(end["reward"], abs=1e-5) and end["predicted"] == sorted(end["predicted"])
    assert len(end["reward"]) == 10
    assert np.mean(end["reward"]) == pytest.approx(np.mean([c.reward for c in data]), abs=1e-5)


def test_what_is_held_out_owns_its_states():
    data = texts(20, noise=0.0)
    kept = held_out(
        [*data, Candidate(data[0].completion, reward=float("nan"), states=data[0].states)],
        {f"p{i:03d}" for i in range(0, 20, 5)},
    )
    assert {c.completion.prompt.id for c in kept} == {f"p{i:03d}" for i in range(0, 20, 5)}
    assert len(kept) == 4 * EACH and not any(np.isnan(c.reward) for c in kept)
    assert all(c.states.states.base is None for c in kept)
