"""How far a value function of any kind can be believed, on held-out rollouts of its own or of another search.

quality(value, held)          # what a fit reports: R^2 and ranking by position
calibration(value, held)      # bias, slope, and V against the reward in tenths of the prefixes
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.core.statistics.stats import correlation, r_squared, rank_correlation
from harness.core.types import Candidate, length_of
from harness.core.values.value import PrefixValue

_GROUPS = 10
FINISHED = -1  # the position of finished texts, whatever their length


@dataclass(frozen=True)
class AtPosition:
    """What a value function said of prefixes of one length, and what came of them, (n,) each."""

    position: int
    predicted: np.ndarray
    reward: np.ndarray
    prompt: np.ndarray


def by_position(value: PrefixValue, rollouts: Sequence[Candidate]) -> Iterator[AtPosition]:
    """At four lengths from 0 on, and at the end; lengths that fewer than three rollouts have are left out."""
    lengths = np.array([length_of(c.completion) for c in rollouts])
    longest = int(lengths.max())
    every = max(1, longest // 4)
    found = value.predict(rollouts, every)
    rewards = np.array([c.reward for c in rollouts], dtype=np.float32)[found.rollout]
    prompts = np.array([c.completion.prompt.id for c in rollouts])[found.rollout]
    end = lengths[found.rollout]
    for position in [*range(0, longest, every), FINISHED]:
        these = found.position == (end if position == FINISHED else position)
        if these.sum() >= 3:
            yield AtPosition(position, found.value[these], rewards[these], prompts[these])


def quality(value: PrefixValue, held: Sequence[Candidate]) -> list[dict[str, Any]]:
    """R^2, rank and within-prompt correlation with the final reward, by position; position -1 is the finished text."""
    return [
        {
            "position": at.position,
            "n": len(at.reward),
            "r2": r_squared(at.predicted, at.reward),
            "rank_correlation": rank_correlation(at.predicted, at.reward),
            "within_prompt_correlation": correlation(at.predicted, at.reward, at.prompt),
        }
        for at in by_position(value, held)
    ]


def held_out(rollouts: Sequence[Candidate], prompts: Collection[str]) -> list[Candidate]:
    """The rewarded rollouts of some prompts, as copies: small enough to keep after the rollouts have gone."""
    kept = [c for c in rollouts if c.completion.prompt.id in prompts and not np.isnan(c.reward)]
    return [
        c if c.states is None else replace(c, states=replace(c.states, states=c.states.states.copy())) for c in kept
    ]


def calibration(value: PrefixValue, rollouts: Sequence[Candidate]) -> list[dict[str, Any]]:
    """R^2, ranking within prompts, bias and slope of V against the final reward, by position (-1: finished texts).

    bias is mean V - mean reward, in sd of the proxy; slope is that of reward on V, 1 where differences of V are worth
    what they say, nan where V says the same of all. `predicted` and `reward` are means of tenths of the prefixes by V.
    """
    rows = []
    for at in by_position(value, rollouts):
        order = np.argsort(at.predicted, kind="stable")
        tenths = [part for part in np.array_split(order, _GROUPS) if len(part)]
        spread = np.var(at.predicted)
        rows.append(
            {
                "position": at.position,
                "n": len(at.reward),
                "r2": r_squared(at.predicted, at.reward),
                "within_prompt_correlation": correlation(at.predicted, at.reward, at.prompt),
                "bias": float(np.mean(at.predicted) - np.mean(at.reward)),
                "slope": float(np.mean((at.predicted - at.predicted.mean()) * at.reward) / spread)
                if spread > 1e-12
                else float("nan"),
                "predicted": [float(at.predicted[part].mean()) for part in tenths],
                "reward": [float(at.reward[part].mean()) for part in tenths],
            }
        )
    return rows
