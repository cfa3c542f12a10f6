"""Rows in flight: prompts being continued in one batch, several rows a prompt, whoever writes them.

    rows = handle.decode(prompts, 16, streams, layers=(8,))   # 16 rows a prompt
    chunk = rows.extend(8)              # what was written, and the states of the chosen layers
    rows.select(index, slots)           # keep and copy rows
    rows.completions()

`Rows` is all that a search and the final picks use, so that an engine which only continues texts has enough of it.
`TokenRows` adds what methods of single tokens need; `Decoding` has both. A policy says which of it all it can give
(`Capability`), a method what it needs (`Generator.needs`), and the harness compares the two before any work.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch

from harness.core.ledger import Role
from harness.core.types import Completion, PrefixStates, Prompt

Capability = Literal["text", "logprobs", "states", "token level", "take back", "weights"]
"""text: rows that go on writing. logprobs: of given texts. states: of chosen layers, with every chunk. token level:
next-token distributions and candidates. take back: rows go back to an earlier token. weights: a second copy of the
model that can be trained."""


@dataclass
class Chunk:
    """Tokens written or read together: a padded batch. `mask` is True where a row has a token; states are by layer."""

    tokens: torch.Tensor  # (rows, n) int64
    mask: torch.Tensor  # (rows, n) bool
    states: Mapping[int, torch.Tensor]  # layer -> (rows, n, H), zero where mask is False
    logprobs: torch.Tensor | None = None  # (rows, n) of the tokens at temperature 1, 0 where mask is False; if asked

    @property
    def moved(self) -> torch.Tensor:
        """(rows,) bool: which rows have a token in it."""
        return self.mask.any(1)


@dataclass(frozen=True)
class Choices:
    """Next tokens of L unfinished rows: tokens and probabilities (L, K), and each row's uniform number (L,)."""

    rows: torch.Tensor  # (L,) indices of rows
    tokens: torch.Tensor
    probabilities: torch.Tensor
    uniforms: torch.Tensor

    def top(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The k most probable tokens and their probabilities (L, k), in the sampler's order; all for 0."""
        if k == 0 or k >= self.tokens.shape[1]:
            return self.tokens, self.probabilities
        index = self.probabilities.topk(k).indices.sort(1).values
        return self.tokens.gather(1, index), self.probabilities.gather(1, index)


class Rows(Protocol):
    """R rows that continue P prompts; rows of one prompt stand together, in the order of the prompts."""

    @property
    def prompts(self) -> Sequence[Prompt]:
        """P of them."""

    @property
    def prompt_chunk(self) -> Chunk:
        """The prompts (P rows) as they were read, with states where layers were asked for."""

    @property
    def owner(self) -> torch.Tensor:
        """(R,) int64: which prompt a row continues."""

    @property
    def finished(self) -> torch.Tensor:
        """(R,) bool."""

    def extend(self, n: int) -> Chunk:
        """Write up to `n` more sampled tokens on every unfinished row and return them with their states."""

    def keep_logprobs(self) -> None:
        """Have chunks carry the log-probabilities in nats, at temperature 1 over the whole vocabulary, under which
        their tokens were written: who needs them does not read the texts again. Raises UserError where an engine does
        not tell them."""

    def select(self, index: torch.Tensor, slots: torch.Tensor) -> None:
        """Make row j what row index[j] was, drawing from stream `slots[j]` of its prompt from now on.

        Rows may repeat (they then continue differently, by their slots) or be left out.
        """

    def completions(self) -> list[Completion]:
        """Every row as it stands."""

    def keys(self) -> Sequence[Hashable]:
        """What each row has written so far: equal for two rows of a prompt where they wrote the same."""

    def states_of(self, row: int) -> PrefixStates | None:
        """The recorded states of one row; None where nothing was recorded."""

    def policy_tokens(self) -> np.ndarray:
        """(P,) tokens so far: the prompt once, and every sampled token, those of discarded rows included."""

    def steps(self) -> np.ndarray:
        """(P,) forward passes of the policy so far that each needed the one before, by prompt: reading it is one, each
        token written on its unfinished rows, which are written together, one, and so is a look at candidates. The
        rest of the batch does not count; nor do heads and rewards."""

    def spend(self, role: Role, *, seconds: float = 0.0, **counts: int) -> None:
        """Book work that was done on these rows by a value function or another model (fields of `Usage`)."""


class TokenRows(Rows, Protocol):
    """Rows whose single tokens can be looked at, chosen and taken back."""

    def tokens_of(self) -> list[tuple[int, ...]]:
        """Every row's tokens so far."""

    def continued(self, row: int, token: int) -> Completion:
        """A row with one more token, as a completion; nothing is written."""

    def choices(self) -> Choices:
        """What the unfinished rows may write next under the run's sampling rule."""

    def write(self, tokens: torch.Tensor) -> Chunk:
        """Write one given token (L,) on each unfinished row, in the order of `choices`."""

    def peek(self, tokens: torch.Tensor) -> Mapping[int, torch.Tensor]:
        """States (L, K, H) by layer of candidates for the next token of the unfinished rows, tokens (L, K).

        Nothing is written. Booked as tokens read in parallel, as many as `peeked` says.
        """

    def peeked(self, candidates: int) -> int:
        """Whole policy tokens that looking at so many candidates comes to: their share of the model's blocks."""

    def next_logits(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows in the model's batch, and the logits (., V) of what each writes next."""

    def take_back(self, counts: torch.Tensor, logits: torch.Tensor) -> None:
        """Remove the last counts[j] tokens of row j, which then writes on from logits[j]; for revocable rows.

        counts (rows,), logits (rows, V) of the places gone back to; of rows with count 0 they are not looked at.
        """

    def release(self) -> None:
        """Let finished rows leave the model's batch for good."""
