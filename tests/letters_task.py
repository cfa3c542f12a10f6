"""A task of small texts for tiny models: go on behind a few letters; the proxy counts a against b, the gold almost."""

from collections.abc import Sequence

import numpy as np

from harness.core.task import GOLD, Task
from harness.core.types import Completion, Prompt, Scorer

_LETTERS = "abcdefghijklmnopqrstuvwxyz ."


class Letters(Task):
    """A hundred prompts of 3 to 14 letters."""

    source = "made here"

    def examples(self) -> Sequence[Prompt]:
        rng = np.random.default_rng(0)
        texts = ["".join(rng.choice(list(_LETTERS), size=rng.integers(3, 15))) for _ in range(100)]
        return [Prompt(f"p{i:03d}", text=text) for i, text in enumerate(texts)]

    def reward(self) -> Scorer:
        return _proxy

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        return {GOLD: np.array([c.text.count("a") - 0.7 * c.text.count("b") for c in completions], dtype=np.float32)}


def _proxy(completions: Sequence[Completion]) -> np.ndarray:
    return np.array([c.text.count("a") - c.text.count("b") + len(c.text) / 64 for c in completions], dtype=np.float32)
