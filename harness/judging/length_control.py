"""The win rate two sides would have if their answers were equally long, and whether that may be believed.

rate = length_controlled([1.0, 0.0, 0.5, ...], [212, 90, ...], [180, 95, ...])
rate.value, rate.low, rate.high, rate.n, rate.warning        # warning: empty where nothing speaks against it
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.core.statistics.stats import Clusters, Floats, Values
from harness.evidence.row import Warned

REFITS = 200
_SEED = 20250618
_LEAST_CHANGE = 0.1  # of a rate; the two numbers of AlpacaEval's own check (`get_is_extreme_changes`)
_LARGEST_PART = 0.25
_NEAR, _FEW = 0.5, 0.05  # ours: few is under a twentieth of the prompts within half a sd of equal length


@dataclass(frozen=True)
class Prior:
    """A normal prior on phi, the log-odds that a judge gives to the longer answer as tanh goes from 0 to 1."""

    mean: float
    sd: float


# Mean and sd of phi over the 184 fits that AlpacaEval publishes (weights of length_controlled_v1, its GPT-4 judge)
CHAT_MODELS = Prior(1.55, 0.36)
SCORES = Prior(0.0, 1.0)  # ours: nothing is known of what a reward thinks of length, but no judge sees length alone


def length_controlled(
    preferences: Values,
    lengths: Values,
    opponent_lengths: Values,
    prompts: Sequence[Hashable] | None = None,
    prior: Prior = CHAT_MODELS,
    clusters: Clusters = None,
) -> Warned:
    """sigmoid(theta) of logit P(m beats b | x) = theta + phi * tanh((len_m - len_b) / sd(len_m - len_b)), in [0, 1].

    theta and phi maximise the likelihood of the preferences, soft labels in [0, 1], times a normal prior on phi alone.
    Without one, phi is free, and where one side is always shorter nothing but the prior says what equal lengths would
    be worth. AlpacaEval (arXiv 2404.04475) anchors phi by annotations of its own baseline told to be terse and to be
    wordy, which weigh as much as a fifth of its 805 prompts twice, beside an L1 penalty that cross-validation chooses,
    and has a term for the difficulty of each of its prompts. Those annotations are of its prompts and its judge. Here
    the prior stands in their place, with the mean and spread that its fits have; so this is *not the number of its
    board*, for the same annotations either.

    Lengths in characters. Pairs of one of `prompts` (None: each has its own) are one: averaged, and resampled together.
    NaN preferences are left out of n. The interval is a 95% percentile bootstrap of REFITS refits over prompts, at the
    sd of all of them and the same prior; `clusters`, one for each prompt, are drawn whole. NaN where every prompt has
    the same non-zero difference, or there are fewer than two prompts.
    """
    p = np.asarray(preferences, dtype=float)
    difference = np.asarray(lengths, dtype=float) - np.asarray(opponent_lengths, dtype=float)
    assert p.shape == difference.shape, f"{p.shape} preferences for {difference.shape} lengths"
    known = ~np.isnan(p)
    of_known = None if prompts is None else [one for one, is_known in zip(prompts, known, strict=True) if is_known]
    p, difference = by_prompt(p[known], of_known), by_prompt(difference[known], of_known)
    n = len(p)
    if clusters is not None and prompts is not None:
        named = dict(zip(dict.fromkeys(prompts), clusters, strict=True))
        clusters = [named[prompt] for prompt in dict.fromkeys(of_known or ())]
    members = _members(n, clusters)
    if len(members) < 2:
        return Warned(np.nan, np.nan, np.nan, n)
    sd = difference.std(ddof=1)
    if sd == 0 and difference.any():
        return Warned(np.nan, np.nan, np.nan, n)
    term = np.tanh(difference / sd) if sd > 0 else difference  # (n,)
    rng = np.random.default_rng(_SEED)
    draws = rng.integers(0, len(members), size=(REFITS, len(members)))
    refits = [_rate(p[rows], term[rows], prior) for rows in (np.concatenate([members[i] for i in of]) for of in draws)]
    low, high = np.quantile(refits, [0.025, 0.975])
    value, near = _rate(p, term, prior), int((np.abs(difference) <= _NEAR * sd).sum())
    warning = "; ".join([*_extreme(float(p.mean()), value), *_extrapolated(near, n)])
    return Warned(value, float(low), float(high), n, warning=warning)


def of_prompts(values: Sequence[Hashable], prompts: Sequence[Hashable]) -> list[Hashable]:
    """What belongs to each prompt, in order of first appearance, given what belongs to each pair."""
    return list(dict(zip(prompts, values, strict=True)).values())


def by_prompt(values: Floats, prompts: Sequence[Hashable] | None) -> Floats:
    """The mean of each prompt's values, in order of first appearance; NaN values are left out of it."""
    if prompts is None:
        return values
    row_of = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
    rows = np.array([row_of[prompt] for prompt in prompts], dtype=int)
    known = ~np.isnan(values)
    total, count = (
        np.bincount(rows[known], weights, minlength=len(row_of)) for weights in (values[known], np.ones(known.sum()))
    )
    means: Floats = np.divide(total, count, out=np.full(len(row_of), np.nan), where=count > 0)
    return means


def _members(n: int, clusters: Clusters) -> list[NDArray[np.int64]]:
    """The places of the prompts that are drawn together."""
    if clusters is None:
        return list(np.arange(n)[:, None])
    found: dict[Hashable, list[int]] = {}
    for place, cluster in enumerate(clusters):
        found.setdefault(cluster, []).append(place)
    return [np.array(places) for places in found.values()]


def _extreme(raw: float, controlled: float) -> list[str]:
    """A warning where the two rates lie further apart than 10 points and a quarter of the smaller side's raw rate.

    AlpacaEval takes the quarter of what is left in the direction of the change. The smaller side's makes the warning
    the same when the sides are swapped, and is never more lenient.
    """
    if abs(controlled - raw) <= max(_LEAST_CHANGE, _LARGEST_PART * min(raw, 1 - raw)):
        return []
    return [
        f"it is {100 * abs(controlled - raw):.0f} points from the raw rate of {100 * raw:.0f}%, more than a correction "
        "for length should be"
    ]


def _extrapolated(near: int, n: int) -> list[str]:
    if near >= _FEW * n:
        return []
    return [
        f"{near} of {n} prompts have answers of nearly equal length (within half a standard deviation of the "
        "differences), so it says what nobody has seen"
    ]


def _rate(p: Floats, term: Floats, prior: Prior) -> float:
    """sigmoid(theta) at the maximum, by Newton's method with steps of at most 2."""
    if np.all(p == p[0]):  # all won, all lost or all tied: a fit would only go there slowly
        return float(p[0])
    mean = p.mean()
    at = np.array([np.log(mean / (1 - mean)) - prior.mean * term.mean(), prior.mean])  # theta, phi
    precision = np.diag([0.0, prior.sd**-2])
    features = np.stack([np.ones_like(term), term])  # (2, n)
    for _ in range(100):
        expected = 1 / (1 + np.exp(-(at @ features)))  # (n,)
        slope = features @ (p - expected) - precision @ (at - np.array([0.0, prior.mean]))
        curvature = (features * (expected * (1 - expected))) @ features.T + precision
        step = np.clip(np.linalg.solve(curvature, slope), -2.0, 2.0)
        at = at + step
        if np.abs(step).max() < 1e-9:
            return float(1 / (1 + np.exp(-at[0])))
    raise AssertionError(f"the fit of {len(p)} preferences did not settle: theta, phi = {at}")
