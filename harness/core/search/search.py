"""Search steered by value functions: extend U rows by a chunk, value them, select, repeat; then the final pick.

S = sum_i V_i / beta_i approximates the log-weight of a prefix under pi * exp(S). `select=top` keeps the best `width`
prefixes and tends to the argmax of S, so that only the ratios of the betas matter; `select=resample` draws them with
weights exp(S_new - S_old) and converges to the tilted distribution of finished texts as U grows, so that the scale of
beta matters. Algorithm 2 of arXiv 2506.17828, batched over prompts. We depart from its published code in that the last
selection happens too, prefixes are never encoded twice, and equal texts do not crowd out others (diversity-first).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import ceil, isqrt, log
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.models.decoding import Decoding
from harness.core.models.device import widest
from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Chunk
from harness.core.reward import RewardHandle
from harness.core.search.finalists import finalists_of
from harness.core.search.selection import keep_top, resample
from harness.core.streams import Streams
from harness.core.types import Answer, Prefix, Prompt, Round
from harness.core.values.value import PrefixValue


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Search:
    """Settings of a search. U = width * successors rows a prompt."""

    width: Annotated[int, Field(ge=1, description="prefixes kept per round (w in the paper; table 7: 4)")] = 4
    successors: Annotated[int, Field(ge=1, description="samples per kept prefix (k in the paper; table 7: 4)")] = 4
    chunk: Annotated[int, Field(ge=1, description="tokens per round (l in the paper; harness: 8)")] = 8
    select: Annotated[Literal["top", "resample"], Field(description="top: the paper's; resample: DESIGN.md")] = "top"
    diversity: Annotated[bool, Field(description="top: equal texts after all different ones (harness)")] = True


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


def guided_search(
    policy: PolicyHandle,
    values: Sequence[PrefixValue],
    betas: Sequence[float],
    prompts: Sequence[Prompt],
    search: Search,
    streams: Streams,
    reward: RewardHandle | None,
    record: tuple[int, ...] = (),
    select_finished: bool = True,
    trace: bool = False,
) -> list[Answer]:
    """One answer per prompt, with the picks `value`, `first` and, given a reward, `reward`.

    `record` names layers whose states the finalists carry (for fitting the next value function). The last selection,
    among finished rows only, is left out without `select_finished`: all rows are finalists. With `trace` the answers
    hold the tree of the search.
    """
    assert len(values) == len(betas), f"{len(values)} values, {len(betas)} betas"
    layers = tuple(sorted({*record, *(layer for value in values for layer in value.layers)}))
    rows = policy.decode(prompts, search.width * search.successors, streams, layers, record=bool(record))
    guide = _Guide(values, betas, rows)
    pick_place = [streams.generator("select", p.id) for p in prompts]
    scores = np.zeros(len(rows.owner))
    places = np.ones(len(rows.owner))  # see `resample`
    done = [False] * len(prompts)
    rounds: list[list[Round]] = [[] for _ in prompts]
    parents: Sequence[int | None] = [None] * len(rows.owner)
    while not all(done):
        before = scores
        scores = guide.advance(rows.extend(search.chunk))
        owner, finished, tokens = rows.owner.cpu().numpy(), rows.finished.cpu().numpy(), rows.tokens_of()
        texts = [c.text for c in rows.completions()] if trace else []
        index, slots, next_places, next_parents = [], [], [], []
        for p in range(len(prompts)):
            mine = np.flatnonzero(owner == p)
            if done[p] or (finished[mine].all() and not select_finished):
                kept = list(mine)
            elif search.select == "top":
                keys = [tokens[i] for i in mine] if search.diversity else list(range(len(mine)))
                kept = list(mine[keep_top(scores[mine], keys, search.width)])
            else:
                draws = pick_place[p].random(search.width)
                kept = list(mine[resample(scores[mine] - before[mine], places[mine], draws)])
            if trace and not done[p]:
                rounds[p].append(_round(mine, kept, tokens, texts, parents, scores))
            done[p] = all(finished[kept])
            for place, row in enumerate(kept):
                copies = 1 if finished[row] else search.successors
                index += [row] * copies
                slots += range(place * search.successors, place * search.successors + copies)
                next_places += [search.successors / copies] * copies
                next_parents += [int(row - mine[0])] * copies
        moved = torch.tensor(index, device=rows.owner.device)
        rows.select(moved, torch.tensor(slots, device=rows.owner.device))
        guide.reorder(moved)
        scores, places, parents = scores[index], np.array(next_places), next_parents
    picks = ("value", "first") if reward is None else ("value", "first", "reward")
    answers = finalists_of(rows, picks, reward, scores, guide.calls, guide.tokens)
    return [replace(a, trace=tuple(r)) for a, r in zip(answers, rounds, strict=True)] if trace else answers


def _round(
    mine: Sequence[int],
    kept: Collection[int],
    tokens: Sequence[tuple[int, ...]],
    texts: Sequence[str],
    parents: Sequence[int | None],
    scores: np.ndarray,
) -> Round:
    """The rows `mine` of one prompt; a prompt's rows stand together, so a parent's place is counted from the first."""
    return Round(tuple(Prefix(tokens[i], texts[i], parents[i], float(scores[i]), i in kept) for i in mine))


class _Guide:
    """S of every row, as a sum over value functions that each keep their own running state."""

    def __init__(self, values: Sequence[PrefixValue], betas: Sequence[float], rows: Decoding) -> None:
        self.readers = [value.start(rows.prompt_chunk) for value in values]
        self.betas = betas
        self.ledger = rows.ledger
        self.calls = np.zeros(len(rows.prompts), dtype=np.int64)  # (P,) prefixes valued
        self.tokens = np.zeros(len(rows.prompts), dtype=np.int64)  # (P,) read by models of the values' own
        self.owner = torch.arange(len(rows.prompts), device=rows.owner.device)
        for reader in self.readers:
            self._count(reader.read)
        self.reorder(rows.owner)

    def advance(self, chunk: Chunk) -> np.ndarray:
        """(rows,) float64 S after the chunk; 0 without value functions."""
        total = torch.zeros(len(chunk.tokens), dtype=widest(chunk.tokens.device), device=chunk.tokens.device)
        moved = chunk.mask.any(1)
        for reader, beta in zip(self.readers, self.betas, strict=True):
            with self.ledger.timed("value", calls=1, sequences=int(moved.sum())):
                total += reader.advance(chunk).to(total.dtype) / beta
            self.calls += torch.bincount(self.owner[moved], minlength=len(self.calls)).cpu().numpy()
            self._count(reader.read)
        return total.cpu().numpy()

    def _count(self, read: torch.Tensor | None) -> None:
        if read is not None:
            np.add.at(self.tokens, self.owner.cpu().numpy(), read.cpu().numpy())
            self.ledger.spend("value", prefill_tokens=int(read.sum()))

    def reorder(self, index: torch.Tensor) -> None:
        self.owner = self.owner[index]
        for reader in self.readers:
            reader.reorder(index)
