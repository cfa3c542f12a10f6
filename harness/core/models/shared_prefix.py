"""A key/value cache that keeps each prompt once for all of its rows, and attention that reads it in two parts.

cache = SharedPrefix(prefilled, mask, argument)      # keys and values of P prompts, read by the model's own forward
cache.select(owner)                        # R rows, each continuing prompt owner[j]
cache.extend()
with cache.attention(model):
    model(input_ids=(R, 1), **cache.inputs())

A row's query meets the prompt's keys in one matrix product for all rows of the prompt, then the row's own keys; one
softmax runs over both. A prompt is so read once a step instead of once a row, and never copied when rows are reordered.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin

from harness.core.models.row_cache import Read, hidden, keys_and_values

_NAME = "shared_prefix"  # among transformers' attention functions
_GROWTH = 32  # positions a row's own cache grows by


class SharedPrefix(Cache):
    """Keys and values of P prompts and of what R rows have written since; every row has written as many tokens."""

    def __init__(self, prefilled: DynamicCache, mask: torch.Tensor, argument: str) -> None:
        """`prefilled` holds left-padded prompts, mask (P, longest) bool is True where a prompt has a token.

        `argument` is the name under which the model takes its cache.
        """
        self._argument = argument
        read = keys_and_values(prefilled)
        self.blocks = [_Layer(keys, values) for keys, values in read]
        super().__init__(layers=list(self.blocks))
        self.lengths = mask.sum(1)  # (P,)
        dtype = read[0][0].dtype
        lowest = torch.finfo(dtype).min
        padding = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
        self.bias = None if mask.all() else padding.masked_fill(~mask, lowest)[:, None, None, None]  # (P, 1, 1, 1, L)
        self.owner = torch.arange(len(mask), device=mask.device)  # (R,) prompt of each row
        self.seen: torch.Tensor | None = None  # (R, n) bool: own positions not taken back; None: all
        self._group()

    def forget(self, counts: torch.Tensor) -> None:
        """Hide the last counts[j] positions that row j still sees."""
        if self.seen is None:
            self.seen = torch.ones(len(self.owner), self.blocks[0].length, dtype=torch.bool, device=counts.device)
        self.seen = hidden(self.seen, counts)

    def extend(self) -> None:
        """Make room for a token of every row, which is about to be fed."""
        if self.seen is not None:
            self.seen = torch.cat([self.seen, self.seen.new_ones(len(self.owner), 1)], 1)

    def inputs(self) -> dict[str, Any]:
        """What the model takes beside the token that is about to be fed."""
        own = self.blocks[0].length if self.seen is None else self.seen.sum(1) - 1
        return {self._argument: self, "shared": self, "position_ids": (self.lengths[self.owner] + own)[:, None]}

    def attention(self, model: PreTrainedModel) -> AbstractContextManager[None]:
        return decoding(model)

    def peek(self, read: Read, tokens: torch.Tensor) -> Mapping[int, torch.Tensor]:
        """States (R, K, H) of candidates (R, K) for the next token: they see the row, not each other."""
        own = self.blocks[0].length if self.seen is None else self.seen.sum(1)
        where = (self.lengths[self.owner] + own)[:, None].expand(tokens.shape)
        for layer in self.blocks:
            layer.reading = True
        try:
            return read(tokens, {self._argument: self, "shared": self, "position_ids": where})
        finally:
            for layer in self.blocks:
                layer.reading = False

    def select(self, index: torch.Tensor) -> None:
        """Make row j what row index[j] was; rows may repeat or vanish."""
        self.owner = self.owner[index]
        self.seen = None if self.seen is None else self.seen[index]
        for layer in self.blocks:
            layer.select(index)
        self._group()

    def _group(self) -> None:
        """Where rows stand among their prompt's: `cell` in a (P, most) grid, None where they fill it in order."""
        # rank: the how-manieth row of its prompt a row is, by sorting rows by prompt and subtracting where each begins
        counts = torch.bincount(self.owner, minlength=len(self.lengths))  # (P,)
        order = self.owner.argsort(stable=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[self.owner[order]]
        self.most = int(counts.max())
        cell = self.owner * self.most + rank
        full = len(cell) == len(self.lengths) * self.most
        self.cell = None if full and bool((cell == torch.arange(len(cell), device=cell.device)).all()) else cell

    def by_prompt(self, rows: torch.Tensor) -> torch.Tensor:
        """(R, kv, g, n) -> (P, kv, most, g, n), zero where a prompt has fewer rows."""
        if self.cell is not None:
            grid = rows.new_zeros(len(self.lengths) * self.most, *rows.shape[1:])
            grid[self.cell] = rows
            rows = grid
        return rows.view(len(self.lengths), self.most, *rows.shape[1:]).transpose(1, 2)

    def by_row(self, grid: torch.Tensor) -> torch.Tensor:
        """(P, kv, most, g, n) -> (R, kv, g, n): undoes `by_prompt`."""
        rows = grid.transpose(1, 2).flatten(0, 1)
        return rows if self.cell is None else rows[self.cell]


class _Layer(CacheLayerMixin):
    """One block's keys and values: of the prompts (P, kv, L, D), and of the rows (R, kv, capacity, D)."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers'
        self.prompt_keys, self.prompt_values = keys, values
        shape = (len(keys), keys.shape[1], 0, keys.shape[3])
        self.keys, self.values = keys.new_empty(shape), values.new_empty((*shape[:3], values.shape[3]))
        self.length = 0
        self.reading = False
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        pass

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append one position (R, kv, 1, D) and hand out the rows' own keys and values (R, kv, n, D).

        While candidates are read (R, kv, K, D), they are handed out behind the rows' own, and nothing is appended.
        """
        if self.reading:
            own = self.keys[:, :, : self.length], self.values[:, :, : self.length]
            return torch.cat([own[0], key_states], 2), torch.cat([own[1], value_states], 2)
        if self.length == self.keys.shape[2]:
            # growing by blocks instead of by one position copies the cache once in _GROWTH tokens
            self.keys, self.values = self._grown(self.keys), self._grown(self.values)
        self.keys[:, :, self.length] = key_states[:, :, 0]
        self.values[:, :, self.length] = value_states[:, :, 0]
        self.length += 1
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def _grown(self, old: torch.Tensor) -> torch.Tensor:
        new = old.new_empty(*old.shape[:2], self.length + _GROWTH, old.shape[3])
        new[:, :, : self.length] = old
        return new

    def select(self, index: torch.Tensor) -> None:
        self.keys, self.values = (self._selected(old, index) for old in (self.keys, self.values))

    def _selected(self, old: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        new = old.new_empty(len(index), *old.shape[1:])
        new[:, :, : self.length] = old[index, :, : self.length]
        return new

    def get_seq_length(self) -> int:
        return self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_max_length(self) -> int:
        return -1


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    shared: SharedPrefix,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    position_bias: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of K queries a row (R, heads, K, D) over its prompt and over its own keys (R, kv, n, D).

    K > 1 are candidates: the last K keys are theirs, and each sees its own of them only.
    """
    if any(extra is not None for extra in (softcap, s_aux, position_bias)):
        raise NotImplementedError("soft caps, sinks and position biases")
    block: Any = module.layer_idx
    layer = shared.blocks[block]
    rows, heads, count, dim = query.shape
    kv = key.shape[1]
    prompts, longest = len(layer.prompt_keys), layer.prompt_keys.shape[2]
    query = query.reshape(rows, kv, -1, dim) * (dim**-0.5 if scaling is None else scaling)  # g = heads / kv * K
    # 1. each row against its own keys: few of them, so one small product a row
    own = query @ key.transpose(2, 3)  # (R, kv, g, n)
    if count > 1:
        others = ~torch.eye(count, dtype=torch.bool, device=own.device)
        own.view(rows, heads, count, -1)[..., -count:].masked_fill_(others, torch.finfo(own.dtype).min)
    if shared.seen is not None:
        taken_back = ~shared.seen[:, None, None]  # (R, 1, 1, positions that are not candidates)
        own[..., : taken_back.shape[-1]].masked_fill_(taken_back, torch.finfo(own.dtype).min)
    # 2. all rows of a prompt against its keys in one product: the prompt's keys are read once, not once a row
    grid = shared.by_prompt(query)  # (P, kv, most, g, D)
    shape = grid.shape[:4]
    scores = (grid.reshape(prompts, kv, -1, dim) @ layer.prompt_keys.transpose(2, 3)).view(*shape, longest)
    if shared.bias is not None:
        scores += shared.bias
    # 3. one softmax over both parts, in float32 as transformers does
    weights = torch.cat([scores, shared.by_prompt(own)], -1).softmax(-1, dtype=torch.float32).to(query.dtype)
    read = weights.flatten(2, 3)[..., :longest] @ layer.prompt_values
    out = shared.by_row(read.view(*shape, -1)) + shared.by_row(weights[..., longest:]) @ value  # (R, kv, g, D)
    return out.reshape(rows, heads, count, -1).transpose(1, 2), None


AttentionInterface.register(_NAME, _attend)


@contextmanager
def decoding(model: PreTrainedModel) -> Iterator[None]:
    """Within, the model attends through a SharedPrefix, which its forward is given as `shared`."""
    before = model.config._attn_implementation
    model.config._attn_implementation = _NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
