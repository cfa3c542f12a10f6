"""A frozen causal language model of transformers as a `Policy`; `loading.py` makes one by name."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import transformers
from transformers import DynamicCache, PreTrainedModel

from harness.core.errors import UserError
from harness.core.models.cpu_layout import lay_out_for_cpu
from harness.core.models.partial_forward import StatesUpTo
from harness.core.models.policy import Policy
from harness.core.models.row_cache import RowCache, RowScorer, cache_argument, positions
from harness.core.models.rows import Capability
from harness.core.models.shared_prefix import SharedPrefix, fits, sees_everything
from harness.core.models.token_policy import Fed, TokenPolicy
from harness.core.types import Completion, Message, Prompt

_LOGIT_BYTES = 256 * 2**20  # logits held at once while scoring log-probabilities


class TransformersPolicy(TokenPolicy):
    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Any,
        name: str,
        fingerprint: str,
        load: Callable[[str], tuple[PreTrainedModel, Any, str]] | None = None,
    ) -> None:
        """`load` gives another model by name, its tokenizer and fingerprint, and this one again by its own name."""
        self._load = load
        self.engine = {"transformers": transformers.__version__, "torch": torch.__version__}
        self._rendered: dict[tuple[str | None, tuple[Message, ...] | None], tuple[int, ...]] = {}
        gives: set[Capability] = {"text", "logprobs", "states", "token level"}
        self.capabilities = frozenset(gives | ({"weights"} if load is not None else set()))
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name, self.fingerprint = name, fingerprint
        self.device = model.device
        config = model.config.get_text_config()
        self.depth, self.width = config.num_hidden_layers, config.hidden_size
        self.vocabulary: int = config.vocab_size
        self.parameters = model.num_parameters()
        embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
        tied = output.weight is embedding.weight
        self.active_parameters = self.parameters - (0 if tied else sum(p.numel() for p in embedding.parameters()))
        self.eos_ids = _eos_ids(model, tokenizer)
        if self.device.type == "cpu":
            lay_out_for_cpu(model)
        kinds = {type(layer).__name__ for layer in DynamicCache(config=model.config).layers}
        if strange := sorted(kind for kind in kinds if not kind.startswith("Dynamic")):
            raise UserError(
                f"model {name!r} keeps {', '.join(strange)} beside or instead of keys and values; rows of such models "
                "cannot be copied here. Choose a model with attention only"
            )
        self._cache_argument = cache_argument(model)
        # how keys and values are kept: each prompt's once for all its rows, or transformers' own cache, a copy a row
        self.path: Literal["shared prefix", "plain"] = "shared prefix" if fits(self.model) else "plain"

    def scorer(self, prompts: Sequence[tuple[int, ...]]) -> RowScorer:
        return RowScorer(self.model, *self.left_padded(prompts))

    def speaks_like(self, other: Policy) -> bool:
        if not isinstance(other, TransformersPolicy):
            return False
        same: bool = other.tokenizer.get_vocab() == self.tokenizer.get_vocab()
        return same

    def untouched_model(self) -> tuple[PreTrainedModel, Any]:
        """A second copy of the model as transformers loads it, and the tokenizer, for methods that train one."""
        if self._load is None:
            raise UserError(f"model {self.name!r} was not loaded from a folder or the hub: there is no copy to train")
        return self._load(self.name)[:2]

    def other(self, model: str) -> Policy:
        if self._load is None:
            return super().other(model)
        loaded, tokenizer, fingerprint = self._load(model)
        return TransformersPolicy(loaded, tokenizer, model, fingerprint, self._load)

    def with_model(self, model: PreTrainedModel, name: str) -> "TransformersPolicy":
        """This policy over other weights, with the same tokenizer and ends of text."""
        other = TransformersPolicy(model, self.tokenizer, name, f"{self.fingerprint}+{name}")
        other.eos_ids, other._rendered = self.eos_ids, self._rendered
        return other

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The same tokens each time: a chat template may hold a clock, and what is stored names what was read."""
        key = prompt.text, prompt.messages
        if key not in self._rendered:
            self._rendered[key] = self._render(prompt)
        return self._rendered[key]

    def _render(self, prompt: Prompt) -> tuple[int, ...]:
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
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def head_of(self, text: str, tokens: int) -> str:
        return self.text(self.tokens_of(text)[:tokens])

    def tokens_of(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    @torch.inference_mode()
    def prefill(
        self, prompts: Sequence[tuple[int, ...]], layers: tuple[int, ...]
    ) -> tuple[RowCache | SharedPrefix, Fed, torch.Tensor]:
        ids, mask = self.left_padded(prompts)
        cache = RowCache(DynamicCache(config=self.model.config), mask, self._cache_argument)
        fed = self._read(ids, layers, cache.inputs())
        return (
            SharedPrefix(cache.layers, mask, self._cache_argument) if self.path == "shared prefix" else cache,
            fed,
            mask,
        )

    @torch.inference_mode()
    def feed(self, cache: RowCache | SharedPrefix, tokens: torch.Tensor, layers: tuple[int, ...]) -> Fed:
        cache.extend()
        with cache.attention(self.model):
            return self._read(tokens[:, None], layers, cache.inputs())

    @torch.inference_mode()
    def peek(
        self, cache: RowCache | SharedPrefix, tokens: torch.Tensor, layers: tuple[int, ...]
    ) -> Mapping[int, torch.Tensor]:
        with cache.attention(self.model):
            return cache.peek(partial(self._states, layers), tokens)

    def _states(
        self, layers: tuple[int, ...], ids: torch.Tensor, inputs: Mapping[str, Any]
    ) -> Mapping[int, torch.Tensor]:
        """States alone: the forward pass ends at the last block that is wanted."""
        if self.depth in layers:  # behind the model's last norm
            return self._read(ids, layers, inputs).states
        with StatesUpTo(self.model, self.depth, layers) as reached:
            self.model(input_ids=ids, use_cache=True, logits_to_keep=1, **inputs)
        return reached.states

    def _read(self, ids: torch.Tensor, layers: tuple[int, ...], inputs: Mapping[str, Any]) -> Fed:
        out = self.model(input_ids=ids, use_cache=True, logits_to_keep=1, output_hidden_states=bool(layers), **inputs)
        return Fed(out.logits[:, -1], {layer: out.hidden_states[layer] for layer in layers})

    def forget(self, cache: RowCache | SharedPrefix, counts: torch.Tensor) -> None:
        if not sees_everything(self.model.config.get_text_config()):
            raise UserError(
                f"model {self.name!r} attends through sliding windows; methods that take tokens back (cards) need a "
                "model with full attention. Leave the method out, or choose another model"
            )
        cache.forget(counts)

    def reorder(self, cache: RowCache | SharedPrefix, index: torch.Tensor) -> None:
        cache.select(index)

    @torch.inference_mode()
    def logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        longest = max((len(c.tokens) for c in completions), default=0)
        rows = max(1, _LOGIT_BYTES // (4 * self.vocabulary * (longest + 1)))
        out: list[np.ndarray] = []
        for start in range(0, len(completions), rows):
            part = completions[start : start + rows]
            ids, mask = self.left_padded([self.encode(c.prompt) + c.tokens for c in part])
            keep = max(len(c.tokens) for c in part) + 1
            logits = self.model(
                input_ids=ids,
                attention_mask=None if mask.all() else mask.long(),
                position_ids=None if mask.all() else positions(mask.long()),
                logits_to_keep=keep,
            ).logits.float()
            targets = ids[:, -(keep - 1) :] if keep > 1 else ids[:, :0]
            chosen = logits[:, :-1].gather(2, targets[..., None])[..., 0] - logits[:, :-1].logsumexp(-1)
            out += [row[len(row) - len(c.tokens) :].cpu().numpy() for row, c in zip(chosen, part, strict=True)]
        return out

    @torch.inference_mode()
    def row_bytes(self, prompt_tokens: int, new_tokens: int, rows_per_prompt: int) -> int:
        cache, _, _ = self.prefill([(0,)], ())
        token_bytes: int = cache.bytes_per_token()
        shared = self.path == "shared prefix"
        prompt = token_bytes * prompt_tokens // rows_per_prompt if shared else 2 * token_bytes * prompt_tokens
        # what is a row's own exists twice while a batch is reordered; logits in float32 with two copies in sampling
        return prompt + 2 * token_bytes * new_tokens + 3 * 4 * self.vocabulary

    def left_padded(self, rows: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(len(row) for row in rows)
        ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        return ids, torch.arange(longest, device=self.device) >= longest - lengths[:, None]


def _eos_ids(model: PreTrainedModel, tokenizer: Any) -> frozenset[int]:
    """Every id that ends a text: the generation config may name several, the tokenizer another."""
    named = model.generation_config.eos_token_id if model.generation_config else None
    ids = named if isinstance(named, list) else [named]
    return frozenset(i for i in [*ids, tokenizer.eos_token_id] if i is not None)
