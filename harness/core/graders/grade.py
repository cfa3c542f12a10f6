"""The nouns of grading: what is graded, what comes of it, and what a grader is.

grader.grade([Item("2 + 2 =", "4", {"answer": "4"})])      # [Grade(1.0)]
Grade.failed("python_grader_runtime_error", "ZeroDivisionError: division by zero (line 3 of grader.py)")
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np

from harness.core.types import Completion, Message

Error = Literal[
    "formula_parse_error",
    "sample_parse_error",
    "invalid_variable_error",
    "python_grader_runtime_error",
    "python_grader_server_error",
    "model_grader_parse_error",
    "model_grader_refusal_error",
    "model_grader_server_error",
    "unresponsive_reward_error",
    "truncated_observation_error",
    "other_error",
]
"""Why a row has no score: the names of OpenAI's run endpoint (openai-python, `grader_run_response.py`)."""
ERRORS: tuple[Error, ...] = get_args(Error)


REFERENCE = "reference"  # under which graders find the answer that is known, whatever its column is called


@dataclass(frozen=True)
class Item:
    """One response with all that a grader may read; `row` is every other column of the row of data."""

    prompt: str | tuple[Message, ...]
    response: str
    row: Mapping[str, object] = field(default_factory=dict)
    tokens: tuple[int, ...] = ()  # of the response, for functions that name completion_ids

    @classmethod
    def of(cls, completion: Completion) -> "Item":
        prompt = completion.prompt
        asked = prompt.text if prompt.messages is None else prompt.messages
        assert asked is not None, "a prompt has text or messages"
        named = {} if prompt.reference is None else {REFERENCE: prompt.reference}
        return cls(asked, completion.text, {**named, **prompt.row}, completion.tokens)


@dataclass(frozen=True)
class Grade:
    """A score in the grader's own units, NaN exactly where there is an error, which `detail` explains in one line."""

    score: float
    error: Error | None = None
    detail: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if math.isfinite(self.score) == (self.error is not None):
            raise ValueError(f"a grade of {self.score} with the error {self.error}: a score, or NaN and an error")

    @classmethod
    def failed(cls, error: Error, detail: str, metrics: Mapping[str, float] | None = None) -> "Grade":
        return cls(math.nan, error, detail, metrics or {})


Reads = frozenset[str] | Literal["everything"]
"""Columns of the row that a grader reads; "everything" where that cannot be told from its source."""


def joined(reads: Sequence[Reads]) -> Reads:
    """What several parts read together."""
    named: frozenset[str] = frozenset()
    for part in reads:
        if part == "everything":
            return "everything"
        named |= part
    return named


class Grader(Protocol):
    """Grades items one by one, in their order. It raises nothing for what a response or a user's code does."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str:
        """Hash of all that shapes its scores: sources and what they import beside them, JSON, YAML, limits, models."""

    @property
    def reads(self) -> Reads:
        """Where an answer key is among them, a row that asks this grader at test time is an oracle."""

    def grade(self, items: Sequence[Item]) -> list[Grade]: ...

    def close(self) -> None:
        """Ends its processes; the next `grade` starts them again."""


class Reply(Protocol):
    """What a chat model answered; `withheld` says why nothing may be read from it ("refused", "cut short", ...)."""

    @property
    def text(self) -> str: ...

    @property
    def withheld(self) -> str | None: ...


class AskError(Exception):
    """The chat server gave no answer; the text says why."""


Conversation = Sequence[Mapping[str, str]]  # messages: role and content

Ask = Callable[[Sequence[Conversation], str, Mapping[str, object]], Sequence[Reply | AskError]]
"""(conversations, model, sampling parameters) -> what came of each, in their order, whoever answered first."""

Embed = Callable[[Sequence[str]], np.ndarray]
"""n texts -> (n, width), rows of any length."""


@dataclass(frozen=True)
class Outside:
    """What graders need and this room does not hold: a chat model to ask, a model that embeds texts."""

    ask: Ask | None = None
    embed: Embed | None = None
    identity: Mapping[str, str] = field(default_factory=dict)  # what names both: the URL, the model's hash
