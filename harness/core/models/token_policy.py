"""A frozen model in this process, token by token: what `Decoding` asks of transformers' models and of the toy."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from harness.core.ledger import Ledger
from harness.core.models.decoding import Decoding
from harness.core.models.policy import Policy
from harness.core.models.sampling import Sampler
from harness.core.models.text_in_context import TextBehind
from harness.core.streams import Streams
from harness.core.types import Completion, Prompt


@dataclass
class Fed:
    """What a forward pass hands out."""

    logits: torch.Tensor  # (rows, V) of the next token
    states: Mapping[int, torch.Tensor]  # layer -> (rows, n, H) of the tokens just fed


class TokenScorer(Protocol):
    """Log-probabilities of texts under a model at temperature 1, read chunk by chunk over a carried cache."""

    def advance(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(rows, n) log-probabilities in nats of the next tokens (rows, n), 0 where the mask is False."""

    def reorder(self, index: torch.Tensor) -> None:
        """Make row j what row index[j] was."""


class TokenPolicy(Policy):
    """A policy that reads and writes single tokens here. Its rows are a `Decoding`."""

    eos_ids: frozenset[int]

    def decode(
        self,
        prompts: Sequence[Prompt],
        rows_per_prompt: int,
        sampler: Sampler,
        streams: Streams,
        ledger: Ledger,
        *,
        layers: tuple[int, ...] = (),
        record: bool = False,
        revocable: bool = False,
    ) -> Decoding:
        return Decoding(self, sampler, ledger, prompts, rows_per_prompt, streams, layers, record, revocable)

    def prefix_texts(self, completion: Completion, lengths: Sequence[int]) -> list[str]:
        behind, tokens = self.text_behind(self.encode(completion.prompt)), completion.tokens
        return [completion.text if n == len(tokens) else behind(tokens[:n]) for n in lengths]

    def prompt_tokens(self, prompt: Prompt) -> tuple[int, ...]:
        return self.encode(prompt)

    def prompt_length(self, prompt: Prompt) -> int:
        return len(self.encode(prompt))

    @abstractmethod
    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt's tokens, as the model reads them."""

    @abstractmethod
    def text(self, tokens: Sequence[int]) -> str:
        """Text of tokens that nothing stands before, special tokens left out."""

    def text_behind(self, prompt: tuple[int, ...]) -> Callable[[Sequence[int]], str]:
        """Turns tokens of answers behind a prompt into text: text(prompt + answer) less text(prompt)."""
        return TextBehind(self.text, prompt)

    @abstractmethod
    def tokens_of(self, text: str) -> tuple[int, ...]:
        """A text that goes on from another one as this policy's tokens, without special ones."""

    @abstractmethod
    def prefill(
        self, prompts: Sequence[tuple[int, ...]], layers: tuple[int, ...], room: int, revocable: bool
    ) -> tuple[Any, Fed, torch.Tensor]:
        """Read prompts of any lengths: (cache, what was fed with states (P, longest, H), mask (P, longest)).

        Rows will hold at most `room` tokens behind their prompts; those of a `revocable` cache can forget some. Raises
        UserError where the model cannot do that at such lengths.
        """

    @abstractmethod
    def feed(self, cache: Any, tokens: torch.Tensor, layers: tuple[int, ...]) -> Fed:
        """Append one token to every row of the cache: tokens (rows,), states (rows, 1, H)."""

    @abstractmethod
    def peek(self, cache: Any, tokens: torch.Tensor, layers: tuple[int, ...]) -> Mapping[int, torch.Tensor]:
        """States (rows, K, H) of K candidates for each row's next token (rows, K); the cache stays as it is."""

    @abstractmethod
    def forget(self, cache: Any, counts: torch.Tensor) -> None:
        """Take back the last counts[j] tokens fed to row j: what follows neither sees them nor counts their places.

        For revocable caches of policies that give `take back`.
        """

    @abstractmethod
    def reorder(self, cache: Any, index: torch.Tensor) -> None:
        """Make row j of the cache what row index[j] was; rows may repeat or vanish."""

    @abstractmethod
    def logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        """Log-probability in nats of every token under the model at temperature 1: one (t,) array each."""

    @abstractmethod
    def scorer(self, prompts: Sequence[tuple[int, ...]]) -> TokenScorer:
        """Start following texts behind these prompts, one row each, for their log-probabilities."""

    @abstractmethod
    def speaks_like(self, other: Policy) -> bool:
        """Whether the other policy's tokens mean the same here."""

    @abstractmethod
    def row_bytes(self, prompt_tokens: int, new_tokens: int, rows_per_prompt: int) -> int:
        """Memory of one row of a decoding batch in bytes, with its share of what rows of a prompt have in common."""
