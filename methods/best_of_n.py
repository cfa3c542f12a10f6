"""Best-of-n: n plain samples, the proxy picks the best; soft: draws one with probability softmax(reward / tau).

Its KL to the base is at most log n - (n - 1) / n (arXiv 2401.01879); softness only lowers it (arXiv 2405.01481).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.generator import Generator
from harness.core.models.sampling import Sampler
from harness.core.search.finalists import sample_rows
from harness.core.search.selection import resample
from harness.core.tuning import Choice
from harness.core.types import Answer, Prompt, Work


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class BestOfNConfig:
    n: Annotated[int, Field(ge=1, description="samples a prompt; default: the largest budget beside it")] = 16
    tau: Annotated[float, Field(ge=0, description="softness, in sd of the proxy; 0: the best (harness)")] = 0.0


class BestOfN(Generator):
    Config = BestOfNConfig
    config: BestOfNConfig
    source = "arXiv 2009.01325, section 3; the curve over n by arXiv 2112.09332, appendix I"
    tunables = (Choice("tau", (0.0, 0.1, 0.3, 1.0)),)

    @classmethod
    def rows_per_prompt(cls, config: BestOfNConfig) -> int:
        return config.n

    @classmethod
    def budget(cls, config: BestOfNConfig) -> int:
        return config.n

    @classmethod
    def kl_bound(cls, config: BestOfNConfig, sampler: Sampler) -> float:
        return float(np.log(config.n) - (config.n - 1) / config.n)

    @classmethod
    def answer_at_most(cls, config: BestOfNConfig, iteration: int, sampler: Sampler, prompt_tokens: int) -> Work:
        return Work(prompt_tokens + config.n * sampler.max_new_tokens).with_rewards(config.n)

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        answers = sample_rows(self.policy, prompts, self.config.n, self.streams, pick="reward", reward=self.reward)
        return [self._softened(answer) for answer in answers] if self.config.tau else answers

    def _softened(self, answer: Answer) -> Answer:
        """Another of the samples picked, drawn by its reward; one without a reward never is while another has one."""
        rewards = np.array([c.reward for c in answer.finalists], dtype=float)
        uniform = self.streams.generator("soft pick", answer.prompt.id).random(1)
        (index,) = resample(rewards / self.config.tau, np.ones(len(rewards)), uniform)
        return replace(answer, picks={"reward": index})
