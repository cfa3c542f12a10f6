"""Best-of-n: n plain samples, the proxy picks the best. Its KL to the base is at most
log n - (n - 1) / n (arXiv 2401.01879)."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.finalists import sample_rows
from harness.core.generator import Generator
from harness.core.types import Answer, Prompt


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    n: Annotated[int, Field(ge=1, description="samples a prompt; equal to U of the searches unless set (harness)")] = 16


class BestOfN(Generator):
    Config = Config
    source = "arXiv 2009.01325, section 3; the curve over n by arXiv 2112.09332, appendix I"

    @classmethod
    def rows_per_prompt(cls, config: Config) -> int:
        return config.n

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        return sample_rows(self.policy, prompts, self.config.n, self.streams, pick="reward", reward=self.reward)
