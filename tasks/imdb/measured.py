"""How good the rewards are, and how far two of them agree: accuracy on snippets, correlation of scores.

texts = measured_texts(split)                          # 10,000 snippets of reviews that no reward was trained on
accuracy(gold.score(texts.texts), texts.positive)      # 0.7624; two minutes for the gold
"""

from dataclasses import dataclass

import numpy as np

from harness.tasks.imdb.data import Split, snippets

PER_REVIEW = 10


@dataclass(frozen=True)
class Texts:
    texts: list[str]
    positive: np.ndarray  # (n,) bool: what the reviewer thought
    source: str  # in words


def measured_texts(split: Split) -> Texts:
    """Ten snippets of each review that is kept for measuring; the same ones on every machine."""
    cuts = snippets(split.measure, "measure", per_review=PER_REVIEW)
    source = f"{len(cuts):,} snippets of 20-45 words of {len(split.measure)} other reviews"
    return Texts([s.text for s in cuts], np.array([s.positive for s in cuts]), source)


def accuracy(scores: np.ndarray, positive: np.ndarray) -> float:
    """Share of texts on whose side of zero the score is; (n,) log-odds and (n,) labels."""
    assert scores.shape == positive.shape, f"{scores.shape} scores, {positive.shape} labels"
    return float(np.mean((scores > 0) == positive))


def correlation(scores: np.ndarray, others: np.ndarray) -> float:
    """Pearson's, of two rewards on the same texts, (n,) each."""
    return float(np.corrcoef(scores, others)[0, 1])
