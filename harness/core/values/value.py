"""Value functions on the frozen policy's own hidden states, read prefix by prefix while a search writes.

    reader = value.start(rows.prompt_chunk)         # one running state per prompt
    reader.reorder(rows.owner)                      # ... per row
    v = reader.advance(rows.extend(8))              # (rows,) value of every row's prefix

V(x, y_<=t) predicts the standardised reward of the finished completion from the states of the prompt and of tokens
1..t, each read after it was fed; t = 0 is the prompt alone, a finished text is valued at its end-of-sequence token.
In chunk search this costs no forward pass: the search's own steps hand out the states. `core/fitting.py` fits them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch

from harness.core.models.policy import Chunk


class Reader(Protocol):
    """A value function following a batch of rows."""

    read: torch.Tensor | None  # (rows,) tokens that models of its own have just read; None: it has none

    def advance(self, chunk: Chunk) -> torch.Tensor:
        """(rows,) float32 values of the prefixes that end with this chunk."""

    def peek(self, rows: torch.Tensor, states: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """(L, K) values of rows (L,) with each of K candidates behind them, states (L, K, H) by layer."""

    def reorder(self, index: torch.Tensor) -> None:
        """Make row j what row index[j] was."""


class PrefixValue(Protocol):
    """A fitted value function. `layers` are the states that its readers need in every chunk."""

    layers: tuple[int, ...]

    def start(self, prompts: Chunk) -> Reader: ...

    def save(self, folder: Path) -> None: ...
