"""The interface of a task: prompts in disjoint slices, the proxy reward that methods may use, and the gold score.

The shortest task says which prompts it has, and how an answer is rewarded and scored:

    class Shout(Task):
        def examples(self):
            return [Prompt(str(i), text=f"Say {i} loudly:") for i in range(400)]

        def reward(self):
            return lambda completions: np.array([c.text.count("!") for c in completions])

        def score(self, completions):
            return {GOLD: np.array([c.text.isupper() for c in completions])}
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from harness.core.as_before import hashed
from harness.core.types import Completion, Prompt, Scorer

Slice = Literal["fit", "development", "test", "reserve"]
Kind = Literal["continuations", "summaries", "instructions"]
Profiles = Mapping[str, Mapping[str, Mapping[str, Any]]]  # profile -> section -> setting -> value
GOLD = "gold_reward"
PART = "part/"  # begins the name of a metric that is a part of a grader's score: part/<grader>/<name>

SHARES: Mapping[Slice, float] = {"fit": 0.6, "development": 0.1, "test": 0.3}  # of the prompts, where a task cuts none
USUAL_PROFILES: Profiles = {
    "quick": {
        "sampler": {"max_new_tokens": 32},
        "fit": {"prompts": 32, "samples": 8},
        "evaluate": {"prompts": 32},
        "budget": {"rows": 9, "chunk": 8},
    },
    "standard": {
        "sampler": {"max_new_tokens": 64},
        "fit": {"prompts": 128, "samples": 8},
        "evaluate": {"prompts": 100},
        "budget": {"rows": 16, "chunk": 8},
    },
}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class NoSettings:
    """The settings of a task that has none."""


class TextCutter(Protocol):
    """What a task may ask of the policy: how much of a text so many of its tokens are."""

    def head_of(self, text: str, tokens: int) -> str:
        """The text of the first `tokens` tokens of a text."""


class Task(ABC):
    """What methods are compared on. Only `reward`, `score` and `examples` (or `prompts`) have to be written.

    `Config` holds the settings of the task. A profile names settings by section; its section `budget` has the `rows` a
    prompt and the tokens of a `chunk` that every method gets.
    """

    Config: ClassVar[type] = NoSettings
    profiles: ClassVar[Profiles] = USUAL_PROFILES
    source: ClassVar[str] = "not named"  # where the data comes from, one line
    default_model: ClassVar[str] = "smollm2-135m-instruct"
    kind: ClassVar[Kind] = "continuations"
    reward_flops: ClassVar[float] = 0.0  # of one call of the proxy, estimated
    gold_models: ClassVar[frozenset[str]] = (
        frozenset()
    )  # embedded models its gold is made of, which methods may not read
    toy_as_well: ClassVar[bool] = False  # the toy model goes with the toy task alone, but for tests
    gold_reads_base: ClassVar[bool] = False  # `score_beside_base` asks how likely the base finds answers

    def __init__(self, config: Any, policy: TextCutter, cache: Path) -> None:
        """`config` is an instance of `Config`; what a task builds once lies in the folder `cache`."""
        self.config = config

    @classmethod
    def sizes(cls, config: Any) -> Mapping[Slice, int] | None:
        """Prompts of each slice, of a task that is as large as a file of the user's; None: profiles fit its size.

        Where nobody asked for a number of prompts, no more than that are taken.
        """
        return None

    @classmethod
    def generation(cls, config: Any, profile: Mapping[str, Any]) -> Mapping[str, Any]:
        """Settings of `sampler` that the task itself decides, over the profile's; whatever a user sets is over both."""
        return {}

    def introduction(self, length: Callable[[Prompt], int], context: int | None, new_tokens: int) -> list[str]:
        """Lines that a user should see before any work; `length` of a prompt and `context` are in tokens.

        Raises UserError for prompts that a model does not read whole.
        """
        return []

    @property
    def title(self) -> str | None:
        """What tables call it, of a task that stands for many, such as a benchmark; None: its own name."""
        return None

    @property
    def reward_file(self) -> tuple[str, str] | None:
        """Where the reward lies and what names its code, of one that a user gave; None: the task makes it."""
        return None

    def examples(self) -> Sequence[Prompt]:
        """All prompts, of a task that leaves it to the harness to cut them into slices."""
        raise NotImplementedError(f"{type(self).__name__} defines neither `examples` nor `prompts`")

    def prompts(self, part: Slice) -> list[Prompt]:
        """All prompts of a slice, sorted by id. Slices share no prompt."""
        return sorted((p for p in self.examples() if slice_of(p) == part), key=lambda p: p.id)

    def cluster(self, prompt: Prompt) -> str | None:
        """What a prompt belongs to with others that are like it, which intervals draw whole; None: it is by itself."""
        return None

    @property
    def key_settings(self) -> dict[str, Any]:
        """Its settings as they enter the keys of what is stored, and what else shapes its prompts and rewards."""
        return hashed(self.config)

    @property
    def versions(self) -> dict[str, int]:
        """Raised when a change alters prompts or rewards: part of the key of everything made with them."""
        return {}

    @abstractmethod
    def reward(self) -> Scorer:
        """The proxy: what methods optimise. It must not hold the task, which holds the gold."""

    @abstractmethod
    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        """Held-out metrics, each (n,): `gold_reward` and any others. Only the evaluation calls this.

        Metrics whose names begin with PART say what a score is made of, and go to a table of their own.
        """

    def score_beside_base(self, completions: Sequence[Completion], base_nll: Scorer) -> dict[str, np.ndarray]:
        """`score`, of a task whose gold also reads how likely the base finds an answer.

        `base_nll` gives (n,) nats a token at temperature 1, NaN where the model says none. It makes the model read
        each text, so it is asked of no more than matter. What evaluates calls this.
        """
        return self.score(completions)

    def describe(self) -> dict[str, Any]:
        """Facts for the report: sizes of the slices, where data came from, accuracy of the rewards."""
        return {"slices": {part: len(self.prompts(part)) for part in SHARES}}


def slice_of(prompt: Prompt) -> Slice:
    """The slice of a prompt by the hash of what it asks: it stays the same when prompts are added or reordered."""
    asked = prompt.text if prompt.text is not None else repr(prompt.messages)
    quantile = int.from_bytes(hashlib.sha256(asked.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
    total = 0.0
    for part, share in SHARES.items():
        total += share
        if quantile < total:
            return part
    return "test"
