"""Search steered by value functions: extend U rows by a chunk, value them, select, repeat; then the final pick.

S = sum_i V_i / beta_i approximates the log-weight of a prefix under pi * exp(S). `select=top` keeps the best `width`
prefixes and tends to the argmax of S, so that only the ratios of the betas matter; `select=resample` draws them with
weights exp(S_new - S_old) and converges to the tilted distribution of finished texts as U grows, so that the scale of
beta matters. Algorithm 2 of arXiv 2506.17828, batched over prompts. We depart from its published code in that the last
selection happens too, prefixes are never encoded twice, and equal texts do not crowd out others (diversity-first).
"""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil, isqrt, log
from typing import Protocol

import numpy as np
import torch

from harness.core.models.device import widest
from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Chunk, Rows
from harness.core.models.sampling import Sampler
from harness.core.reward import RewardHandle
from harness.core.search.finalists import Pick, finalists_of
from harness.core.search.selection import RULES, Rivals, Search
from harness.core.streams import Streams
from harness.core.types import Answer, Prompt, Work
from harness.core.values.value import PrefixScorer


@dataclass(frozen=True)
class Guide:
    """What steers a search: S = sum_i V_i / beta_i. Without values every row scores 0."""

    values: Sequence[PrefixScorer] = ()
    betas: Sequence[float] = ()

    def __post_init__(self) -> None:
        assert len(self.values) == len(self.betas), f"{len(self.values)} values, {len(self.betas)} betas"


@dataclass(frozen=True)
class Finish:
    """How finished rows become finalists."""

    reward: RewardHandle | None = None  # given one, the final picks include `reward`
    record: tuple[int, ...] = ()  # layers whose states the finalists carry, for fitting the next value function
    select: bool = True  # a last selection among finished rows; without it all rows are finalists


@dataclass(frozen=True)
class Beam:
    """What a search knows of its R rows after a chunk; rows of one prompt stand together."""

    owner: np.ndarray  # (R,) which prompt a row continues
    finished: np.ndarray  # (R,) bool
    keys: Sequence[Hashable]  # equal for two rows of a prompt that wrote the same
    scores: np.ndarray  # (R,) float64 S after the chunk
    before: np.ndarray  # (R,) S before it
    places: np.ndarray  # (R,) how many rows of weight 1 each stands for, see `selection.resample`
    parents: Sequence[int | None]  # index among the prompt's rows of the last round; None in the first round
    values: np.ndarray  # (R, I) each V_i after the chunk
    betas: Sequence[float]  # (I,)

    def rivals(self, rows: np.ndarray) -> Rivals:
        """The rows of one prompt (n,) as a selection rule sees them."""
        gains = self.scores[rows] - self.before[rows]
        return Rivals(self.scores[rows], gains, self.places[rows], [self.keys[i] for i in rows])


@dataclass(frozen=True)
class Choice:
    """What a search chose for one prompt after a chunk, as indices into the beam."""

    prompt: Prompt
    rivals: Sequence[int]  # its rows
    kept: Sequence[int]  # which of them are kept, one for each place


class Observer(Protocol):
    """Looks on while a search chooses."""

    def __call__(self, beam: Beam, choices: Sequence[Choice], rows: Rows) -> None:
        """The choices of one round; prompts whose kept rows had all finished before are left out."""


def shape_of(rows: int) -> dict[str, int]:
    """`width` and `successors` of a search of `rows` rows: width is the largest divisor of rows up to its root."""
    width = max(w for w in range(1, isqrt(rows) + 1) if rows % w == 0)
    return {"width": width, "successors": rows // width}


def kl_bound(search: Search, max_new_tokens: int) -> float | None:
    """KL(search || base) of the finished text, in nats, at most; None for `resample`, where none is known to us.

    A round of width 1 is a best-of-k choice, at most log k - (k - 1) / k. Wider searches write one of U rows each
    round, at most log width + rounds * log k.
    """
    if search.select == "resample":
        return None
    rounds, k = ceil(max_new_tokens / search.chunk), search.successors
    return rounds * (log(k) - (k - 1) / k) if search.width == 1 else log(search.width) + rounds * log(k)


def search_at_most(search: Search, values: int, sampler: Sampler, prompt_tokens: int) -> Work:
    """What the search of one prompt takes with so many values, where no row ends early."""
    rows, length = search.width * search.successors, sampler.max_new_tokens
    return Work(prompt_tokens + rows * length, value_calls=values * rows * ceil(length / search.chunk))


def guided_search(
    policy: PolicyHandle,
    guide: Guide,
    prompts: Sequence[Prompt],
    search: Search,
    streams: Streams,
    finish: Finish = Finish(),
    observe: Observer | None = None,
) -> list[Answer]:
    """One answer per prompt, with the picks `value`, `first` and, given a reward, `reward`."""
    layers = tuple(sorted({*finish.record, *(layer for value in guide.values for layer in value.layers)}))
    rows = policy.decode(prompts, search.width * search.successors, streams, layers, record=bool(finish.record))
    reading, select = _Reading(guide, rows), RULES[search.select]
    generators = [streams.generator("select", p.id) for p in prompts]
    done = [False] * len(prompts)
    count = len(rows.owner)
    scores, places, parents = np.zeros(count), np.ones(count), list[int | None]([None] * count)
    while not all(done):
        after = reading.advance(rows.extend(search.chunk))
        owner, finished = rows.owner.cpu().numpy(), rows.finished.cpu().numpy()
        beam = Beam(owner, finished, rows.keys(), after, scores, places, parents, reading.values, guide.betas)
        moves, choices = _Moves(), list[Choice]()
        for p, prompt in enumerate(prompts):
            its_rows = np.flatnonzero(owner == p)
            if done[p] or (finished[its_rows].all() and not finish.select):
                # nothing is chosen: finished rows stand as they are until the slowest prompt of the batch is done
                kept = its_rows.tolist()
            else:
                kept = its_rows[select(beam.rivals(its_rows), search, generators[p])].tolist()
            if not done[p]:
                choices.append(Choice(prompt, its_rows.tolist(), kept))
            done[p] = bool(finished[kept].all())
            moves.add(its_rows[0], kept, finished, search.successors)
        if observe is not None:
            observe(beam, choices, rows)
        index = torch.tensor(moves.index, device=rows.owner.device)
        rows.select(index, torch.tensor(moves.slots, device=rows.owner.device))
        reading.reorder(index)
        # S is a property of the prefix, so copies inherit it; the next chunk is valued from there
        scores, places, parents = after[moves.index], np.array(moves.places), moves.parents
    picks: tuple[Pick, ...] = ("value", "first") if finish.reward is None else ("value", "first", "reward")
    return finalists_of(rows, picks, finish.reward, scores, reading.calls, reading.tokens_read(), reading.steps)


class _Moves:
    """How the rows of the next round follow from those of this one, row by row."""

    def __init__(self) -> None:
        self.index: list[int] = []
        self.slots: list[int] = []
        self.places: list[float] = []
        self.parents: list[int | None] = []

    def add(self, first: int, kept: Sequence[int], finished: np.ndarray, successors: int) -> None:
        """A prompt's kept rows, `first` being its first row: unfinished ones are copied `successors` times.

        A kept finished text is not copied, and stands for as many rows as its copies would have been.
        """
        for rank, row in enumerate(kept):
            copies = 1 if finished[row] else successors
            self.index += [row] * copies
            self.slots += range(rank * successors, rank * successors + copies)
            self.places += [successors / copies] * copies
            self.parents += [int(row - first)] * copies


class _Reading:
    """S of every row, as a sum over value functions that each keep their own running state."""

    def __init__(self, guide: Guide, rows: Rows) -> None:
        self._readers = [value.start(rows) for value in guide.values]
        self._betas, self._rows = guide.betas, rows
        self.calls = np.zeros(len(rows.prompts), dtype=np.int64)  # (P,) prefixes valued
        self.values = np.zeros((len(rows.owner), len(guide.values)))  # (R, I) each V_i after the last chunk
        # (P,) forward passes of the values' own models, one after another: several models read side by side
        self.steps = (self.tokens_read() > 0).astype(np.int64)

    def tokens_read(self) -> np.ndarray:
        """(P,) tokens that models of the values' own have read."""
        return sum((reader.tokens_read for reader in self._readers), np.zeros(len(self._rows.prompts), dtype=np.int64))

    def advance(self, chunk: Chunk) -> np.ndarray:
        """(R,) float64 S after the chunk; 0 without value functions."""
        total = torch.zeros(len(chunk.tokens), dtype=widest(chunk.tokens.device), device=chunk.tokens.device)
        moved = torch.bincount(self._rows.owner[chunk.moved], minlength=len(self.calls)).cpu().numpy()  # (P,)
        before, values = self.tokens_read(), []
        for reader, beta in zip(self._readers, self._betas, strict=True):
            start = time.perf_counter()
            values.append(reader.advance(chunk).to(total.dtype))
            total += values[-1] / beta
            seconds = time.perf_counter() - start
            self._rows.spend("value", calls=1, sequences=int(moved.sum()), seconds=seconds)
            self.calls += moved
        self.steps += self.tokens_read() > before
        self.values = torch.stack(values, 1).cpu().numpy() if values else np.zeros((len(total), 0))
        scores: np.ndarray = total.cpu().numpy()
        return scores

    def reorder(self, index: torch.Tensor) -> None:
        for reader in self._readers:
            reader.reorder(index)
