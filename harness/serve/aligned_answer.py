"""What an aligned model answers a prompt: the text, who picked it among which, and what it took."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.core.types import Prompt


@dataclass(frozen=True)
class Finalist:
    text: str
    score: float  # S = sum_i V_i / beta_i at its end; 0 where no value function guided it
    proxy: float | None  # in reward units; None where the reward was not asked


@dataclass(frozen=True)
class AlignedAnswer:
    """One answer and what it took. `seconds` are its share of the batch that it was written in."""

    prompt: Prompt
    text: str
    pick: str  # who picked the text among the finalists
    picks: Mapping[str, str]  # what each pick that was asked would answer
    finalists: tuple[Finalist, ...]
    policy_tokens: int  # the prompt once, and all that were sampled
    value_calls: int  # prefixes valued
    value_tokens: int  # tokens read by value models of their own
    reward_calls: int  # that the pick needs
    seconds: float
    unscored: bool = False  # the pick was the reward's, which gave no candidate a score: the text is the first
