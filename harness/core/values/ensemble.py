"""The average of several heads on the policy's states: the luck of one fit counts for less, nearly for free.

fitted = fit_averaged(rollouts, ValueSettings(ensemble=5), rng)
fitted.value.start(rows)            # reads the layers of all of them

The first head is what `fit_value` fits. Every other one leaves out another share of the prompts that the first was
fitted on, to choose its own layer, pooling, penalty and epoch by; so the prompts held out of the first are held out of
all of them, and say how good the average is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from harness.core.models.rows import Chunk, Rows
from harness.core.types import Candidate, FitReport
from harness.core.values.calibration import quality
from harness.core.values.fitting import ValueSettings, fit_value, prompts_of, split
from harness.core.values.hidden import HiddenReader, HiddenValue
from harness.core.values.value import Predicted


class AveragedValue:
    """The mean of value functions on hidden states."""

    kind: ClassVar[str] = "averaged"

    def __init__(self, members: Sequence[HiddenValue]) -> None:
        assert members, "an average needs a member"
        self.members = list(members)
        self.layers: tuple[int, ...] = tuple(sorted({layer for member in members for layer in member.layers}))

    def start(self, rows: Rows) -> "AveragedReader":
        return AveragedReader([member.start(rows) for member in self.members])

    def predict(self, rollouts: Sequence[Candidate], every: int = 1) -> Predicted:
        said = [member.predict(rollouts) for member in self.members]
        value = np.mean([one.value for one in said], axis=0)  # (n,)
        return Predicted(value, said[0].position, said[0].rollout)

    def flops(self) -> float:
        return sum(member.flops() for member in self.members)

    def flops_of_token(self) -> float:
        return 0.0

    def save(self, folder: Path) -> None:
        for i, member in enumerate(self.members):
            member.save(folder / f"member-{i}")
        about = {"kind": self.kind, "members": len(self.members)}
        (folder / "value.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "AveragedValue":
        about = json.loads((folder / "value.json").read_text(encoding="utf-8"))
        return cls([HiddenValue.load(folder / f"member-{i}") for i in range(about["members"])])


class AveragedReader:
    """The readers of all members, side by side; they have no models of their own."""

    def __init__(self, readers: Sequence[HiddenReader]) -> None:
        self._readers = readers
        self.tokens_read = readers[0].tokens_read

    def advance(self, chunk: Chunk) -> torch.Tensor:
        return torch.stack([reader.advance(chunk) for reader in self._readers]).mean(0)

    def peek(self, rows: torch.Tensor, states: Mapping[int, torch.Tensor]) -> torch.Tensor:
        return torch.stack([reader.peek(rows, states) for reader in self._readers]).mean(0)

    def reorder(self, index: torch.Tensor) -> None:
        for reader in self._readers:
            reader.reorder(index)


@dataclass(frozen=True)
class FittedAverage:
    value: HiddenValue | AveragedValue
    report: FitReport


def fit_averaged(
    rollouts: Sequence[Candidate],
    settings: ValueSettings,
    rng: np.random.Generator,
    start: HiddenValue | None = None,
    fold: int = 0,
) -> FittedAverage:
    """`settings.ensemble` heads, of which one alone is what `fit_value` gives; the report's choices are the first's."""
    first = fit_value(rollouts, settings, rng, start, fold)
    if settings.ensemble == 1:
        return FittedAverage(first.value, first.report)
    train, held = split(rollouts, settings.held_out, fold)
    others = [fit_value(train, settings, rng, start, inner) for inner in range(settings.ensemble - 1)]
    value = AveragedValue([first.value, *(other.value for other in others)])
    members = [{"layer": member.layer, "pooling": member.pooling} for member in value.members]
    choices = {**first.report.choices, "members": json.dumps(members)}
    return FittedAverage(value, FitReport(choices, quality(value, held), prompts_of(held)))
