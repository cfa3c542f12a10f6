"""The frozen policy as it is: one plain sample, the reference of every comparison."""

from collections.abc import Sequence

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from harness.core.generator import Generator
from harness.core.models.sampling import Sampler
from harness.core.search.finalists import sample_rows
from harness.core.types import Answer, Prompt


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class BaseConfig:
    """Nothing to set: the sampling rule is the run's."""


class Base(Generator):
    Config = BaseConfig
    source = "reference"

    @classmethod
    def budget(cls, config: BaseConfig) -> int:
        return 1

    @classmethod
    def kl_bound(cls, config: BaseConfig, sampler: Sampler) -> float:
        return 0.0

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        return sample_rows(self.policy, prompts, 1, self.streams, pick="first")
