"""transformers' own cache, which holds a copy of what was read for every row: for models that `shared_prefix.py` does
not fit, and for following given texts.

    cache = RowCache(new_cache(model, whole=False), mask, argument)
    model(input_ids=(rows, longest), **cache.inputs())      # the prompts
    cache.select(owner)                                     # rows, each a copy of its prompt
    cache.extend()
    model(input_ids=(rows, 1), **cache.inputs())

A block may keep keys and values, all of them or those of a window, or a state of fixed size (Mamba, linear attention).
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionCacheLayerMixin

Read = Callable[[torch.Tensor, Mapping[str, Any]], Mapping[int, torch.Tensor]]
"""(ids (rows, n), what else the model takes) -> states (rows, n, H) by layer."""


class RowCache:
    """What the blocks keep of rows in flight, with the same verbs as `SharedPrefix`."""

    def __init__(self, layers: DynamicCache, mask: torch.Tensor, argument: str) -> None:
        """`mask` (rows, positions) bool: which positions of the prompts that are about to be read hold a token.

        `argument` is the name under which the model takes its cache, see `cache_argument`.
        """
        self.layers, self._argument = layers, argument
        self.mask = None if mask.all() else mask  # None: every position of every row
        self._rows, self._positions, self._device = len(mask), mask.shape[1], mask.device
        self._unread = mask.shape[1]

    def attention(self, model: PreTrainedModel) -> AbstractContextManager[None]:
        return nullcontext()

    def extend(self) -> None:
        """Make room for a token of every row, which is about to be fed."""
        self._positions, self._unread = self._positions + 1, 1
        if self.mask is not None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], 1)

    def inputs(self) -> dict[str, Any]:
        """What the model takes beside the tokens of the positions not yet read."""
        inputs: dict[str, Any] = {self._argument: self.layers, "attention_mask": None, "position_ids": None}
        if self.mask is not None and not (self._unread == 1 and states_alone(self.layers)):
            where = positions(self.mask)[:, -self._unread :]
            inputs |= {"attention_mask": self.mask.long(), "position_ids": where}
        return inputs

    def peek(self, read: Read, tokens: torch.Tensor) -> dict[int, torch.Tensor]:
        """States (rows, K, H) of candidates (rows, K) for the next token, read behind copies of the rows."""
        rows, count = tokens.shape
        twin = copy(self)
        twin.layers = copy(self.layers)
        twin.layers.layers = [_twin(layer) for layer in self.layers.layers]
        twin.select(torch.arange(rows, device=tokens.device).repeat_interleave(count))
        twin.extend()
        states = read(tokens.reshape(-1, 1), twin.inputs())
        return {layer: state.view(rows, count, -1) for layer, state in states.items()}

    def forget(self, counts: torch.Tensor) -> None:
        """Take out the last counts[j] positions of row j; what is left moves together, behind padding on the left.

        So no place is left between tokens that follow each other, where a model that counts places (ALiBi, windows)
        would count it. Raises NotImplementedError for blocks that do not keep all keys and values.
        """
        if not counts.any():
            return
        blocks: list[Any] = [block for block in self.layers.layers if _keeps_anything(block)]
        if kinds := {type(block).__name__ for block in blocks} - {DynamicLayer.__name__}:
            raise NotImplementedError(f"{', '.join(sorted(kinds))} cannot go back to an earlier token")
        seen = self.mask
        if seen is None:
            seen = torch.ones(self._rows, self._positions, dtype=torch.bool, device=self._device)
        left = hidden(seen, counts)
        lengths = left.sum(1)  # (rows,)
        self._positions = int(lengths.max())
        kept = left.long().argsort(dim=1, stable=True)[
            :, -self._positions :
        ]  # (rows, longest) the seen places come last
        mask = torch.arange(self._positions, device=self._device) >= self._positions - lengths[:, None]
        for block in blocks:
            block.keys, block.values = _gathered(block.keys, kept), _gathered(block.values, kept)
        self.mask = None if mask.all() else mask

    def select(self, index: torch.Tensor) -> None:
        """Make row j what row index[j] was; rows may repeat or vanish."""
        self.layers.reorder_cache(index)  # type: ignore[arg-type]  # a LongTensor by its dtype
        self.mask, self._rows = None if self.mask is None else self.mask[index], len(index)

    def nbytes(self) -> int:
        """Of all that the blocks keep."""
        return sum(tensor.nbytes for layer in self.layers.layers for tensor in _tensors(layer))


def new_cache(model: PreTrainedModel, whole: bool) -> DynamicCache:
    """An empty cache as the model's config asks for it; `whole` keeps everything where a window would drop tokens.

    What a window hides is then hidden by the mask, and a row can go back to tokens that a window had dropped.
    """
    cache = DynamicCache(config=model.config)
    if whole:
        cache.layers = [DynamicLayer() if type(kind) is DynamicSlidingWindowLayer else kind for kind in cache.layers]
    return cache


def _keeps_anything(block: Any) -> bool:
    """Whether it keeps keys and values or a state of its own: some blocks read those of others, or none."""
    return isinstance(block, LinearAttentionCacheLayerMixin) or block.keys is not None


def _gathered(held: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """(rows, kv heads, n, width) of (rows, kv heads, positions, width) at the places kept (rows, n)."""
    return held.gather(2, kept[:, None, :, None].expand(-1, held.shape[1], -1, held.shape[3]))


def _twin(layer: Any) -> Any:
    """A block's part of the cache that can be reordered and written without changing the layer.

    Reordering replaces tensors, so they need no copies; the dicts that hold them do.
    """
    twin = copy(layer)
    for name, held in vars(layer).items():
        if isinstance(held, dict):
            setattr(twin, name, dict(held))
    return twin


def _tensors(layer: Any) -> Iterator[torch.Tensor]:
    """The tensors of one block's part: keys and values, or states by number."""
    for held in vars(layer).values():
        for tensor in held.values() if isinstance(held, dict) else (held,):
            if isinstance(tensor, torch.Tensor) and tensor.dim() > 0:  # a window's size is a tensor as well
                yield tensor


def keys_and_values(cache: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of every block, each (rows, kv heads, positions, head width), once something was read.

    Raises NotImplementedError where a block keeps anything else.
    """
    found, layers = list[tuple[torch.Tensor, torch.Tensor]](), list[Any](cache.layers)
    for layer in layers:
        if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) or layer.keys is None:
            raise NotImplementedError(f"{type(layer).__name__} keeps no keys and values")
        found.append((layer.keys, layer.values))
    return found


def keeps_states(cache: DynamicCache) -> bool:
    """Whether a block keeps a state that each token overwrites, beside or instead of keys and values."""
    return any(isinstance(layer, LinearAttentionCacheLayerMixin) for layer in cache.layers)


def states_alone(cache: DynamicCache) -> bool:
    """Whether no block keeps keys and values: padding is then in no place that a mask would have to hide."""
    return all(cache.is_linear)


def cache_argument(model: PreTrainedModel) -> str:
    """The name under which a model's forward takes its cache: `cache` from transformers 5.24 on.

    Raises NotImplementedError for a model that takes none, such as RWKV, whose `state` is something else.
    """
    arguments = inspect.signature(type(model).forward).parameters
    for name in ("cache", "past_key_values", "cache_params"):  # the last is Mamba's before 5.24
        if name in arguments:
            return name
    raise NotImplementedError(f"the forward pass of {type(model).__name__} takes no cache")


def positions(mask: torch.Tensor) -> torch.Tensor:
    """(rows, n) position of every token among those that its row sees."""
    return (mask.long().cumsum(1) - 1).clamp(min=0)


def hidden(seen: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The mask (R, n) with the last counts[j] True places of row j made False."""
    from_the_right = seen.flip(1).cumsum(1).flip(1)
    return seen & (from_the_right > counts[:, None])
