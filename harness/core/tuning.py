"""Which settings of a method decide, as data: the few that `tune` varies, each with its scale and range.

    class Args(Generator):
        tunables = (Log("weight", 0.25, 64), Choice("choice", ("greedy", "stochastic")))

A numeric range may grow where the best lies at its end, never past `lowest` and `highest`, beyond which a value means
nothing. What several methods share has a class of its own (`Chunk`, `Shape`), so that all of them are offered the same
range; both are made of facts of the run (`Facts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log
from typing import Any, ClassVar, Self

FACTOR = 4.0  # by which a logarithmic range grows; ours: two steps of a list that doubles


@dataclass(frozen=True)
class When:
    """A choice that another tunable must have, since it means nothing else."""

    name: str
    value: Any


@dataclass(frozen=True)
class Facts:
    """What the range of a shared setting depends on: rows a prompt (None: no budget), tokens of a text at most."""

    rows: int | None
    tokens: int


@dataclass(frozen=True)
class Numeric:
    """A number from `low` to `high`. `listed_after` makes a list of it: beta=[1.0, value]."""

    scale: ClassVar[str]
    name: str  # of the setting, dotted
    low: float
    high: float
    lowest: float = -inf
    highest: float = inf
    whole: bool = False
    when: When | None = None
    listed_after: tuple[float, ...] | None = None

    @property
    def label(self) -> str:
        """Unique within a method, whose settings may be tuned over two ranges."""
        return self.name if self.when is None else f"{self.name} ({self.when.value})"

    @property
    def names(self) -> Sequence[str]:
        """Of the settings that it varies, dotted."""
        return [self.name]

    def of(self, facts: Facts) -> Self:
        return self

    def settings(self, value: Any) -> dict[str, Any]:
        """The settings that a value stands for, by dotted name."""
        return {self.name: value if self.listed_after is None else [*self.listed_after, value]}

    def value_in(self, settings: Mapping[str, Any]) -> Any:
        """The value that plain settings by dotted name have; of a list its last."""
        value = settings[self.name]
        return value[-1] if isinstance(value, list | tuple) else value

    def position(self, value: float) -> float:
        """Where a value stands, 0 at `low` and 1 at `high`, on its scale."""
        low, high = self._on_scale(self.low), self._on_scale(self.high)
        return (self._on_scale(value) - low) / (high - low) if high > low else 0.0

    def at(self, position: float) -> float | int:
        """The value at a position, to three digits so that people can read and write it, within the range."""
        low, high = self._on_scale(self.low), self._on_scale(self.high)
        value = self._off_scale(low + min(max(position, 0.0), 1.0) * (high - low))
        if self.whole:
            return int(min(max(round(value), self.low), self.high))
        return float(min(max(float(f"{value:.3g}"), self.low), self.high))

    def has_room(self, upwards: bool) -> bool:
        """Whether the range can grow at this end."""
        return self.high < self.highest if upwards else self.low > self.lowest

    def grown(self, upwards: bool) -> Self:
        """With more range at one end: its width again, or on a logarithmic scale a factor."""
        if upwards:
            return replace(self, high=min(self._stepped(True), self.highest))
        return replace(self, low=max(self._stepped(False), self.lowest))

    def holding(self, value: float) -> Self:
        """With a range that holds this value, which the profile gave."""
        return replace(self, low=min(self.low, value), high=max(self.high, value))

    def _stepped(self, upwards: bool) -> float:
        raise NotImplementedError

    def _on_scale(self, value: float) -> float:
        raise NotImplementedError

    def _off_scale(self, value: float) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class Log(Numeric):
    """A positive number on a logarithmic scale."""

    scale: ClassVar[str] = "log"

    def _stepped(self, upwards: bool) -> float:
        return self.high * FACTOR if upwards else self.low / FACTOR

    def _on_scale(self, value: float) -> float:
        return log(value)

    def _off_scale(self, value: float) -> float:
        return exp(value)


@dataclass(frozen=True)
class Linear(Numeric):
    """A number on a linear scale."""

    scale: ClassVar[str] = "linear"

    def _stepped(self, upwards: bool) -> float:
        width = self.high - self.low
        return self.high + width if upwards else self.low - width

    def _on_scale(self, value: float) -> float:
        return value

    def _off_scale(self, value: float) -> float:
        return value


@dataclass(frozen=True)
class Choice:
    """One of several values; where a value is a mapping, it stands for several settings."""

    scale: ClassVar[str] = "choice"
    name: str
    values: Sequence[Any]
    when: When | None = None

    @property
    def label(self) -> str:
        return self.name

    @property
    def names(self) -> Sequence[str]:
        first = self.values[0]
        return list(first) if isinstance(first, Mapping) else [self.name]

    def of(self, facts: Facts) -> Self:
        return self

    def settings(self, value: Any) -> dict[str, Any]:
        return dict(value) if isinstance(value, Mapping) else {self.name: value}

    def value_in(self, settings: Mapping[str, Any]) -> Any:
        """The value that the settings have, which need not be one of `values`."""
        values = {name: settings[name] for name in self.names}
        return values if isinstance(self.values[0], Mapping) else values[self.name]


@dataclass(frozen=True)
class Chunk:
    """Tokens a round of a search: 2 to 32 to begin with, from 1 to the whole text where that is better."""

    name: str = "chunk"
    when: When | None = None

    def of(self, facts: Facts) -> Log:
        low, high = min(2, facts.tokens), min(32, facts.tokens)
        return Log(self.name, low, high, lowest=1, highest=facts.tokens, whole=True, when=self.when)


@dataclass(frozen=True)
class Shape:
    """Width against successors of a search at the rows it has: every pair whose product they are."""

    name: str = "shape"

    def of(self, facts: Facts) -> Choice:
        rows = facts.rows or 1
        widths = [width for width in range(1, rows + 1) if rows % width == 0 and width < rows]
        return Choice(self.name, [{"width": w, "successors": rows // w} for w in widths or [1]])


Tunable = Numeric | Choice
Declared = Log | Linear | Choice | Chunk | Shape
