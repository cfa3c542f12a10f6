"""What a frozen model must provide to be decoded from: `TransformersPolicy` does, and the enumerable toy."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from harness.core.errors import UserError
from harness.core.types import Completion, Prompt


@dataclass
class Fed:
    """What a forward pass hands out."""

    logits: torch.Tensor  # (rows, V) of the next token
    states: Mapping[int, torch.Tensor]  # layer -> (rows, n, H) of the tokens just fed


@dataclass
class Chunk:
    """Tokens fed together: a padded batch. `mask` is True where a row has a token; states are by layer."""

    tokens: torch.Tensor  # (rows, n) int64
    mask: torch.Tensor  # (rows, n) bool
    states: Mapping[int, torch.Tensor]  # layer -> (rows, n, H), zero where mask is False


class TokenScorer(Protocol):
    """Log-probabilities of texts under a model at temperature 1, read chunk by chunk over a carried cache."""

    def advance(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(rows, n) log-probabilities in nats of the next tokens (rows, n), 0 where the mask is False."""

    def reorder(self, index: torch.Tensor) -> None:
        """Make row j what row index[j] was."""


class Policy(ABC):
    """A frozen model that extends completions. `decode` is the verb; the rest is what a model must provide."""

    name: str
    fingerprint: str  # of all files of the model: part of every cache key
    contents: Mapping[str, str] = {}  # what the fingerprint is made of: file -> sha256, or what else pins the model
    engine: Mapping[str, str]  # what computes, by name and version: part of every cache key
    eos_ids: frozenset[int]
    depth: int  # number of blocks; layers 0..depth have states
    width: int  # H
    parameters: int
    active_parameters: int  # multiplied with for each token: all but an input embedding of its own
    device: torch.device

    @abstractmethod
    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt's tokens, as the model reads them."""

    @abstractmethod
    def text(self, tokens: Sequence[int]) -> str:
        """Text of a completion's tokens, special tokens left out."""

    @abstractmethod
    def head_of(self, text: str, tokens: int) -> str:
        """The text of the first `tokens` tokens of a text: how tasks cut prompts to the policy's measure."""

    @abstractmethod
    def tokens_of(self, text: str) -> tuple[int, ...]:
        """A text as this policy's tokens, without special ones."""

    @abstractmethod
    def prefill(self, prompts: Sequence[tuple[int, ...]], layers: tuple[int, ...]) -> tuple[Any, Fed, torch.Tensor]:
        """Read prompts of any lengths: (cache, what was fed with states (P, longest, H), mask (P, longest))."""

    @abstractmethod
    def feed(self, cache: Any, tokens: torch.Tensor, layers: tuple[int, ...]) -> Fed:
        """Append one token to every row of the cache: tokens (rows,), states (rows, 1, H)."""

    @abstractmethod
    def peek(self, cache: Any, tokens: torch.Tensor, layers: tuple[int, ...]) -> Mapping[int, torch.Tensor]:
        """States (rows, K, H) of K candidates for each row's next token (rows, K); the cache stays as it is."""

    @abstractmethod
    def forget(self, cache: Any, counts: torch.Tensor) -> None:
        """Take back the last counts[j] tokens fed to row j: what follows neither sees them nor counts their places."""

    @abstractmethod
    def reorder(self, cache: Any, index: torch.Tensor) -> None:
        """Make row j of the cache what row index[j] was; rows may repeat or vanish."""

    @abstractmethod
    def logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        """Log-probability in nats of every token under the model at temperature 1: one (t,) array each."""

    @abstractmethod
    def scorer(self, prompts: Sequence[tuple[int, ...]]) -> "TokenScorer":
        """Start following texts behind these prompts, one row each, for their log-probabilities."""

    @abstractmethod
    def speaks_like(self, other: "Policy") -> bool:
        """Whether the other policy's tokens mean the same here."""

    def untouched_model(self) -> Any:
        """A second copy of the model, and its tokenizer, to train. Raises UserError where there are no weights."""
        raise UserError(f"policy {self.name!r} has no weights that could be trained")

    def other(self, model: str) -> "Policy":
        """Another model by folder, hub id or embedded name, placed like this one."""
        raise UserError(f"policy {self.name!r} cannot stand beside model {model!r}: it is not loaded by transformers")

    def with_model(self, model: Any, name: str) -> "Policy":
        """This policy over other weights."""
        raise UserError(f"policy {self.name!r} has no weights that could be trained")

    @abstractmethod
    def row_bytes(self, prompt_tokens: int, new_tokens: int, rows_per_prompt: int) -> int:
        """Memory of one row of a decoding batch in bytes, with its share of what rows of a prompt have in common."""
