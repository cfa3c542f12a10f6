"""Company that changes nothing: a request's numbers drawn by its own seed, its prefixes valued one by one.

What a matrix product gives a row depends, in its last digits, on how many rows there are; of two prefixes that are
equally good another one would be kept in company. Log-probabilities of a real model still move so (by up to 1e-4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from harness.core.streams import Streams
from harness.core.values.ensemble import AveragedValue
from harness.core.values.hidden import Head, HiddenValue
from harness.core.values.value import PrefixValue


@dataclass(frozen=True)
class SeedOfEach(Streams):
    """The stream of a request under the name of its place in a batch: its own seed, and its prompt's own id."""

    of: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # id in the batch -> seed, id

    def generator(self, purpose: str, prompt_id: str = "", row: int = 0) -> np.random.Generator:
        seed, own = self.of[prompt_id]
        return Streams(seed).generator(purpose, own, row)


class OneByOne(torch.nn.Module):
    """A head that reads each row alone."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    @property
    def mean(self) -> torch.Tensor:
        """Where the head lies."""
        return self.head.mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.head(row[None]) for row in x]) if len(x) else x.new_zeros(0)


def value_one_by_one(values: Sequence[PrefixValue]) -> None:
    """Have heads on the policy's states read rows alone, in place; values of other kinds stay as they are."""
    for value in values:
        if isinstance(value, AveragedValue):
            value_one_by_one(value.members)
        elif isinstance(value, HiddenValue) and not isinstance(value.head, OneByOne):
            value.head = OneByOne(value.head)  # type: ignore[assignment]  # it is read as a head is
