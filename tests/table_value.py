"""A table over the toy's nodes as a value function: with `ToyPolicy.values` it guides a search by the exact answer."""

from collections.abc import Mapping

import numpy as np
import torch

from harness.core.models.rows import Chunk, Rows


class TableValue:
    """A table over nodes as a value function: with `ToyPolicy.values` it guides a search by the exact answer."""

    layers = (1,)

    def __init__(self, table: np.ndarray) -> None:
        self._table = torch.from_numpy(np.asarray(table, dtype=np.float32))

    def start(self, rows: Rows) -> "_TableReader":
        return _TableReader(self._table, rows)


class _TableReader:
    def __init__(self, table: torch.Tensor, rows: Rows) -> None:
        self._table = table
        self._values = table[rows.prompt_chunk.states[1][:, -1].argmax(-1)][rows.owner]
        self.tokens_read = np.zeros(len(rows.prompts), dtype=np.int64)

    def advance(self, chunk: Chunk) -> torch.Tensor:
        along = self._table[chunk.states[1].argmax(-1)]  # (rows, n), meaningless where there is no token
        last = along[torch.arange(len(along)), (chunk.mask.sum(1) - 1).clamp(min=0)]
        self._values = torch.where(chunk.mask.any(1), last, self._values)
        return self._values

    def peek(self, rows: torch.Tensor, states: Mapping[int, torch.Tensor]) -> torch.Tensor:
        return self._table[states[1].argmax(-1)]

    def reorder(self, index: torch.Tensor) -> None:
        self._values = self._values[index]
