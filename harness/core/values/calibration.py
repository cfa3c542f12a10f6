"""How far a value function can be believed on texts that it was not fitted on, its own or those of another search."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.core.statistics.stats import correlation, r_squared
from harness.core.types import Candidate
from harness.core.values.fitting import predictions, split
from harness.core.values.hidden import HiddenValue

_GROUPS = 10


def held_out(rollouts: Sequence[Candidate], share: float) -> list[Candidate]:
    """What a fit on these rollouts holds out, as copies: small enough to keep after the rollouts have gone."""
    held = split(rollouts, share)[1]
    return [replace(c, states=replace(c.states, states=c.states.states.copy())) for c in held]


def calibration(value: HiddenValue, rollouts: Sequence[Candidate]) -> list[dict[str, Any]]:
    """R^2, ranking within prompts, bias and slope of V against the final reward, by position (-1: finished texts).

    bias is mean V - mean reward, in sd of the proxy; slope is that of reward on V, 1 where differences of V are worth
    what they say, nan where V says the same of all. `predicted` and `reward` are means of tenths of the prefixes by V.
    """
    rows = []
    for at in predictions(value, rollouts):
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
