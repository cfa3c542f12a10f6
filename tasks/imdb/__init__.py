"""Continue a film review so that it is positive: the task of controlled sentiment, with a held-out gold reward.

The prompt is the first 16 policy tokens of a review. The proxy (TF-IDF) and the gold (MiniLM) both read prompt and
response, and were trained on different reviews.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import AsBefore
from harness.core.assets import ASSETS
from harness.core.files import whole
from harness.core.manifest import add_to_manifest
from harness.core.task import GOLD, Slice, Task, TextCutter
from harness.core.types import Completion, Prompt, Scorer
from harness.tasks.imdb import gold, proxy
from harness.tasks.imdb.data import Split, load_split, snippets

SLICES: dict[Slice, tuple[int, int]] = {"fit": (0, 2400), "development": (2400, 2800), "test": (2800, 4000)}


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
            "evaluate": {"prompts": 1200},
            "budget": {"rows": 16, "chunk": 8},
        },
    }

    def __init__(self, config: ImdbConfig, policy: TextCutter, cache: Path) -> None:
        super().__init__(config, policy, cache)
        split = load_split(config.source, cache)
        self._prompts = _cut_prompts(split, policy, config.prompt_tokens)
        folder = cache / "rewards" / f"imdb-{config.source}-{config.reward_reviews or 'all'}"
        fewer = f"-{config.proxy_reviews}" if config.proxy_reviews else ""
        proxy_path = folder / f"proxy-{proxy.VERSION}{fewer}.parquet"
        gold_path = folder / f"gold-{gold.VERSION}.safetensors"
        count = config.reward_reviews or None
        of_proxy = split.proxy[:count][: config.proxy_reviews or None]
        if not proxy_path.exists():
            print("training the proxy reward: about half a minute, once", file=sys.stderr, flush=True)
            proxy.build_proxy(of_proxy, proxy_path)
        if not gold_path.exists():
            gold.build_gold(split.gold[:count], gold_path, cache)
        self._proxy, self._gold = proxy.Proxy.load(proxy_path), gold.Gold.load(gold_path, cache)
        facts = folder / f"accuracy-{proxy.VERSION}{fewer}-{gold.VERSION}.json"
        sizes = {"proxy_reviews": len(of_proxy), "gold_reviews": len(split.gold[:count])}
        self._facts = _measure(facts, split, sizes, self._proxy, self._gold)
        add_to_manifest(folder, [path.name for path in (proxy_path, gold_path, facts)])

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
        return self._facts


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
    assert len(prompts) >= SLICES["test"][1], f"{len(prompts)} distinct prompts of {tokens} tokens"
    return prompts


def _measure(
    path: Path, split: Split, sizes: dict[str, int], proxy_: proxy.Proxy, gold_: gold.Gold
) -> dict[str, object]:
    """Accuracy of both rewards on 10,000 snippets of 1,000 reviews that neither was trained on; measured once."""
    if not path.exists():
        print("measuring both rewards: about two minutes, once", file=sys.stderr, flush=True)
        cuts = snippets(split.measure, "measure", per_review=10)
        texts, labels = [s.text for s in cuts], np.array([s.positive for s in cuts])
        facts = {
            "slices": {name: end - start for name, (start, end) in SLICES.items()},
            **sizes,
            "proxy_accuracy": float(np.mean((proxy_(texts) > 0) == labels)),
            "gold_accuracy": float(np.mean((gold_.score(texts) > 0) == labels)),
            "measured_on": f"{len(texts):,} snippets of 20-45 words of {len(split.measure)} other reviews",
            "assets": {name: f"{ASSETS[name].version} sha256:{ASSETS[name].sha256}" for name in ASSETS},
        }
        with whole(path) as part:
            part.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    measured: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return measured
