"""A transformers model read through one of two caches: prompts, then a token at a time, or candidates for one.

    forward = Forward(model)
    reading = forward.read_prompts([(1, 2), (3, 4, 5)], layers=(8,), path="shared prefix")
    forward.feed(reading.cache, tokens, layers=(8,))        # one token a row
    forward.peek(reading.cache, tokens, layers=(8,))        # (rows, K) candidates; the cache stays as it is
    forward.logits_behind([(1, 2, 3)], keep=2)              # no cache

"shared prefix" keeps a prompt once for all its rows (shared_prefix.py), "plain" a copy a row (row_cache.py).
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from harness.core.models.partial_forward import States
from harness.core.models.row_cache import RowCache, cache_argument, new_cache, positions
from harness.core.models.shared_prefix import SharedPrefix
from harness.core.models.token_policy import Fed

Path = Literal["shared prefix", "plain"]


@dataclass(frozen=True)
class Reading:
    """Prompts as they were read: states (P, longest, H) by layer, and where the P prompts have tokens."""

    cache: RowCache | SharedPrefix
    fed: Fed
    mask: torch.Tensor  # (P, longest) bool


class Forward:
    """Forward passes of one model. Call within torch.inference_mode."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.config = model.config.get_text_config(decoder=True)
        self.depth: int = self.config.num_hidden_layers

    def read_prompts(
        self, prompts: Sequence[tuple[int, ...]], layers: tuple[int, ...], path: Path, revocable: bool = False
    ) -> Reading:
        """Read prompts of any lengths; the rows of a `revocable` cache can forget tokens."""
        ids, mask = self.left_padded(prompts)
        argument = cache_argument(self.model)
        # a shared prefix keeps the tokens of rows by itself, and all of them
        rows = RowCache(new_cache(self.model, whole=revocable and path == "plain"), mask, argument)
        fed = self._read(ids, layers, rows.inputs())
        return Reading(SharedPrefix(rows.layers, mask, argument) if path == "shared prefix" else rows, fed, mask)

    def feed(self, cache: RowCache | SharedPrefix, tokens: torch.Tensor, layers: tuple[int, ...]) -> Fed:
        """Append one token to every row: tokens (rows,)."""
        cache.extend()
        with cache.attention(self.model):
            return self._read(tokens[:, None], layers, cache.inputs())

    def peek(
        self, cache: RowCache | SharedPrefix, tokens: torch.Tensor, layers: tuple[int, ...]
    ) -> Mapping[int, torch.Tensor]:
        """States (rows, K, H) by layer of candidates (rows, K) for the next token."""
        with cache.attention(self.model):
            return cache.peek(partial(self._states, layers), tokens)

    def logits_behind(self, rows: Sequence[tuple[int, ...]], keep: int) -> torch.Tensor:
        """(rows, keep, V) float32 logits behind the last `keep` tokens of each row, rows of any lengths."""
        ids, mask = self.left_padded(rows)
        out = self.model(
            input_ids=ids,
            attention_mask=None if mask.all() else mask.long(),
            position_ids=None if mask.all() else positions(mask),
            logits_to_keep=keep,
        )
        logits: torch.Tensor = out.logits[:, -keep:].float()  # a model may not know logits_to_keep
        return logits

    def left_padded(self, rows: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows, longest) ids and mask, True where a row has a token."""
        longest, device = max(len(row) for row in rows), self.model.device
        ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        return ids, torch.arange(longest, device=device) >= longest - lengths[:, None]

    def states_of(self, ids: torch.Tensor, layers: tuple[int, ...], inputs: Mapping[str, Any]) -> Fed:
        """Logits (rows, V) behind the last of the ids (rows, n), and states (rows, n, H) by layer."""
        inner = tuple(layer for layer in layers if layer < self.depth)
        watched = States(self.model, self.depth, inner) if inner else nullcontext()
        with watched as states:
            out = self.model(input_ids=ids, logits_to_keep=1, output_hidden_states=self.depth in layers, **inputs)
        read = dict(states.read) if states is not None else {}
        if self.depth in layers:
            read[self.depth] = out.hidden_states[-1]
        return Fed(out.logits[:, -1], read)

    def _states(
        self, layers: tuple[int, ...], ids: torch.Tensor, inputs: Mapping[str, Any]
    ) -> Mapping[int, torch.Tensor]:
        """States alone: the forward pass ends at the last block that is wanted."""
        if self.depth in layers:  # behind the model's last norm
            return self._read(ids, layers, inputs).states
        with States(self.model, self.depth, layers, stop=True) as reached:
            self.model(input_ids=ids, use_cache=True, logits_to_keep=1, **inputs)
        return reached.read

    def _read(self, ids: torch.Tensor, layers: tuple[int, ...], inputs: Mapping[str, Any]) -> Fed:
        return self.states_of(ids, layers, {"use_cache": True, **inputs})
