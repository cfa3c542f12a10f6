"""A frozen causal language model of transformers as a `Policy`; `loading.py` makes one by name."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
import transformers
from transformers import PreTrainedModel

from harness.core.errors import UserError
from harness.core.models.cpu_layout import lay_out_for_cpu
from harness.core.models.forward import Forward, Path
from harness.core.models.model_settings import AS_BEFORE, ModelSettings
from harness.core.models.policy import Policy
from harness.core.models.rendering import Rendering, render
from harness.core.models.row_cache import RowCache
from harness.core.models.row_scorer import RowScorer
from harness.core.models.rows import Capability
from harness.core.models.shared_prefix import SharedPrefix
from harness.core.models.text_in_context import head_of, puts_a_blank_first, tokens_behind
from harness.core.models.token_policy import Fed, TokenPolicy
from harness.core.models.trial import LONGEST, Trial, tried
from harness.core.models.windows import longest_text, smallest_window
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
        trials: Mapping[Path, Trial] | None = None,
        settings: ModelSettings = AS_BEFORE,
    ) -> None:
        """`load` gives another model by name, its tokenizer and fingerprint, and this one again by its own name.

        `trials` are those of the same architecture with other weights. Raises UserError for a model whose rows cannot
        be continued rightly.
        """
        self._load, self._settings = load, settings
        self.engine = {"transformers": transformers.__version__, "torch": torch.__version__}
        self._rendered: dict[tuple[str | None, tuple[Message, ...] | None], tuple[int, ...]] = {}
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name, self.fingerprint = name, fingerprint
        self.device = model.device
        self._forward = Forward(model)
        config = self._forward.config
        self.depth, self.width = self._forward.depth, config.hidden_size
        self.vocabulary: int = config.vocab_size
        self.parameters = model.num_parameters()
        embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
        tied = output is None or output.weight is embedding.weight
        self.active_parameters = self.parameters - (0 if tied else sum(p.numel() for p in embedding.parameters()))
        self.eos_ids = _eos_ids(model, tokenizer)
        if self.device.type == "cpu":
            lay_out_for_cpu(model)
        self.context = longest_text(config)
        self._window = smallest_window(model)
        self._trials = self._try_out() if trials is None else dict(trials)
        # how keys and values are kept: each prompt's once for all its rows, or transformers' own cache, a copy a row
        self.path: Path = next(iter(self._trials))
        gives: set[Capability] = {"text", "logprobs", "token level"}
        if all(trial.states for trial in self._trials.values()):
            gives.add("states")
        if any(trial.take_back for trial in self._trials.values()):
            gives.add("take back")
        if load is not None:
            gives.add("weights")
        self.capabilities = frozenset(gives)

    def scorer(self, prompts: Sequence[tuple[int, ...]]) -> RowScorer:
        return RowScorer(self.model, *self._forward.left_padded(prompts), self.context)

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
        return TransformersPolicy(loaded, tokenizer, model, fingerprint, self._load, settings=self._settings)

    def with_model(self, model: PreTrainedModel, name: str) -> "TransformersPolicy":
        """This policy over other weights, with the same tokenizer and ends of text."""
        other = TransformersPolicy(
            model, self.tokenizer, name, f"{self.fingerprint}+{name}", None, self._trials, self._settings
        )
        other.eos_ids, other._rendered = self.eos_ids, self._rendered
        return other

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The same tokens each time: a chat template may hold a clock, and what is stored names what was read."""
        key = prompt.text, prompt.messages
        if key not in self._rendered:
            self._rendered[key] = render(prompt, self._rendering)
        return self._rendered[key]

    def forget_prompts(self) -> None:
        self._rendered.clear()

    @property
    def _rendering(self) -> Rendering:
        settings = self._settings
        template = settings.chat_template_kwargs
        return Rendering(self.name, self.tokenizer, self.eos_ids, settings.system_prompt, template)

    def text(self, tokens: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def head_of(self, text: str, tokens: int) -> str:
        return head_of(text, tokens, self._tokens, self.text)

    def tokens_of(self, text: str) -> tuple[int, ...]:
        return tokens_behind(text, self._tokens) if self._blank_first else self._tokens(text)

    @cached_property
    def _blank_first(self) -> bool:
        return puts_a_blank_first(self._tokens, self.text)

    def _tokens(self, text: str) -> tuple[int, ...]:
        """Of a text that nothing stands before, without special ones."""
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def prefill(
        self, prompts: Sequence[tuple[int, ...]], layers: tuple[int, ...], room: int, revocable: bool
    ) -> tuple[RowCache | SharedPrefix, Fed, torch.Tensor]:
        positions = max(map(len, prompts)) + room
        path = self._path_of(positions)
        if not self._trial(path).agrees or (revocable and not self._trial(path).take_back):
            raise UserError(
                f"model {self.name!r} attends through windows of {self._window} tokens, and prompts with their answers "
                f"have up to {positions}: there its rows cannot {'take tokens back' if revocable else 'be copied'}. "
                "Shorten prompts or sampler.max_new_tokens, or choose another method or model"
            )
        with torch.inference_mode():
            reading = self._forward.read_prompts(prompts, layers, path, revocable)
        return reading.cache, reading.fed, reading.mask

    @torch.inference_mode()
    def feed(self, cache: RowCache | SharedPrefix, tokens: torch.Tensor, layers: tuple[int, ...]) -> Fed:
        return self._forward.feed(cache, tokens, layers)

    @torch.inference_mode()
    def peek(
        self, cache: RowCache | SharedPrefix, tokens: torch.Tensor, layers: tuple[int, ...]
    ) -> Mapping[int, torch.Tensor]:
        return self._forward.peek(cache, tokens, layers)

    @torch.inference_mode()
    def forget(self, cache: RowCache | SharedPrefix, counts: torch.Tensor) -> None:
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
            texts = [self.encode(c.prompt) + c.tokens for c in part]
            self.require_room([c.prompt for c in part], [len(c.tokens) for c in part])
            keep = max(len(c.tokens) for c in part) + 1
            logits = self._forward.logits_behind(texts, keep)[:, :-1]  # (rows, keep - 1, V)
            ids = self._forward.left_padded(texts)[0]
            targets = ids[:, -(keep - 1) :] if keep > 1 else ids[:, :0]
            chosen = logits.gather(2, targets[..., None])[..., 0] - logits.logsumexp(-1)
            out += [row[len(row) - len(c.tokens) :].cpu().numpy() for row, c in zip(chosen, part, strict=True)]
        return out

    def row_bytes(self, prompt_tokens: int, new_tokens: int, rows_per_prompt: int) -> int:
        state_bytes, token_bytes = self._cache_bytes
        shared = self._path_of(prompt_tokens + new_tokens) == "shared prefix"
        prompt = token_bytes * prompt_tokens // rows_per_prompt if shared else 2 * token_bytes * prompt_tokens
        # what is a row's own exists twice while a batch is reordered; logits in float32 with two copies in sampling
        return prompt + 2 * (state_bytes + token_bytes * new_tokens) + 3 * 4 * self.vocabulary

    @cached_property
    def _cache_bytes(self) -> tuple[int, int]:
        """What a row keeps whatever its length, and for each of its tokens."""
        with torch.inference_mode():
            one, two = (self._forward.read_prompts([(0,) * n], (), "plain").cache for n in (1, 2))
        assert isinstance(one, RowCache) and isinstance(two, RowCache)
        token_bytes = two.nbytes() - one.nbytes()
        return one.nbytes() - token_bytes, token_bytes

    def _path_of(self, positions: int) -> Path:
        """How rows of so many tokens, prompt and answer, are kept: only the plain path knows windows."""
        fits = self._window is None or positions <= self._window
        return self.path if fits else "plain"

    def _try_out(self) -> dict[Path, Trial]:
        """The paths that rows may take, the faster first. Raises UserError where none agrees with plain forwards."""
        self._trials = {}
        if self._window is None:
            paths: tuple[Path, ...] = ("shared prefix",) if self._trial("shared prefix").agrees else ("plain",)
        else:  # texts beyond the window take the plain path, and a window that shows in the trial leaves no other
            paths = ("shared prefix", "plain") if self._window >= LONGEST else ("plain",)
        trials = {path: self._trial(path) for path in paths}
        agreeing = {path: trial for path, trial in trials.items() if trial.agrees}
        if not agreeing:
            raise UserError(f"model {self.name!r} is refused: {trials['plain'].reason}. Choose another model")
        return agreeing

    def _trial(self, path: Path) -> Trial:
        if path not in self._trials:
            special = set(self.tokenizer.all_special_ids)
            vocabulary = [i for i in range(self.vocabulary) if i not in special]
            self._trials[path] = tried(self._forward, path, vocabulary)
        return self._trials[path]


def _eos_ids(model: PreTrainedModel, tokenizer: Any) -> frozenset[int]:
    """Every id that ends a text: the generation config may name several, the tokenizer another."""
    named = model.generation_config.eos_token_id if model.generation_config else None
    ids = named if isinstance(named, list) else [named]
    return frozenset(i for i in [*ids, tokenizer.eos_token_id] if i is not None)
