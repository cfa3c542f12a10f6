"""Rewards as methods see them: checked, metered and standardised.

All rewards and values are in standard deviations of the proxy on iteration 1's base samples, so that beta, ARGS's
weight and CARDS's threshold mean the same for every reward, and r -> a * r + b (a > 0) changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.core.errors import UserError
from harness.core.ledger import Ledger, Role
from harness.core.types import Completion, Scorer


def checked(name: str, scorer: Scorer, completions: Sequence[Completion]) -> np.ndarray:
    """Score and verify, see `verified`; without completions the scorer is not asked."""
    return verified(name, scorer(completions), completions) if completions else np.zeros(0, dtype=np.float32)


def verified(name: str, scores: np.ndarray, completions: Sequence[Completion]) -> np.ndarray:
    """Scores as (n,) float32 with infinities turned to NaN. Raises UserError for a wrong length."""
    scores = np.asarray(scores, dtype=np.float32)
    if scores.shape != (len(completions),):
        raise UserError(
            f"{name} returned shape {scores.shape} for {len(completions)} completions; it must return one number each"
        )
    return np.where(np.isfinite(scores), scores, np.nan).astype(np.float32)


def require_some(name: str, scores: np.ndarray, completions: Sequence[Completion]) -> None:
    """Raise UserError where none of all completions of a stage has a score; a single batch may have none."""
    if np.isnan(scores).all():
        raise UserError(
            f"{name} returned no finite score for any of {len(completions)} completions, e.g. "
            f"{completions[0].text[:80]!r}; mend it and run the same command again"
        )


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation that turn raw scores into standard deviations of base samples."""

    mean: float
    sd: float

    @classmethod
    def of(cls, name: str, scores: np.ndarray) -> "Scale":
        """From the scores of base samples, NaN left out. Raises UserError for a constant score."""
        mean, sd = float(np.nanmean(scores)), float(np.nanstd(scores))
        if not sd > 0:
            raise UserError(f"{name} gives {mean:g} to all {len(scores)} base samples: there is nothing to optimise")
        return cls(mean, sd)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return ((scores - self.mean) / self.sd).astype(np.float32)


class RewardHandle:
    """A scorer as methods hold it: completions -> (n,) standardised float32, NaN where it could not be computed.

    It spends for itself: every completion is booked on the ledger's open phase.
    """

    def __init__(self, scorer: Scorer, ledger: Ledger, scale: Scale, role: Role = "proxy") -> None:
        self.__scorer, self.__ledger, self.__scale, self.__role = scorer, ledger, scale, role

    def __call__(self, completions: Sequence[Completion]) -> np.ndarray:
        with self.__ledger.timed(self.__role, calls=1, sequences=len(completions)):
            scores = checked(self.__role, self.__scorer, completions)
        return self.__scale.apply(scores)


def argmax(scores: np.ndarray) -> int:
    """Index of the best score; NaN never wins; the first where all are NaN or several tie."""
    return int(np.argmax(np.where(np.isnan(scores), -np.inf, scores)))
