"""What the requests of a command have cost, and the budget at which it asks no further.

spending = Spending(Prices(input=0.15, cached=0.075, output=0.6), Budget(usd=1.0))
spending.admit(at_most)                 # before a request; False where it must wait for those under way
spending.settle(at_most, tokens, 400)   # its reply, to a prompt of 400 characters
spending.data()                 # for run.json
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from harness.core.api.use import Budget
from harness.core.as_before import AsBefore
from harness.core.dollars import dollars_of
from harness.core.errors import UserError


@dataclass(frozen=True)
class Tokens:
    """As a server counted them; `cached` of those read."""

    read: int
    cached: int
    written: int


NOTHING = Tokens(0, 0, 0)


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Prices:
    """Dollars for a million tokens of a model behind an API; they shape no answer."""

    input: Annotated[
        float, Field(ge=0, description="dollars per million tokens of prompts (provider)"), AsBefore(0.0)
    ] = 0.0
    cached: Annotated[
        float,
        Field(ge=0, description="of those that the server had read, 0: as input (provider)"),
        AsBefore(0.0),
    ] = 0.0
    output: Annotated[float, Field(ge=0, description="of tokens written (provider)"), AsBefore(0.0)] = 0.0

    def of(self, tokens: Tokens) -> float:
        """Dollars."""
        return dollars_of(self.input, self.cached, self.output, tokens.read, tokens.cached, tokens.written)


@dataclass
class Spending:
    """Requests that were really sent: what is found in the cache costs nothing."""

    prices: Prices = field(default_factory=Prices)
    budget: Budget = field(default_factory=Budget)
    earlier: Sequence["Spending"] = ()  # of the same command, as by another of its runs: the budget is for all
    requests: int = 0
    kept: int = 0  # answers that were found
    tokens: Tokens = NOTHING
    reasons: Counter[str] = field(default_factory=Counter)  # of answers that are no plain ones
    tokens_a_character: float = 0.0  # the most that a prompt had so far,
    more_than_characters: int = 0  # and the most that one had beyond its characters, as a chat template adds some
    _under_way: Tokens = NOTHING

    def __post_init__(self) -> None:
        if self.budget.usd < inf and not (self.prices.input or self.prices.output):
            raise UserError(
                f"--budget-usd {self.budget.usd:g} needs the prices of the model: give --set prices.input=DOLLARS and "
                "--set prices.output=DOLLARS per million tokens, or --budget-tokens instead"
            )

    @property
    def usd(self) -> float:
        return self.prices.of(self.tokens)

    def admit(self, at_most: Tokens) -> bool:
        """Count a request that is about to be sent, and say so.

        False where it might go beyond the budget if all that are under way take what they may at most: they will take
        less. Raises UserError where none is under way and it might go beyond the budget.
        """
        ahead = _sum(_sum(self.tokens, self._under_way), at_most)
        usd = self.prices.of(ahead) + sum(one.usd for one in self.earlier)
        tokens = ahead.read + ahead.written + sum(one.tokens.read + one.tokens.written for one in self.earlier)
        if usd > self.budget.usd or tokens > self.budget.tokens:
            if self._under_way != NOTHING:
                return False
            if ahead == at_most and not any(one.requests for one in self.earlier):
                raise UserError(
                    f"the budget of {self._budget_in_words()} is too small for a single request, which may take "
                    f"{at_most.read + at_most.written:,} tokens; give a larger one"
                )
            raise UserError(
                f"the budget is spent: {self.in_words()}, and the next request, of {at_most.read + at_most.written:,} "
                f"tokens at most, may take more than is left of {self._budget_in_words()}. All answers are kept: "
                "run the same command again, which goes on from here with a budget of its own"
            )
        self._under_way = _sum(self._under_way, at_most)
        return True

    def begin(self) -> None:
        """Nothing is under way."""
        self._under_way = NOTHING

    def at_most(self, characters: int, written: int) -> Tokens:
        """What a request may take whose prompt has so many characters: as many tokens, until one was counted."""
        by_rate = ceil(characters * self.tokens_a_character) if self.requests else characters
        return Tokens(min(by_rate, characters + self.more_than_characters), 0, written)

    def settle(self, at_most: Tokens, tokens: Tokens, characters: int) -> None:
        """A request that was admitted has its reply, which took so much, its prompt being so long."""
        self.tokens_a_character = max(self.tokens_a_character, tokens.read / max(1, characters))
        self.more_than_characters = max(self.more_than_characters, tokens.read - characters)
        self._under_way = Tokens(self._under_way.read - at_most.read, 0, self._under_way.written - at_most.written)
        self.requests += 1
        self.tokens = _sum(self.tokens, tokens)

    def note(self, text: str, finish: str, is_last: bool) -> None:
        """A piece of an answer, whatever it cost; `is_last` where there is no room for another."""
        if finish == "filtered":
            self.reasons["filtered"] += 1
        elif finish == "length" and is_last:
            self.reasons["cut short"] += 1
        elif not text.strip():
            self.reasons["empty"] += 1

    def data(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "answers_from_cache": self.kept,
            "input_tokens": self.tokens.read,
            "cached_tokens": self.tokens.cached,
            "output_tokens": self.tokens.written,
            "usd": self.usd,
            "reasons": dict(self.reasons),
        }

    def in_words(self) -> str:
        money = (
            f", ${sum(one.usd for one in (*self.earlier, self)):.4g}" if self.prices.input or self.prices.output else ""
        )
        tokens = sum(one.tokens.read + one.tokens.written for one in (*self.earlier, self))
        return f"{sum(one.requests for one in (*self.earlier, self)):,} requests, {tokens:,} tokens{money}"

    def _budget_in_words(self) -> str:
        parts = [f"${self.budget.usd:g}"] if self.budget.usd < inf else []
        return " and ".join([*parts, *([f"{self.budget.tokens:,.0f} tokens"] if self.budget.tokens < inf else [])])


def _sum(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(one.read + other.read, one.cached + other.cached, one.written + other.written)
