"""The enumerable toy as a task: three-letter texts whose rewards are counts, in seconds and without a download.

python -m harness run --task toy --method iro
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.task import Slice, Task
from harness.core.types import Completion, Prompt, Scorer

COUNTS: dict[Slice, int] = {"fit": 600, "development": 100, "test": 400, "reserve": 0}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ToyConfig:
    topics: Annotated[int, Field(ge=1, le=2, description="tables of the toy policy in use (harness)")] = 2


def proxy_of(text: str) -> float:
    """a counts 1, b counts -1, anything else nothing."""
    return float(text.count("a") - text.count("b"))


class Toy(Task):
    Config = ToyConfig
    config: ToyConfig
    default_model = "toy"
    source = "made here, to be counted out"
    profiles = {
        "quick": {
            "sampler": {"max_new_tokens": 4, "top_k": 0},
            "fit": {"prompts": 60, "samples": 8},
            "evaluate": {"prompts": 60},
            "budget": {"rows": 4, "chunk": 1},
        },
        "standard": {
            "sampler": {"max_new_tokens": 4, "top_k": 0},
            "fit": {"prompts": 200, "samples": 8},
            "evaluate": {"prompts": 200},
            "budget": {"rows": 16, "chunk": 1},
        },
    }

    def prompts(self, part: Slice) -> list[Prompt]:
        ids = [hashlib.sha256(f"{part} {i}".encode()).hexdigest()[:12] for i in range(COUNTS[part])]
        return [
            Prompt(id, text=f"topic {i % self.config.topics}") for i, id in sorted(enumerate(ids), key=lambda x: x[1])
        ]

    def reward(self) -> Scorer:
        return lambda completions: np.array([proxy_of(c.text) for c in completions], dtype=np.float32)

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        """Gold: like the proxy, but a letter counts for less each time it is repeated in a row."""
        kept = ["".join(x for x, y in zip(c.text, "-" + c.text, strict=False) if x != y) for c in completions]
        gold = [proxy_of(k) + 0.3 * proxy_of(c.text) for k, c in zip(kept, completions, strict=True)]
        return {"gold_reward": np.array(gold, dtype=np.float32)}

    def describe(self) -> dict[str, object]:
        return {"slices": {part: count for part, count in COUNTS.items() if count}}
