"""Fits a value function of the text alone (`text.py`) on finished, rewarded completions.

What is read of the text is chosen like layers and poolings are: by the correlation of the ridge with the reward among
held-out prefixes of one prompt and length; the penalty by R^2 on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from harness.core.errors import UserError
from harness.core.models.handle import PolicyHandle
from harness.core.statistics.stats import correlation, r_squared
from harness.core.types import Candidate, FitReport, length_of
from harness.core.values.calibration import quality
from harness.core.values.embedding import Embedding, embedding_of
from harness.core.values.fitting import FittedValue, ValueSettings, prompts_of, split
from harness.core.values.text import VIEWS, TextFeatures, TextPrefix, TextValue, prefixes_of

# penalties tried, over the number of prefixes, whose n-grams have length 1 or so: the cheap ones first
_PENALTIES = (1.0, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)
_PATIENCE = 2  # penalties in a row that do not help: no smaller one is tried


def fit_text(
    rollouts: Sequence[Candidate], settings: ValueSettings, policy: PolicyHandle, fold: int = 0
) -> FittedValue:
    """Fit V by ridge regression of the reward on every prefix; nothing is drawn, so no stream is needed."""
    train, held = split(rollouts, settings.held_out, fold)
    usable = [*train, *held]
    longest = max(length_of(c.completion) for c in usable)
    coarse = max(settings.stride, longest // 4)
    embedding = embedding_of(settings.text.embedding, policy)
    tried: dict[TextFeatures, _Fit] = {}
    fit, check = (_Prefixes.of(part, coarse, settings.weight, policy) for part in (train, held))
    for ngrams in dict.fromkeys(settings.text.ngrams):
        for view in VIEWS:
            features = TextFeatures(ngrams, view, settings.text.columns, settings.text.embedding)
            tried[features] = _ridge(features, fit, check, embedding)
    features = max(tried, key=lambda key: tried[key].merit)
    fit, check = (_Prefixes.of(part, settings.stride, settings.weight, policy) for part in (train, held))
    found = _ridge(features, fit, check, embedding)
    value = TextValue(features, found.weight, found.bias, policy)
    choices = {
        "layer": None,
        "pooling": _named(features),
        "epoch": 0,
        "train_prompts": len(prompts_of(train)),
        "held_out_prompts": len(prompts_of(held)),
        "rollouts": len(usable),
        "left_out_nan": len(rollouts) - len(usable),
        "kind": "text",
        "tried": [
            {"kind": "text", "layer": None, "pooling": _named(key), "r2": t.r2, "within_prompt_correlation": t.within}
            for key, t in tried.items()
        ],
    }
    return FittedValue(value, FitReport(choices, quality(value, held), prompts_of(held)))


@dataclass(frozen=True)
class _Prefixes:
    """Prefixes of texts as a regression: y, weight, and who are rivals of whom, (n,) each."""

    prefixes: Sequence[TextPrefix]
    y: np.ndarray
    weight: np.ndarray  # of mean 1
    rivals: np.ndarray  # equal for prefixes of one prompt and length

    @classmethod
    def of(cls, rollouts: Sequence[Candidate], stride: int, weight: str, policy: PolicyHandle) -> "_Prefixes":
        found = [prefixes_of(c, stride, policy) for c in rollouts]
        counts = np.array([len(of.lengths) for of in found])
        share = np.ones(len(counts)) if weight == "token" else counts.mean() / counts
        places = [(c.completion.prompt.id, int(n)) for c, of in zip(rollouts, found, strict=True) for n in of.lengths]
        place = {where: i for i, where in enumerate(dict.fromkeys(places))}
        return cls(
            [prefix for of in found for prefix in of.prefixes],
            np.repeat([c.reward for c in rollouts], counts).astype(np.float64),
            np.repeat(share, counts),
            np.array([place[where] for where in places]),
        )


@dataclass(frozen=True)
class _Fit:
    weight: np.ndarray  # (F,)
    bias: float
    r2: float
    within: float

    @property
    def merit(self) -> float:
        return self.r2 if np.isnan(self.within) else self.within


def _ridge(features: TextFeatures, fit: _Prefixes, check: _Prefixes, embedding: Embedding | None) -> _Fit:
    """The best of several ridge regressions, by R^2 on held-out prefixes."""
    if not check.y.std() > 0:
        raise UserError(
            f"rollouts of all held-out fit prompts have the reward {check.y[0]:g}: no value function can be chosen. "
            "Raise fit.prompts or fit.samples"
        )
    x, held = (features.of(part.prefixes, embedding) for part in (fit, check))
    best, since = _penalised(x, fit, held, check, _PENALTIES[0]), 0
    for penalty in _PENALTIES[1:]:
        found = _penalised(x, fit, held, check, penalty)
        best, since = (found, 0) if found.r2 > best.r2 else (best, since + 1)
        if since == _PATIENCE:
            break
    return best


def _penalised(x: csr_matrix, fit: _Prefixes, held: csr_matrix, check: _Prefixes, penalty: float) -> _Fit:
    ridge = Ridge(alpha=penalty * len(fit.y), solver="sparse_cg", tol=1e-4, max_iter=1000)
    with threadpool_limits(1):  # sums in the same order on any machine, and no threads that wait for each other
        ridge.fit(x, fit.y, sample_weight=fit.weight)
    predicted = ridge.predict(held)
    r2, within = r_squared(predicted, check.y, check.weight), correlation(predicted, check.y, check.rivals)
    return _Fit(np.asarray(ridge.coef_, dtype=np.float64), float(ridge.intercept_), r2, within)


def _named(features: TextFeatures) -> str:
    return f"{features.ngrams}, {features.view}"
