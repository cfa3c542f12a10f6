"""log pi_tuned - log pi_untuned of what was written: the guide of weak-to-strong search, as a `PrefixValue`.

The two are small models beside the policy. With the policy's tokenizer they follow its tokens over carried caches; with
another, they read prompt and text anew at every chunk, as their own tokens.
"""

from collections.abc import Sequence

import torch

from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Chunk, Policy
from harness.core.types import Completion, Prompt


def log_ratio(
    policy: PolicyHandle, tuned: PolicyHandle, untuned: PolicyHandle, prompts: Sequence[Prompt]
) -> "LogRatio":
    """The guide over models that a method holds by their handles; the search that reads it books what it reads."""
    return LogRatio(tuned._policy, untuned._policy, policy._policy, prompts)


class LogRatio:
    """The guide for texts behind `prompts`, in the order in which the search is given them."""

    layers: tuple[int, ...] = ()

    def __init__(self, tuned: Policy, untuned: Policy, policy: Policy, prompts: Sequence[Prompt]) -> None:
        self.pair, self.policy, self.prompts = (tuned, untuned), policy, prompts

    def start(self, prompts: Chunk) -> "_TokenReader | _TextReader":
        by_token = all(guide.speaks_like(self.policy) for guide in self.pair)
        return _TokenReader(self, prompts) if by_token else _TextReader(self)


class _TokenReader:
    def __init__(self, value: LogRatio, prompts: Chunk) -> None:
        ids = [tuple(row[seen].tolist()) for row, seen in zip(prompts.tokens, prompts.mask, strict=True)]
        self._scorers = [guide.scorer(ids) for guide in value.pair]
        self._total = torch.zeros(len(ids), device=prompts.tokens.device)
        self.read = 2 * prompts.mask.sum(1)  # (rows,) tokens the pair has just read

    def advance(self, chunk: Chunk) -> torch.Tensor:
        tuned, untuned = (scorer.advance(chunk.tokens, chunk.mask) for scorer in self._scorers)
        self._total = self._total + (tuned - untuned).sum(1)
        self.read = 2 * chunk.mask.sum(1)
        return self._total

    def reorder(self, index: torch.Tensor) -> None:
        for scorer in self._scorers:
            scorer.reorder(index)
        self._total, self.read = self._total[index], self.read[index]


class _TextReader:
    def __init__(self, value: LogRatio) -> None:
        self._value = value
        self._owner = list(range(len(value.prompts)))
        self._tokens: list[tuple[int, ...]] = [()] * len(value.prompts)
        self._total = torch.zeros(len(value.prompts))
        self.read = torch.zeros(len(value.prompts), dtype=torch.long)

    def advance(self, chunk: Chunk) -> torch.Tensor:
        moved = chunk.mask.any(1).tolist()
        for j, (row, seen) in enumerate(zip(chunk.tokens, chunk.mask, strict=True)):
            self._tokens[j] = (*self._tokens[j], *row[seen].tolist())
        rows = [j for j, m in enumerate(moved) if m]
        self.read = torch.zeros(len(moved), dtype=torch.long)
        if rows:
            texts = [self._value.policy.text(self._tokens[j]) for j in rows]
            prompts = [self._value.prompts[self._owner[j]] for j in rows]
            sums = []
            for guide in self._value.pair:
                own = [Completion(p, guide.tokens_of(t), t, None) for p, t in zip(prompts, texts, strict=True)]
                sums.append([float(logprobs.sum()) for logprobs in guide.logprobs(own)])
                self.read[rows] += torch.tensor([len(guide.encode(c.prompt)) + len(c.tokens) for c in own])
            self._total[rows] = torch.tensor(sums[0]) - torch.tensor(sums[1])
        return self._total.to(chunk.tokens.device)

    def reorder(self, index: torch.Tensor) -> None:
        rows = index.tolist()
        self._owner, self._tokens = [self._owner[j] for j in rows], [self._tokens[j] for j in rows]
        self._total, self.read = self._total[index.cpu()], self.read[index.cpu()]
