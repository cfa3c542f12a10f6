"""How far a row's answers went from the base's: proxy against gold (over-optimisation), and signs of worn-out text."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from harness.core.statistics import stats
from harness.evidence.clusters import clusters_in
from harness.evidence.row import Drift
from harness.evidence.schema import GOLD, PROXY
from harness.evidence.unanswered import unanswered

WORDS = 4  # of a repetition; ours: long enough not to be idiom in texts of a few dozen words


def drift(part: pl.DataFrame, base: pl.DataFrame | None) -> Drift:
    """Gains over base in proxy and gold, their ratio, and the diversity of the answers.

    `part` and `base` hold the same prompts in the same order, rewards in sd of base samples. Gains are None for the
    base itself (`base` is None), and a ratio of gains means little where the proxy's gain is not clear of zero.
    """
    texts = part.filter(~unanswered(part))["response"].to_list()
    clusters = clusters_in(part)
    repeated = [float("nan") if lacks else float(repeats(text))
                for lacks, text in zip(unanswered(part), part["response"], strict=True)]  # fmt: skip
    repetition = stats.mean(repeated, clusters=clusters)
    worn = distinct(texts, 2), distinct(texts, 3), repetition
    if base is None:
        return Drift(None, None, None, *worn)
    proxy, gold = ((part[metric] - base[metric]).to_numpy() for metric in (PROXY, GOLD))
    zero = np.zeros(len(part))
    proxy_gain, gold_gain = (stats.difference(gain, zero, clusters=clusters) for gain in (proxy, gold))
    return Drift(proxy_gain, gold_gain, stats.ratio(gold, proxy, clusters), *worn)


def distinct(texts: Sequence[str], n: int) -> float:
    """Distinct word n-grams over all word n-grams of the texts (Li et al. 2016); falls as texts are added."""
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def repeats(text: str) -> bool:
    """Whether some run of WORDS words occurs twice."""
    grams = _grams(text, WORDS)
    return len(set(grams)) < len(grams)


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.split()
    return list(zip(*(words[i:] for i in range(n)), strict=False))
