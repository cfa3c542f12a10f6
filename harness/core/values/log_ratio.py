"""log pi_tuned - log pi_untuned of what was written: the guide of weak-to-strong search, as a `PrefixScorer`.

The two are small models beside the policy. With the policy's tokenizer they follow its tokens over carried caches; with
another, they read prompt and text anew at every chunk, as their own tokens. Every token that they read is booked by
their handles.
"""

from dataclasses import dataclass

import numpy as np
import torch

from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Chunk, Rows
from harness.core.types import Completion
from harness.core.values.value import Reader


@dataclass(frozen=True)
class LogRatio:
    """The guide of a pair of models; `by_token` where both read the policy's own tokens."""

    tuned: PolicyHandle
    untuned: PolicyHandle
    by_token: bool
    layers: tuple[int, ...] = ()

    @classmethod
    def beside(cls, policy: PolicyHandle, tuned: PolicyHandle, untuned: PolicyHandle) -> "LogRatio":
        """The guide of texts that `policy` writes."""
        return cls(tuned, untuned, tuned.speaks_like(policy) and untuned.speaks_like(policy))

    def start(self, rows: Rows) -> Reader:
        return _TokenReader(self, rows) if self.by_token else _TextReader(self, rows)


class _TokenReader:
    def __init__(self, value: LogRatio, rows: Rows) -> None:
        prompts = rows.prompt_chunk
        ids = [tuple(row[seen].tolist()) for row, seen in zip(prompts.tokens, prompts.mask, strict=True)]
        self._scorers = [guide.guide_scorer(ids) for guide in (value.tuned, value.untuned)]
        self._total = torch.zeros(len(ids), device=prompts.tokens.device)  # (P,); from `reorder` on (R,)
        self._rows = rows
        self.tokens_read = 2 * prompts.mask.sum(1).cpu().numpy()
        self.reorder(rows.owner)

    def advance(self, chunk: Chunk) -> torch.Tensor:
        tuned, untuned = (scorer.advance(chunk.tokens, chunk.mask) for scorer in self._scorers)
        self._total = self._total + (tuned - untuned).sum(1)
        np.add.at(self.tokens_read, self._rows.owner.cpu().numpy(), 2 * chunk.mask.sum(1).cpu().numpy())
        return self._total

    def reorder(self, index: torch.Tensor) -> None:
        for scorer in self._scorers:
            scorer.reorder(index)
        self._total = self._total[index]


class _TextReader:
    def __init__(self, value: LogRatio, rows: Rows) -> None:
        self._pair, self._rows = (value.tuned, value.untuned), rows
        self._total = torch.zeros(len(rows.owner))
        self.tokens_read = np.zeros(len(rows.prompts), dtype=np.int64)

    def advance(self, chunk: Chunk) -> torch.Tensor:
        moved = chunk.moved.nonzero()[:, 0].tolist()
        if moved:
            completions, owner = self._rows.completions(), self._rows.owner.tolist()
            sums = []
            for guide in self._pair:
                texts = [completions[j] for j in moved]
                own = [Completion(c.prompt, guide.tokens_of(c.text), c.text, None) for c in texts]
                sums.append(torch.tensor([float(logprobs.sum()) for logprobs in guide.guide_logprobs(own)]))
                for j, completion in zip(moved, own, strict=True):
                    self.tokens_read[owner[j]] += len(guide.encode(completion.prompt)) + len(completion.tokens)
            self._total[moved] = sums[0] - sums[1]
        return self._total.to(chunk.tokens.device)

    def reorder(self, index: torch.Tensor) -> None:
        self._total = self._total[index.cpu()]
