"""DPO, direct preference optimisation (arXiv 2305.18290): the reference that trains weights.

A copy of the base is trained on the best against the worst base sample of a prompt by the proxy, and sampled plainly.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.core.finalists import sample_rows
from harness.core.generator import Generator
from harness.core.preference import DpoSettings, merged, pairs_of, read_files, train, unavailable, write_files
from harness.core.types import Answer, Candidate, FitReport, Prompt


class Dpo(Generator):
    Config = DpoSettings
    source = "arXiv 2305.18290"
    iterations = 1
    trains_weights = True
    needs_one_process = True
    tries = ({}, {"learning_rate": 5e-4}, {"learning_rate": 5e-4, "beta": 0.05}, {"learning_rate": 1e-3})

    @classmethod
    def unavailable(cls, model: str) -> str | None:
        return unavailable(model)

    def fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        pairs, seed = pairs_of(rollouts), int(self.streams.generator("dpo").integers(2**31))
        files, history = train(self.policy, pairs, self.config, seed)
        self._take(files)
        gap = float(np.mean([best.reward - worst.reward for best, worst in pairs]))
        return FitReport({"rollouts": len(rollouts), "train_prompts": len(pairs), "reward_gap": gap}, history)

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        return sample_rows(self.tuned, prompts, 1, self.streams, pick="first")

    def save(self, folder: Path) -> None:
        write_files(self.files, folder)

    def load(self, folder: Path) -> "Dpo":
        self._take(read_files(folder))
        return self

    def _take(self, files: dict[str, bytes]) -> None:
        self.files, self.tuned = files, merged(self.policy, files, "dpo")
