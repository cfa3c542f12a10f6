"""The proxy of imdb: word TF-IDF with logistic regression, the log-odds that a text is positive.

    trained = build_proxy(split.proxy)            # half a minute
    Proxy(trained)(["a moving film"])             # (1,)

Chosen among twenty settings by accuracy on the measured slice: 1-2-grams, eight snippets a review, C = 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from harness.core.files import put_parquet, whole
from harness.tasks.imdb.data import Review, snippets

VERSION = 3  # of the scores: part of the keys of everything made with them
RECIPE = 2  # of the training below: names the files that it leaves in the cache
SNIPPETS = 8  # of a review, beside the whole of it


@dataclass(frozen=True)
class Weights:
    """Terms, in how many of `n_documents` texts each one occurs, its weight in log-odds, and the bias."""

    terms: list[str]  # T of them
    documents: np.ndarray  # (T,) whole numbers
    weights: np.ndarray  # (T,) float64
    bias: float
    n_documents: int

    @property
    def idf(self) -> np.ndarray:
        """idf = ln((1 + n) / (1 + df)) + 1 with shape (T,), as scikit-learn smooths it."""
        idf: np.ndarray = np.log((1 + self.n_documents) / (1 + self.documents.astype(np.float64))) + 1
        return idf


class Proxy:
    """Texts -> (n,) log-odds."""

    def __init__(self, trained: Weights) -> None:
        self._vectorizer = _vectorizer(vocabulary={term: i for i, term in enumerate(trained.terms)})
        self._vectorizer.idf_ = trained.idf
        self._weights, self._bias = trained.weights, trained.bias

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        scores: np.ndarray = (self._vectorizer.transform(texts) @ self._weights + self._bias).astype(np.float32)
        return scores


def build_proxy(reviews: Sequence[Review]) -> Weights:
    """Train on whole reviews and eight snippets of each."""
    cuts = snippets(reviews, "proxy", per_review=SNIPPETS)
    texts = [r.text for r in reviews] + [s.text for s in cuts]
    labels = [r.positive for r in reviews] + [s.positive for s in cuts]
    vectorizer = _vectorizer(min_df=3)
    counts = vectorizer.fit_transform(texts)
    model = LogisticRegression(C=1, max_iter=300).fit(counts, labels)
    terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.get)
    return _weights_of(terms, vectorizer.idf_, model.coef_[0], float(model.intercept_[0]), len(texts))


def write_trained(trained: Weights, path: Path) -> None:
    """Write terms, idf and weights; the bias is in the last row."""
    columns = {
        "term": [*trained.terms, ""],
        "idf": [*trained.idf.tolist(), 0.0],
        "weight": [*trained.weights.tolist(), trained.bias],
    }
    with whole(path) as part:
        put_parquet(pl.DataFrame(columns), part)


def read_trained(path: Path, n_reviews: int) -> Weights:
    """What `build_proxy` made of so many reviews."""
    table = pl.read_parquet(path, glob=False)
    *terms, _ = table["term"].to_list()
    weights, idf = table["weight"].to_numpy(), table["idf"].to_numpy()[:-1]
    return _weights_of(terms, idf, weights[:-1], float(weights[-1]), (1 + SNIPPETS) * n_reviews)


def _weights_of(terms: list[str], idf: np.ndarray, weights: np.ndarray, bias: float, n_documents: int) -> Weights:
    """The idf holds the same as the number of documents, which is whole and so needs no rounding."""
    documents = np.rint((1 + n_documents) / np.exp(idf - 1) - 1).astype(np.int64)  # (T,)
    return Weights(terms, documents, weights, bias, n_documents)


def _vectorizer(**options: object) -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **options)
