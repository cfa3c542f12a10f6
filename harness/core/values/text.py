"""A value function of the text alone: a ridge on hashed n-grams, read in milliseconds on a CPU, for any policy.

Nothing is asked of the engine but what it wrote, so that values work behind an API too. `text_fitting.py` fits it.
A prefix is a sparse row: n-grams of prompt and answer, in one vector (`together`) or in two (`apart`), each of length
1, so that a word counts for less in a longer text; log(1 + words of the answer); whether the text has ended; where it
is asked for, a frozen sentence embedding.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import HashingVectorizer

from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Chunk, Rows
from harness.core.types import WORDS, Candidate, Prompt, length_of
from harness.core.values.embedding import Embedding, embedding_of
from harness.core.values.kind_settings import Ngrams
from harness.core.values.value import Predicted

View = Literal["together", "apart"]
VIEWS: tuple[View, ...] = ("together", "apart")
_PIECE = r"\w+|[^\w\s]"  # words, and every sign by itself
_ORDERS: dict[Ngrams, tuple[int, int]] = {"words": (1, 2), "characters": (2, 4)}


@dataclass(frozen=True)
class TextPrefix:
    """What a policy was asked, and what it has answered so far."""

    prompt: str
    text: str
    ended: bool  # at an end of sequence


@dataclass(frozen=True)
class TextFeatures:
    """How prefixes become rows of numbers."""

    ngrams: Ngrams
    view: View
    columns: int
    embedding: str = "none"

    def of(self, prefixes: Sequence[TextPrefix], embedding: Embedding | None) -> csr_matrix:
        """(n, F) float64."""
        texts = [one.text for one in prefixes]
        asked = [one.prompt for one in prefixes]
        hashed = self._hashing
        if self.view == "together":
            parts = [hashed.transform([a + t for a, t in zip(asked, texts, strict=True)])]
        else:
            parts = [hashed.transform(_distinct_first(asked))[_places(asked)], hashed.transform(texts)]
        words = [sum(1 for _ in WORDS.finditer(text)) for text in texts]
        parts.append(csr_matrix(np.stack([np.log1p(words), [float(one.ended) for one in prefixes]], 1)))
        if embedding is not None:
            parts.append(csr_matrix(embedding.of([a + t for a, t in zip(asked, texts, strict=True)])))
        return csr_matrix(hstack(parts))

    @property
    def _hashing(self) -> Any:
        how = {"token_pattern": _PIECE} if self.ngrams == "words" else {"analyzer": "char"}
        return HashingVectorizer(ngram_range=_ORDERS[self.ngrams], n_features=self.columns, norm="l2", **how)


class TextValue:
    """A linear function of the features of a text."""

    kind: ClassVar[str] = "text"
    layers: tuple[int, ...] = ()

    def __init__(self, features: TextFeatures, weight: np.ndarray, bias: float, policy: PolicyHandle) -> None:
        """weight (F,), bias in sd of the proxy."""
        self.features, self.weight, self.bias = features, weight, bias
        self._policy = policy
        self._embedding = embedding_of(features.embedding, policy)

    def start(self, rows: Rows) -> "TextReader":
        return TextReader(self, rows)

    def __call__(self, prefixes: Sequence[TextPrefix]) -> np.ndarray:
        """(n,) float32 values."""
        rows = self.features.of(prefixes, self._embedding)
        values: np.ndarray = rows @ self.weight + self.bias
        return values.astype(np.float32)

    def tokens_read(self, prefixes: Sequence[TextPrefix]) -> list[int]:
        """Tokens that the embedding reads of each; 0 without one."""
        return (
            [0] * len(prefixes)
            if self._embedding is None
            else self._embedding.lengths([one.prompt + one.text for one in prefixes])
        )

    def predict(self, rollouts: Sequence[Candidate], every: int = 1) -> Predicted:
        found = [prefixes_of(c, every, self._policy) for c in rollouts]
        values = self([prefix for of in found for prefix in of.prefixes])
        counts = [len(of.lengths) for of in found]
        return Predicted(values, np.concatenate([of.lengths for of in found]), np.repeat(np.arange(len(found)), counts))

    def flops(self) -> float:
        return 200.0  # two for each of about a hundred n-grams of a text

    def flops_of_token(self) -> float:
        return 0.0 if self._embedding is None else self._embedding.flops

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weight": self.weight, "bias": np.array([self.bias])}, folder / "ridge.safetensors")
        about = {"kind": self.kind, "features": asdict(self.features)}
        (folder / "value.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, policy: PolicyHandle) -> "TextValue":
        about = json.loads((folder / "value.json").read_text(encoding="utf-8"))
        ridge = load_file(folder / "ridge.safetensors")
        return cls(TextFeatures(**about["features"]), ridge["weight"], float(ridge["bias"][0]), policy)


class TextReader:
    """The texts of a batch's rows, each valued anew where it went on."""

    def __init__(self, value: TextValue, rows: Rows) -> None:
        self._value, self._rows = value, rows
        self._asked = [asked(prompt) for prompt in rows.prompts]
        self._values = torch.zeros(len(rows.owner))
        self.tokens_read = np.zeros(len(rows.prompts), dtype=np.int64)

    def advance(self, chunk: Chunk) -> torch.Tensor:
        moved = chunk.moved.nonzero()[:, 0].tolist()
        if moved:
            completions, owner = self._rows.completions(), self._rows.owner.tolist()
            said = [(self._asked[owner[j]], completions[j]) for j in moved]
            prefixes = [TextPrefix(question, whole(c.text), c.stop == "eos") for question, c in said]
            self._values[moved] = torch.from_numpy(self._value(prefixes))
            for j, tokens in zip(moved, self._value.tokens_read(prefixes), strict=True):
                self.tokens_read[owner[j]] += tokens
        return self._values.to(chunk.tokens.device)

    def reorder(self, index: torch.Tensor) -> None:
        self._values = self._values[index.cpu()]


@dataclass(frozen=True)
class TextPrefixes:
    """Prefixes of one completion, and their lengths (n,)."""

    lengths: np.ndarray
    prefixes: Sequence[TextPrefix]


def prefixes_of(candidate: Candidate, every: int, policy: PolicyHandle) -> TextPrefixes:
    """Every so many tokens of a finished completion, from none on, and all of it."""
    completion = candidate.completion
    lengths, question = [*range(0, length_of(completion), every), length_of(completion)], asked(completion.prompt)
    texts = policy.prefix_texts(completion, lengths)
    ends = [n == lengths[-1] and completion.stop == "eos" for n in lengths]
    prefixes = [TextPrefix(question, whole(text), end) for text, end in zip(texts, ends, strict=True)]
    return TextPrefixes(np.array(lengths), prefixes)


def asked(prompt: Prompt) -> str:
    """What a policy was asked, as one text."""
    if prompt.messages is None:
        return prompt.text or ""
    return "\n".join(f"{message.role}: {message.content}" for message in prompt.messages) + "\n"


def whole(text: str) -> str:
    """Without a character at its end of which bytes are still to come."""
    return text.rstrip("\ufffd")


def _distinct_first(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _places(texts: Sequence[str]) -> list[int]:
    """Where each text stands in `_distinct_first`."""
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return [place[text] for text in texts]
