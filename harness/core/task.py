"""The interface of a task: prompts in disjoint slices, the proxy reward that methods may use, and the gold score."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Literal

import numpy as np

from harness.core.types import Completion, Prompt, Scorer

Slice = Literal["fit", "development", "test"]
Kind = Literal["continuations", "summaries", "instructions"]
GOLD = "gold_reward"


class Task(ABC):
    """Subclasses define `Config` (their settings) and `profiles`: section -> setting -> value, by profile name.

    The section `budget` of a profile has `rows` a prompt and the tokens of a `chunk`, for every method alike.
    """

    Config: ClassVar[type]
    profiles: ClassVar[Mapping[str, Mapping[str, Mapping[str, Any]]]]
    source: ClassVar[str]  # where the data comes from, one line
    default_model: ClassVar[str]
    config: Any  # an instance of Config
    kind: ClassVar[Kind] = "continuations"
    reward_flops: ClassVar[float] = 0.0  # of one call of the proxy, estimated

    @abstractmethod
    def prompts(self, part: Slice) -> list[Prompt]:
        """All prompts of a slice, sorted by id. Slices share no prompt."""

    @property
    def key_settings(self) -> dict[str, Any]:
        """Its settings as they enter the keys of what is stored; one added later stays out at its default."""
        return asdict(self.config)

    @property
    def versions(self) -> dict[str, int]:
        """Raised when a change alters prompts or rewards: part of the key of everything made with them."""
        return {}

    @abstractmethod
    def reward(self) -> Scorer:
        """The proxy: what methods optimise."""

    @abstractmethod
    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        """Held-out metrics, each (n,): `gold_reward` and any others. Only the evaluation calls this."""

    def describe(self) -> dict[str, Any]:
        """Facts for the report: sizes of the slices, where data came from, accuracy of the rewards."""
        return {}
