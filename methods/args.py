"""ARGS, reward-guided decoding: each token maximises log pi + weight * reward of the text with it (arXiv 2402.01694).

The reward reads unfinished texts. We depart from the published code in that a text ends at its end-of-sequence token,
prompts and candidates are batched, and the weight counts standardised reward.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.generator import Generator
from harness.core.models.rows import Capability, TokenRows
from harness.core.models.sampling import Sampler, draw
from harness.core.search.finalists import finalists_of
from harness.core.tuning import Choice, Log
from harness.core.types import Answer, Completion, Prompt, Work


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ArgsConfig:
    weight: Annotated[float, Field(ge=0, description="w, in sd of the proxy over base samples (harness)")] = 1.0
    candidates: Annotated[int, Field(ge=1, description="most probable tokens tried (paper: k = 10)")] = 10
    choice: Annotated[Literal["greedy", "stochastic"], Field(description="both are the paper's; greedy its main")] = (
        "greedy"
    )
    temperature: Annotated[float, Field(gt=0, description="of the stochastic choice (harness)")] = 1.0


class Args(Generator):
    Config = ArgsConfig
    config: ArgsConfig
    source = "arXiv 2402.01694"
    tunables = (Log("weight", 0.25, 64.0), Choice("choice", ("greedy", "stochastic")))

    @classmethod
    def needs(cls, config: ArgsConfig) -> frozenset[Capability]:
        return frozenset({"token level"})

    @classmethod
    def answer_at_most(cls, config: ArgsConfig, iteration: int, sampler: Sampler, prompt_tokens: int) -> Work:
        length = sampler.max_new_tokens
        return Work(prompt_tokens + length).with_rewards(config.candidates * length)

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        rows = self.policy.decode_tokens(prompts, 1, self.streams)
        calls = np.zeros(len(prompts), dtype=int)
        while not rows.finished.all():
            choices = rows.choices()
            tokens, probabilities = choices.top(self.config.candidates)
            rewards = self.reward(_extended(rows, choices.rows, tokens)).reshape(tokens.shape)
            np.add.at(calls, rows.owner[choices.rows].cpu().numpy(), tokens.shape[1])
            scores = self._scores(probabilities.log(), torch.from_numpy(rewards).to(tokens.device))
            rows.write(self._choose(tokens, scores, choices.uniforms))
        return [
            replace(answer, work={"first": answer.work["first"].with_rewards(int(n))})
            for answer, n in zip(finalists_of(rows, ("first",), None), calls, strict=True)
        ]

    def _scores(self, log_pi: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
        """(L, K) log pi + weight * reward; -inf without a reward, unless no possible candidate has one."""
        unknown = rewards.isnan()
        scores = torch.where(unknown, -torch.inf, log_pi + self.config.weight * rewards.nan_to_num())
        return torch.where(scores.isneginf().all(1, keepdim=True), log_pi, scores)

    def _choose(self, tokens: torch.Tensor, scores: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
        """(L,) tokens."""
        if self.config.choice == "greedy":
            return tokens.gather(1, scores.argmax(1, keepdim=True))[:, 0]
        return draw(tokens, (scores / self.config.temperature).softmax(1), uniforms)


def _extended(rows: TokenRows, which: torch.Tensor, tokens: torch.Tensor) -> list[Completion]:
    """The text of every row of `which` (L,) with each of its candidates (L, K): L * K completions."""
    return [
        rows.continued(row, token)
        for row, candidates in zip(which.tolist(), tokens.tolist(), strict=True)
        for token in candidates
    ]
