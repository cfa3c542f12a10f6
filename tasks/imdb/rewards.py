"""Which two rewards a run of imdb has: those that ship with the task, or weaker ones trained on fewer reviews.

    rewards = rewards_of(split, "asset", proxy_reviews=0, reward_reviews=0, cache=cache)     # those that ship
    rewards.proxy(["a moving film"]), rewards.gold.score(["a moving film"]), rewards.facts

What is trained lies in the cache, under its recipe and the number of its reviews.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.files import from_cache, whole
from harness.core.proven import file_problems, list_anew, take_or_make
from harness.tasks.imdb import gold, proxy
from harness.tasks.imdb.data import Review, Split
from harness.tasks.imdb.gold import Gold
from harness.tasks.imdb.measured import accuracy, measured_texts
from harness.tasks.imdb.proxy import Proxy, Weights
from harness.tasks.imdb.shipped import read_facts, shipped_gold, shipped_proxy

SHIPPED, TRAINED = "shipped with the task", "trained on this machine"


@dataclass(frozen=True)
class Rewards:
    proxy: Proxy
    gold: Gold
    facts: dict[str, Any]  # for the report


def rewards_of(split: Split, source: str, proxy_reviews: int, reward_reviews: int, cache: Path) -> Rewards:
    """Both rewards; 0 reviews are all. Raises UserError where the shipped files are damaged."""
    folder, shipped = trained_folder(cache, source, reward_reviews), read_facts()
    facts: dict[str, Any] = {"reward_versions": {"proxy": proxy.VERSION, "gold": gold.VERSION}}
    if reward_reviews or proxy_reviews:
        reviews = split.proxy[: reward_reviews or None][: proxy_reviews or None]
        fewer = f"-{proxy_reviews}" if proxy_reviews else ""
        scorer = Proxy(trained_proxy(reviews, folder, cache, fewer))
        measured = _measured(folder / f"accuracy-proxy-{proxy.RECIPE}{fewer}.json", scorer, split, cache)
        facts |= {"proxy_from": TRAINED, "proxy_reviews": len(reviews), "proxy_accuracy": measured}
    else:
        scorer = shipped_proxy()
        facts |= {"proxy_from": SHIPPED, **{name: shipped[name] for name in ("proxy_reviews", "proxy_accuracy")}}
    if reward_reviews:
        reviews = split.gold[:reward_reviews]
        judge = trained_gold(reviews, folder, cache)
        measured = _measured(folder / f"accuracy-gold-{gold.RECIPE}.json", judge.score, split, cache)
        facts |= {"gold_from": TRAINED, "gold_reviews": len(reviews), "gold_accuracy": measured}
    else:
        judge = shipped_gold(cache)
        facts |= {"gold_from": SHIPPED, **{name: shipped[name] for name in ("gold_reviews", "gold_accuracy")}}
    return Rewards(scorer, judge, {**facts, "measured_on": shipped["measured_on"]})


def trained_folder(cache: Path, source: str, reward_reviews: int) -> Path:
    return cache / "rewards" / f"imdb-{source}-{reward_reviews or 'all'}"


def trained_proxy(reviews: Sequence[Review], folder: Path, cache: Path, fewer: str = "") -> Weights:
    """The proxy of these reviews, trained where the cache has it not yet, or not as it was written."""
    path = folder / f"proxy-{proxy.RECIPE}{fewer}.parquet"

    def train() -> None:
        print("training the proxy reward: about half a minute, once", file=sys.stderr, flush=True)
        proxy.write_trained(proxy.build_proxy(reviews), path)
        list_anew(path)

    take_or_make(path, cache, "the proxy reward", partial(file_problems, path, cache), train)
    return proxy.read_trained(path, len(reviews))


def trained_gold(reviews: Sequence[Review], folder: Path, cache: Path) -> Gold:
    """The gold of these reviews, trained where the cache has it not yet, or not as it was written."""
    path = folder / f"gold-{gold.RECIPE}.safetensors"

    def train() -> None:
        gold.build_gold(reviews, path, cache)
        list_anew(path)

    take_or_make(path, cache, "the gold reward", partial(file_problems, path, cache), train)
    return Gold.load(path, cache)


def _measured(path: Path, score: Callable[[Sequence[str]], np.ndarray], split: Split, cache: Path) -> float:
    """Accuracy on the measured snippets, which a file of the cache keeps."""

    def measure() -> None:
        print("measuring a reward: two minutes or less, once", file=sys.stderr, flush=True)
        texts = measured_texts(split)
        found = {"accuracy": accuracy(score(texts.texts), texts.positive), "measured_on": texts.source}
        with whole(path) as part:
            part.write_text(json.dumps(found, indent=1), encoding="utf-8")
        list_anew(path)

    take_or_make(path, cache, "an accuracy", partial(file_problems, path, cache), measure)
    with from_cache(path, remove=path):
        return float(json.loads(path.read_text(encoding="utf-8"))["accuracy"])
