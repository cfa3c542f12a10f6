"""Which rows of one prompt a search keeps: the best of them, or draws by weight."""

from collections.abc import Sequence

import numpy as np


def keep_top(scores: np.ndarray, keys: Sequence[object], width: int) -> list[int]:
    """Indices of the best `width` candidates, diversity-first, best first.

    Candidates with equal keys form a group. The best of each group comes before any duplicate; duplicates only fill
    up. Ties go to the lower index. NaN is never kept, except the first candidate where all are NaN.
    """
    order = [i for i in np.argsort(-scores, kind="stable") if not np.isnan(scores[i])]
    seen: set[object] = set()
    first, rest = [], []
    for i in order:
        (rest if keys[i] in seen else first).append(int(i))
        seen.add(keys[i])
    return (first + rest)[:width] or [0]


def resample(log_weights: np.ndarray, places: np.ndarray, uniforms: np.ndarray) -> list[int]:
    """Independent draws, one for each uniform number, with probability proportional to places * exp(log_weights).

    `places` is what a candidate stands for in the population: a kept unfinished prefix was spread over `successors`
    rows of weight 1, a kept finished text is one row of weight `successors`. NaN has weight 0; where all are NaN the
    first candidate takes every place.
    """
    usable = ~np.isnan(log_weights)
    if not usable.any():
        return [0] * len(uniforms)
    top = log_weights[usable].max()
    weights = np.where(usable, np.exp(np.where(usable, log_weights, top) - top) * places, 0.0)
    cumulative = np.cumsum(weights)
    return [int(i) for i in np.searchsorted(cumulative, uniforms * cumulative[-1], side="right")]
