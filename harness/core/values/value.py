"""Value functions of a prefix, whatever they are made of: read while a search writes, and checked afterwards.

    reader = value.start(rows)                      # follows the rows of a batch
    v = reader.advance(rows.extend(8))              # (R,) value of every row's prefix
    rows.select(index, slots); reader.reorder(index)
    value.predict(rollouts)                         # the same of every prefix of finished completions

V(x, y_<=t) predicts the standardised reward of the finished completion from the prompt and tokens 1..t; t = 0 is the
prompt alone, a finished text is valued at its end-of-sequence token. `hidden.py` has the kind that reads the policy's
own states, `text.py` that which reads nothing but the text, `lm.py` that with a small model of its own; `kinds.py` fits
the kind that settings ask for, `stored.py` loads any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch

from harness.core.models.rows import Chunk, Rows
from harness.core.types import Candidate


class Reader(Protocol):
    """A value function following the rows of a batch."""

    tokens_read: np.ndarray  # (P,) tokens that models of its own have read so far; zeros where it has none

    def advance(self, chunk: Chunk) -> torch.Tensor:
        """(R,) float32 values of the prefixes that end with this chunk."""

    def reorder(self, index: torch.Tensor) -> None:
        """Make row j what row index[j] was."""


@runtime_checkable
class TokenReader(Reader, Protocol):
    """One that also values candidates for the next token, from the policy's states of them."""

    def peek(self, rows: torch.Tensor, states: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """(L, K) values of rows (L,) with each of K candidates behind them, states (L, K, H) by layer."""


class PrefixScorer(Protocol):
    """What a search needs of a value function, and what a guide that nobody fits has: a reader along rows."""

    @property
    def layers(self) -> tuple[int, ...]:
        """States of the policy that its readers need in every chunk; () for none."""

    def start(self, rows: Rows) -> Reader: ...


@dataclass(frozen=True)
class Predicted:
    """What a value function says of the prefixes of finished completions, (n,) each."""

    value: np.ndarray
    position: np.ndarray  # tokens of the prefix, words where nobody tells tokens; 0 is the prompt alone
    rollout: np.ndarray  # index of the completion that it begins


class PrefixValue(PrefixScorer, Protocol):
    """A fitted value function."""

    kind: ClassVar[str]

    def predict(self, rollouts: Sequence[Candidate], every: int = 1) -> Predicted:
        """Values of prefixes of finished completions, those of one completion together, shortest first.

        At least of every `every`-th, from 0 on, and of the whole; whatever reads with a model of its own, no others.
        """

    def flops(self) -> float:
        """FLOPs of valuing one prefix, reading by models of its own left out."""

    def flops_of_token(self) -> float:
        """FLOPs of a token that a model of its own reads; 0 where it has none."""

    def save(self, folder: Path) -> None:
        """Write it into `folder`, with its kind in value.json."""
