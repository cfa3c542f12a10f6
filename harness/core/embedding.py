"""Texts as vectors, by all-MiniLM-L6-v2: what similarities of meaning rest on.

Embedding(cache)(["a cat", "a small cat"])      # (2, 384)
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.assets import minilm


class Embedding:
    """The mean of MiniLM's states, as its makers take them. The model is loaded when it is first asked."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer

        folder = minilm(self._cache)
        return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> (n, width), each by itself, so that none depends on the others."""
        import torch

        tokenizer, model = self._model
        rows = []
        with torch.inference_mode():
            for text in texts:
                batch = tokenizer([text], truncation=True, max_length=256, return_tensors="pt")
                rows.append(model(**batch).last_hidden_state[0].mean(0).numpy())
        return np.stack(rows)
