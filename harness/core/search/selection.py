"""Which rows of one prompt a search keeps: rules by name, as functions of what the search knows of the rows.

kept = RULES["top"](rivals, search, rng)        # indices into the rivals, one for each place kept
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Search:
    """Settings of a search. U = width * successors rows a prompt."""

    width: Annotated[int, Field(ge=1, description="prefixes kept per round (w in the paper; table 7: 4)")] = 4
    successors: Annotated[int, Field(ge=1, description="samples per kept prefix (k in the paper; table 7: 4)")] = 4
    chunk: Annotated[int, Field(ge=1, description="tokens per round (l in the paper; harness: 8)")] = 8
    select: Annotated[Literal["top", "resample"], Field(description="top: the paper's; resample: by weight")] = "top"
    diversity: Annotated[bool, Field(description="top: equal texts after all different ones (harness)")] = True


@dataclass(frozen=True)
class Rivals:
    """The n rows of one prompt after a chunk, in the order in which the search holds them."""

    scores: np.ndarray  # (n,) S after the chunk
    gains: np.ndarray  # (n,) by how much the chunk changed S
    places: np.ndarray  # (n,) how many rows of weight 1 each stands for, see `resample`
    keys: Sequence[Hashable]  # equal where two rows wrote the same


Rule = Callable[[Rivals, Search, np.random.Generator], list[int]]


def keep_top(scores: np.ndarray, keys: Sequence[Hashable], width: int) -> list[int]:
    """Indices of the best `width` candidates, diversity-first, best first.

    Candidates with equal keys form a group. The best of each group comes before any duplicate; duplicates only fill
    up. Ties go to the lower index. NaN is never kept, except the first candidate where all are NaN.
    """
    order = [i for i in np.argsort(-scores, kind="stable") if not np.isnan(scores[i])]
    seen: set[Hashable] = set()
    first: list[int] = []
    rest: list[int] = []
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


def _best(rivals: Rivals, search: Search, rng: np.random.Generator) -> list[int]:
    """The `width` rows with the largest S; equal texts come last with `diversity`."""
    keys = rivals.keys if search.diversity else range(len(rivals.scores))
    return keep_top(rivals.scores, keys, search.width)


def _drawn(rivals: Rivals, search: Search, rng: np.random.Generator) -> list[int]:
    """`width` rows drawn by what the chunk added to S."""
    return resample(rivals.gains, rivals.places, rng.random(search.width))


RULES: Mapping[str, Rule] = {"top": _best, "resample": _drawn}
