"""log pi_tuned - log pi_untuned of what was written: the guide of weak-to-strong search, as a `PrefixScorer`.

The two are small models beside the policy. With the policy's tokenizer they follow its tokens over carried caches; with
another, they read prompt and text anew at every chunk, as their own tokens. Every token that they read is booked by
their handles. Where the policy is its own untuned model it reads nothing: its chunks carry their log-probabilities.
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
    """The guide of a pair of models; `by_token` where both read the policy's own tokens.

    Where the untuned model is the policy, `reads_untuned` is false: sampling has its log-probabilities already.
    """

    tuned: PolicyHandle
    untuned: PolicyHandle
    by_token: bool
    reads_untuned: bool = True
    layers: tuple[int, ...] = ()

    @classmethod
    def beside(cls, policy: PolicyHandle, tuned: PolicyHandle, untuned: PolicyHandle) -> "LogRatio":
        """The guide of texts that `policy` writes."""
        by_token = tuned.speaks_like(policy) and untuned.speaks_like(policy)
        return cls(tuned, untuned, by_token, not by_token or untuned.fingerprint != policy.fingerprint)

    @property
    def flops(self) -> float:
        """FLOPs of a token read, two a weight: the mean of the models that read."""
        read = [self.tuned, self.untuned] if self.reads_untuned else [self.tuned]
        return 2.0 * sum(guide.active_parameters for guide in read) / len(read)

    def start(self, rows: Rows) -> Reader:
        return _TokenReader(self, rows) if self.by_token else _TextReader(self, rows)


class _TokenReader:
    def __init__(self, value: LogRatio, rows: Rows) -> None:
        prompts = rows.prompt_chunk
        ids = [tuple(row[seen].tolist()) for row, seen in zip(prompts.tokens, prompts.mask, strict=True)]
        if not value.reads_untuned:
            rows.keep_logprobs()
        self._tuned = value.tuned.guide_scorer(ids)
        self._untuned = value.untuned.guide_scorer(ids) if value.reads_untuned else None
        self._readers = 2 if value.reads_untuned else 1
        self._total = torch.zeros(len(ids), device=prompts.tokens.device)  # (P,); from `reorder` on (R,)
        self._rows = rows
        self.tokens_read = self._readers * prompts.mask.sum(1).cpu().numpy()
        self.reorder(rows.owner)

    def advance(self, chunk: Chunk) -> torch.Tensor:
        tuned = self._tuned.advance(chunk.tokens, chunk.mask)
        self._total = self._total + (tuned - self._untuned_logprobs(chunk)).sum(1)
        read = self._readers * chunk.mask.sum(1).cpu().numpy()
        np.add.at(self.tokens_read, self._rows.owner.cpu().numpy(), read)
        return self._total

    def _untuned_logprobs(self, chunk: Chunk) -> torch.Tensor:
        """(rows, n): read by the untuned model, or as sampling had them."""
        if self._untuned is not None:
            return self._untuned.advance(chunk.tokens, chunk.mask)
        assert chunk.logprobs is not None, "the rows were asked to keep log-probabilities"
        return chunk.logprobs

    def reorder(self, index: torch.Tensor) -> None:
        self._tuned.reorder(index)
        if self._untuned is not None:
            self._untuned.reorder(index)
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
