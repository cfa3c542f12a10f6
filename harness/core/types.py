"""What passes between stages: prompts, completions, candidates and answers. Plain frozen data, no torch."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

Stop = Literal["eos", "length", "string", "filtered"]
"""`string`: the answer said a stop string, which its text leaves out; `filtered`: by a server, for good."""


@dataclass(frozen=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """One question to the policy, which renders it: `messages` through its chat template, `text` as it stands."""

    id: str
    text: str | None = None
    messages: tuple[Message, ...] | None = None
    reference: str | None = None
    row: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.text is None) == (self.messages is None):
            raise ValueError(f"prompt {self.id!r} needs exactly one of text and messages")


@dataclass(frozen=True)
class Completion:
    """A prompt and what was written so far. `tokens` are the policy's, those that ended it included."""

    prompt: Prompt
    tokens: tuple[int, ...]
    text: str  # without special tokens, and before the stop string that ended it
    stop: Stop | None  # None: unfinished
    counted: int | None = None  # tokens by the count of a server, which does not say which they are
    logprobs: tuple[float, ...] | None = None  # nats at temperature 1 under the base, where a server told them

    @property
    def length(self) -> int:
        """Tokens of the answer."""
        return len(self.tokens) if self.counted is None else self.counted


WORDS = re.compile(r"\s*\S+")


def length_of(completion: Completion) -> int:
    """Tokens of a completion; words where its engine tells none, as one behind an API."""
    return len(completion.tokens) or sum(1 for _ in WORDS.finditer(completion.text))


Scorer = Callable[[Sequence[Completion]], np.ndarray]
"""completions -> (n,) float32, higher is better, NaN = could not be scored."""


@dataclass(frozen=True)
class PrefixStates:
    """Hidden states of the chosen layers (L of them, H wide) along one completion of t tokens."""

    layers: tuple[int, ...]  # 0 is the embedding, l the output of block l
    prompt_tokens: int
    prompt_mean: np.ndarray  # (L, H)
    prompt_last: np.ndarray  # (L, H)
    states: np.ndarray  # (t, L, H), row j is the state of token j once it was fed


@dataclass(frozen=True)
class Candidate:
    """A finished completion with what its maker knows of it. Rewards are standardised (see `core/reward.py`)."""

    completion: Completion
    score: float = 0.0  # S = sum_i V_i / beta_i at its end; 0 where no value function guided it
    reward: float = float("nan")  # NaN: not asked, or could not be scored
    states: PrefixStates | None = None


@dataclass(frozen=True)
class Work:
    """What one answer cost at test time. `value_tokens` are tokens read by a value model of its own (0 for heads)."""

    policy_tokens: int = 0  # prompt tokens prefilled once + tokens sampled, discarded ones included
    value_tokens: int = 0
    value_calls: int = 0  # prefixes valued
    reward_calls: int = 0  # completions the proxy scored
    steps: int = 0  # the longest chain of forward passes that each need the one before: see `Rows.steps`

    def with_rewards(self, calls: int) -> "Work":
        return replace(self, reward_calls=self.reward_calls + calls)


@dataclass(frozen=True)
class Answer:
    """The finalists of one prompt, and who picked which: final pick -> index into `finalists`, and its cost."""

    prompt: Prompt
    finalists: tuple[Candidate, ...]
    picks: Mapping[str, int]
    work: Mapping[str, Work]

    def pick(self, name: str) -> Completion:
        return self.finalists[self.picks[name]].completion


@dataclass(frozen=True)
class FitReport:
    """What a fit found: the choices it made, and quality on held-out fit prompts by position (one dict a row)."""

    choices: dict[str, Any]
    rows: list[dict[str, Any]]
    held_out: tuple[str, ...] = ()  # ids of the prompts whose rollouts it chose by and did not fit on
