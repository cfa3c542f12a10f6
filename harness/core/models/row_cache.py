"""transformers' own key/value cache, which holds a copy of the prompt for every row: for models that `shared_prefix.py`
does not fit, and for following given texts.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin

Read = Callable[[torch.Tensor, Mapping[str, Any]], Mapping[int, torch.Tensor]]
"""(ids (rows, n), what else the model takes) -> states (rows, n, H) by layer."""


class RowCache:
    """Keys and values of rows in flight, with the same verbs as `SharedPrefix`."""

    def __init__(self, layers: DynamicCache, mask: torch.Tensor, argument: str) -> None:
        """`mask` (rows, positions) bool: which positions of the prompts that are about to be read hold a token.

        `argument` is the name under which the model takes its cache, see `cache_argument`.
        """
        self.layers, self._argument = layers, argument
        self.mask = None if mask.all() else mask  # None: every position of every row
        self._rows, self._device = len(mask), mask.device

    def attention(self, model: PreTrainedModel) -> AbstractContextManager[None]:
        return nullcontext()

    def extend(self) -> None:
        """Make room for a token of every row, which is about to be fed."""
        if self.mask is not None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], 1)

    def inputs(self) -> dict[str, Any]:
        """What the model takes beside the tokens of the positions not yet read."""
        inputs: dict[str, Any] = {self._argument: self.layers, "attention_mask": None, "position_ids": None}
        if self.mask is not None:
            unread = self.mask.shape[1] - self.layers.get_seq_length()
            inputs |= {"attention_mask": self.mask.long(), "position_ids": positions(self.mask)[:, -unread:]}
        return inputs

    def peek(self, read: Read, tokens: torch.Tensor) -> dict[int, torch.Tensor]:
        """States (rows, K, H) of candidates (rows, K) for the next token, read behind copies of the rows."""
        rows, count = tokens.shape
        twin = copy(self)
        twin.layers = copy(self.layers)
        twin.layers.layers = [copy(layer) for layer in self.layers.layers]  # selecting replaces their tensors
        twin.select(torch.arange(rows, device=tokens.device).repeat_interleave(count))
        twin.extend()
        states = read(tokens.reshape(-1, 1), twin.inputs())
        return {layer: state.view(rows, count, -1) for layer, state in states.items()}

    def forget(self, counts: torch.Tensor) -> None:
        """Hide the last counts[j] positions that row j still sees."""
        seen = self.mask
        if seen is None:
            seen = torch.ones(self._rows, self.layers.get_seq_length(), dtype=torch.bool, device=self._device)
        self.mask = hidden(seen, counts)

    def select(self, index: torch.Tensor) -> None:
        """Make row j what row index[j] was; rows may repeat or vanish."""
        self.layers.batch_select_indices(index)
        self.mask, self._rows = None if self.mask is None else self.mask[index], len(index)

    def bytes_per_token(self) -> int:
        """Of one position of one row, while the cache holds a single one."""
        return sum(keys.nbytes + values.nbytes for keys, values in keys_and_values(self.layers))


def keys_and_values(cache: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of every block, each (rows, kv heads, positions, head width), once something was read."""
    found = []
    for layer in cache.layers:
        assert isinstance(layer, CacheLayerMixin) and layer.keys is not None and layer.values is not None
        found.append((layer.keys, layer.values))
    return found


def cache_argument(model: PreTrainedModel) -> str:
    """The name under which a model's forward takes its cache: `cache` from transformers 5.24 on."""
    return "cache" if "cache" in inspect.signature(type(model).forward).parameters else "past_key_values"


def positions(mask: torch.Tensor) -> torch.Tensor:
    """(rows, n) position of every token among those that its row sees."""
    return (mask.long().cumsum(1) - 1).clamp(min=0)


def hidden(seen: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The mask (R, n) with the last counts[j] True places of row j made False."""
    from_the_right = seen.flip(1).cumsum(1).flip(1)
    return seen & (from_the_right > counts[:, None])


class RowScorer:
    """A `TokenScorer` over transformers' own cache; a chunk is read in one pass, ragged rows by their mask."""

    @torch.inference_mode()
    def __init__(self, model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> None:
        """Starts behind left-padded prompts (rows, longest); mask bool, True where there is a token."""
        self._model = model
        self._cache, self._mask = DynamicCache(config=model.config), mask.new_zeros(len(ids), 0)
        self._next = self._read(ids, mask, last_only=True)[:, -1]  # (rows, V) logits behind each row's last token

    @torch.inference_mode()
    def advance(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        logits = self._read(tokens, mask)
        before = torch.cat([self._next[:, None], logits[:, :-1]], 1)  # what each token was predicted by
        chosen = before.gather(2, tokens[..., None])[..., 0] - before.logsumexp(-1)
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(1)
        rows = torch.arange(len(tokens), device=mask.device)
        self._next = torch.where(mask.any(1)[:, None], logits[rows, last], self._next)
        return chosen.masked_fill(~mask, 0.0)

    @torch.inference_mode()
    def reorder(self, index: torch.Tensor) -> None:
        self._cache.batch_select_indices(index)
        self._mask, self._next = self._mask[index], self._next[index]

    def _read(self, tokens: torch.Tensor, mask: torch.Tensor, last_only: bool = False) -> torch.Tensor:
        """(rows, n, V) float32 logits behind each token; those of padding mean nothing."""
        self._mask = torch.cat([self._mask, mask], 1)
        out = self._model(
            input_ids=tokens,
            attention_mask=self._mask.long(),
            position_ids=positions(self._mask)[:, -tokens.shape[1] :],
            use_cache=True,
            logits_to_keep=1 if last_only else 0,
            **{cache_argument(self._model): self._cache},
        )
        logits: torch.Tensor = out.logits.float()
        return logits
