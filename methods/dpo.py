"""DPO, direct preference optimisation (arXiv 2305.18290): the reference that trains weights.

A copy of the base is trained on the best against the worst base sample of a prompt by the proxy, and sampled plainly.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.core.generator import Generator
from harness.core.models.handle import PolicyHandle
from harness.core.models.preference import DpoSettings, TunedCopy, load_copy, train_copy, unavailable
from harness.core.models.rows import Capability
from harness.core.reward import RewardHandle
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.core.tuning import Log
from harness.core.types import Answer, Candidate, FitReport, Prompt


class Dpo(Generator):
    Config = DpoSettings
    config: DpoSettings
    source = "arXiv 2305.18290"
    iterations = 1
    trains_weights = True
    fitted_as = "dpo"
    tunables = (Log("learning_rate", 5e-5, 2e-3), Log("beta", 0.02, 0.5))

    def __init__(self, config: Any, policy: PolicyHandle, reward: RewardHandle, streams: Streams) -> None:
        super().__init__(config, policy, reward, streams)
        self._copy: TunedCopy | None = None

    @property
    def own_policy(self) -> PolicyHandle:
        return self.copy.policy

    @property
    def copy(self) -> TunedCopy:
        """The trained copy, once it was trained or loaded."""
        if self._copy is None:
            raise RuntimeError("dpo has no trained copy yet: fit or load it first")
        return self._copy

    @classmethod
    def needs(cls, config: DpoSettings) -> frozenset[Capability]:
        return frozenset({"text", "weights"})

    @classmethod
    def unavailable(cls, model: str, config: DpoSettings) -> str | None:
        return unavailable(model)

    @classmethod
    def needs_one_process(cls, config: DpoSettings) -> bool:
        return True

    @classmethod
    def answer_config(cls, config: DpoSettings, iteration: int) -> DpoSettings:
        return DpoSettings()  # sampled plainly

    def fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        trained = train_copy(self.policy, rollouts, self.config, self.streams, self.refit)
        self._copy = trained.copy
        return trained.report

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        return sample_rows(self.copy.policy, prompts, 1, self.streams, pick="first")

    def save(self, folder: Path) -> None:
        self.copy.save(folder)

    def load(self, folder: Path) -> "Dpo":
        self._copy = load_copy(self.policy, folder)
        return self
