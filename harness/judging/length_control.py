"""The win rate two sides would have if their answers were equally long.

length_controlled([1.0, 0.0, 0.5, ...], [212, 90, ...], [180, 95, ...])      # Estimate(value, low, high, n)
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from harness.core.statistics.stats import Estimate, Floats, Values

REFITS = 200
_SEED = 20250618
_STRENGTH = 100.0  # C of the fit, as in AlpacaEval; it holds phi alone


def length_controlled(preferences: Values, lengths: Values, opponent_lengths: Values) -> Estimate:
    """sigmoid(theta) of logit P(m beats b | x) = theta + phi * tanh((len_m - len_b) / sd(len_m - len_b)), in [0, 1].

    Lengths in characters; preferences in [0, 1] are soft labels (each row twice, weighted p and 1 - p), and NaN is
    left out of n. This is AlpacaEval's length control (arXiv 2404.04475) without the terms that belong to its own 805
    prompts (the difficulty of an instruction, the gamed baselines), hence "minimal"; the penalty is on phi alone. The
    interval is a 95% percentile bootstrap of REFITS refits over prompts, at the sd of all of them. NaN where length
    cannot be told from quality: every prompt has the same non-zero difference, or there are fewer than two prompts.
    """
    p = np.asarray(preferences, dtype=float)
    difference = np.asarray(lengths, dtype=float) - np.asarray(opponent_lengths, dtype=float)
    assert p.shape == difference.shape, f"{p.shape} preferences for {difference.shape} lengths"
    p, difference = p[~np.isnan(p)], difference[~np.isnan(p)]
    n = len(p)
    if n < 2:
        return Estimate(np.nan, np.nan, np.nan, n)
    sd = difference.std(ddof=1)
    if sd == 0 and difference.any():
        return Estimate(np.nan, np.nan, np.nan, n)
    term = np.tanh(difference / sd) if sd > 0 else difference  # (n,)
    rng = np.random.default_rng(_SEED)
    refits = [_rate(p[rows], term[rows]) for rows in rng.integers(0, n, size=(REFITS, n))]
    low, high = np.quantile(refits, [0.025, 0.975])
    return Estimate(_rate(p, term), float(low), float(high), n)


def _rate(p: Floats, term: Floats) -> float:
    if np.all(p == p[0]):  # all won, all lost or all tied: a fit would only go there slowly
        return float(p[0])
    model = LogisticRegression(C=_STRENGTH, max_iter=1000)
    labels = np.repeat([1, 0], len(p))
    model.fit(np.tile(term, 2)[:, None], labels, sample_weight=np.concatenate([p, 1 - p]))
    return float(1 / (1 + np.exp(-model.intercept_[0])))
