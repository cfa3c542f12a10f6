"""The first blocks of a causal model, which read texts for a value function: any tokenizer, nothing is written.

    model = handle.value_model(EMBEDDED, blocks=9)           # metered: every token read is booked
    followed = model.follow([prompt_tokens, ...])            # each prompt is read once
    followed.select(owner)                                   # rows, each behind its prompt
    states = followed.read(tokens, mask)                     # (rows, n, H) of what rows go on with
    followed.forget(counts)                                  # rows whose last tokens became others

The states are those behind the model's last norm. A model is tried when it is loaded: rows that are copied, that forget
and read on must have the states of a forward pass over each text alone.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from harness.core.errors import UserError
from harness.core.models.loading import load_model
from harness.core.models.partial_forward import blocks_of
from harness.core.models.rendering import Rendering, render
from harness.core.models.row_cache import RowCache, cache_argument, new_cache
from harness.core.models.text_in_context import puts_a_blank_first, tokens_behind
from harness.core.models.windows import longest_text, smallest_window
from harness.core.types import Completion, Message, Prompt

_ROWS, _MEMORY = 64, 2**30  # most texts read together, and most memory for their keys and values
_AGREES = 1e-3  # of the size of a state: rounding stays far below
# what a model's code raises where it knows no such cache, argument or length
_UNFIT = (TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError, LookupError, AssertionError)


@dataclass(frozen=True)
class ValueModel:
    """A causal model without its output layer, its tokenizer, and who pays for what it reads."""

    name: str
    fingerprint: str  # of all files that it was loaded from
    blocks: int
    decoder: PreTrainedModel
    tokenizer: Any
    book: Callable[[int], None] = field(repr=False)  # tokens read, on the ledger's open phase

    @property
    def width(self) -> int:
        size: int = self.decoder.config.get_text_config(decoder=True).hidden_size
        return size

    @property
    def device(self) -> torch.device:
        return self.decoder.device

    @property
    def flops(self) -> float:
        """Of a token read, two a weight but for the embedding, in which it is looked up."""
        embedding = sum(p.numel() for p in self.decoder.get_input_embeddings().parameters())
        return 2.0 * (sum(p.numel() for p in self.decoder.parameters()) - embedding)

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """A prompt's tokens here. Messages go through the chat template, or stand as `role: text` where none is."""
        if prompt.messages is not None and not self.tokenizer.chat_template:
            prompt = Prompt(prompt.id, text=plain_chat(prompt.messages))
        return render(prompt, Rendering(self.name, self.tokenizer, self._ends))

    def encode_behind(self, text: str, ended: bool) -> tuple[int, ...]:
        """Tokens of an answer so far, which stand behind the prompt's; `ended` puts the end-of-sequence token there."""
        ids = tokens_behind(text, self._tokens) if self._blank_first else self._tokens(text)
        return (*ids, *sorted(self._ends)[:1]) if ended else ids

    def follow(self, prompts: Sequence[tuple[int, ...]]) -> "Followed":
        return Followed(self, prompts)

    def untouched(self) -> PreTrainedModel:
        """A second copy of the blocks, to train."""
        return deepcopy(self.decoder)

    def over(self, decoder: PreTrainedModel) -> "ValueModel":
        """The same over other weights."""
        decoder.eval().requires_grad_(False)
        return replace(self, decoder=decoder)

    def rows_together(self, texts: Sequence[Completion]) -> int:
        """How many of such texts are read in one batch: as many as memory for their keys and values allows."""
        longest = max(len(self.encode(c.prompt)) + len(self.encode_behind(c.text, True)) for c in texts)
        return max(1, min(_ROWS, _MEMORY // (3 * longest * self._token_bytes)))  # copied, and grown, as they go on

    @cached_property
    def _token_bytes(self) -> int:
        cache = _Ragged(new_cache(self.decoder, whole=True), _tensor([[True]], self), cache_argument(self.decoder))
        with torch.inference_mode():
            self.decoder(input_ids=_tensor([[0]], self), use_cache=True, **cache.inputs())
        return cache.nbytes()

    def require_room(self, tokens: int) -> None:
        """Raises UserError for texts that are longer than the model reads."""
        limits = [size for size in (longest_text(self.decoder.config), smallest_window(self.decoder)) if size]
        if limits and tokens > min(limits):
            raise UserError(
                f"a text of {tokens} tokens is longer than the {min(limits)} that the value model {self.name!r} reads. "
                "Shorten prompts or sampler.max_new_tokens, or choose another value.lm.model"
            )

    @cached_property
    def _ends(self) -> frozenset[int]:
        return frozenset() if self.tokenizer.eos_token_id is None else frozenset({self.tokenizer.eos_token_id})

    @cached_property
    def _blank_first(self) -> bool:
        return puts_a_blank_first(self._tokens, self._text)

    def _tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def plain_chat(messages: Sequence[Message]) -> str:
    """Messages as one text, for whoever knows no chat template: a line each, and the assistant's begun."""
    return "".join(f"{message.role}: {message.content}\n" for message in messages) + "assistant:"


class Followed:
    """Rows of texts as a value model reads them: keys and values are carried, copied with their rows and cut back."""

    @torch.inference_mode()
    def __init__(self, model: ValueModel, prompts: Sequence[tuple[int, ...]]) -> None:
        """Reads P prompts, a row each."""
        self._model = model
        model.require_room(max(map(len, prompts)))
        longest = max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in prompts], device=model.device)
        lengths = torch.tensor([len(row) for row in prompts], device=model.device)
        self.mask = torch.arange(longest, device=model.device) >= longest - lengths[:, None]  # (P, longest) of prompts
        self._cache = _Ragged(new_cache(model.decoder, whole=True), self.mask, cache_argument(model.decoder))
        model.book(int(lengths.sum()))
        self.prompt_states = self._states(ids, self.mask)  # (P, longest, H), zero where there is no token

    @torch.inference_mode()
    def read(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(rows, n, H) states of the tokens that rows go on with, zero where the mask (rows, n) is False."""
        self._model.book(int(mask.sum()))
        self._cache.extend_by(mask)
        return self._states(tokens, mask)

    @torch.inference_mode()
    def forget(self, counts: torch.Tensor) -> None:
        """Take back the last counts[j] tokens of row j."""
        self._cache.forget(counts)

    @torch.inference_mode()
    def select(self, index: torch.Tensor) -> None:
        """Make row j what row index[j] was; rows may repeat or vanish."""
        self._cache.select(index)

    def _states(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        out = self._model.decoder(input_ids=tokens, use_cache=True, **self._cache.inputs())
        states: torch.Tensor = out.last_hidden_state.float()
        return states * mask[..., None]


class _Ragged(RowCache):
    """Rows that go on with different numbers of tokens."""

    def extend_by(self, mask: torch.Tensor) -> None:
        """Make room for the tokens of a chunk (rows, n), which is about to be read."""
        if self.mask is None and not mask.all():
            self.mask = mask.new_ones(len(mask), self._positions)
        self._positions, self._unread = self._positions + mask.shape[1], mask.shape[1]
        if self.mask is not None:
            self.mask = torch.cat([self.mask, mask], 1)


_LOADED: WeakKeyDictionary[Any, dict[tuple[str, int], ValueModel]] = WeakKeyDictionary()


def value_model(
    name: str, blocks: int, device: torch.device, cache: Path, book: Callable[[int], None], owner: object
) -> ValueModel:
    """Load the first blocks of a model, or take those that were loaded for this owner before, and meter them.

    Raises UserError where it cannot be found, has fewer blocks, or cannot be followed rightly.
    """
    loaded = _LOADED.setdefault(owner, {})
    if (name, blocks) not in loaded:
        loaded[name, blocks] = _load(name, blocks, device, cache)
    return replace(loaded[name, blocks], book=book)


def _load(name: str, blocks: int, device: torch.device, cache: Path) -> ValueModel:
    try:
        model, tokenizer, fingerprint = load_model(name, str(device), "float32", cache)
    except UserError as error:
        raise UserError(f"value.lm.model={name!r}: {str(error).replace('--model', 'model')}") from error
    try:
        decoder = first_blocks(model, blocks)
    except NotImplementedError as error:
        raise UserError(f"value.lm.model={name!r}: {error}; choose another model") from error
    found = ValueModel(name, fingerprint, blocks, decoder, tokenizer, lambda tokens: None)
    if not (off := _error_of(found)) < _AGREES:
        why = "it keeps no keys and values that rows could go back to"
        if off < float("inf"):
            why = f"its states then differ by {off:.2g} of their size from those of a plain forward pass"
        raise UserError(
            f"value.lm.model={name!r} cannot be followed chunk by chunk: {why}. Choose another causal model"
        )
    return found


def first_blocks(model: PreTrainedModel, blocks: int) -> PreTrainedModel:
    """The language model without its output layer and the blocks behind the first ones. Changes the model."""
    decoder: PreTrainedModel = model.get_decoder()
    config = decoder.config.get_text_config(decoder=True)
    depth: int = config.num_hidden_layers
    if blocks > depth:
        raise UserError(f"value.lm.blocks={blocks}: {type(model).__name__} has {depth}; give at most that")
    del blocks_of(decoder, depth)[blocks:]
    if getattr(config, "layer_types", None):  # what the cache is made by, where blocks differ
        config.layer_types = config.layer_types[:blocks]
    config.num_hidden_layers = blocks
    decoder.eval().requires_grad_(False)
    return decoder


def _error_of(model: ValueModel) -> float:
    """The largest difference of a row's states from a plain forward's, over their size; inf where the model raises."""
    special = set(model.tokenizer.all_special_ids)
    known = [i for i in range(len(model.tokenizer)) if i not in special]
    drawn = (known[7919 * i % len(known)] for i in range(1, 100))
    prompts = [tuple(islice(drawn, 5)), tuple(islice(drawn, 2))]
    rows, read = [prompts[0], prompts[0], prompts[1]], [torch.zeros(0, model.width, device=model.device)] * 3
    try:
        followed = model.follow(prompts)
        followed.select(_tensor([0, 0, 1], model))
        for sizes, back in (((3, 1, 2), (0, 0, 0)), ((1, 3, 2), (2, 0, 1))):
            followed.forget(_tensor(back, model))
            parts = [tuple(islice(drawn, n)) for n in sizes]
            states = followed.read(*padded(parts, model.device))
            for i, (part, n) in enumerate(zip(parts, back, strict=True)):
                rows[i] = rows[i][: len(rows[i]) - n] + part
                read[i] = torch.cat([read[i][: len(read[i]) - n], states[i, : len(part)]])
        return max(_relative(states, row, model) for states, row in zip(read, rows, strict=True))
    except torch.OutOfMemoryError:
        raise
    except _UNFIT:
        return float("inf")


@torch.inference_mode()
def _relative(got: torch.Tensor, row: tuple[int, ...], model: ValueModel) -> float:
    """Of the states (n, H) of a row's last n tokens."""
    exact = model.decoder(input_ids=_tensor([row], model), use_cache=False).last_hidden_state[0, -len(got) :].float()
    return float(((got - exact).norm() / exact.norm()).nan_to_num(torch.inf))


def padded(rows: Sequence[tuple[int, ...]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token lists as a right-padded batch (rows, n), and its mask."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device, dtype=torch.long)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(longest, device=device) < lengths[:, None]


def _tensor(values: Any, model: ValueModel) -> torch.Tensor:
    return torch.tensor(values, device=model.device)
