"""The frozen policy read greedily: the most probable token at every step, temperature 0. What people deploy."""

from collections.abc import Sequence

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from harness.core.generator import Generator
from harness.core.search.finalists import sample_rows
from harness.core.types import Answer, Prompt


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class BaseGreedyConfig:
    """Nothing to set: the length is the run's."""


class BaseGreedy(Generator):
    """Without a budget: one row a prompt, but no sample, so that best-of-1 is no fair rival."""

    Config = BaseGreedyConfig
    source = "reference"

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        return sample_rows(self.policy.greedy(), prompts, 1, self.streams, pick="first")
