"""How long planned work still takes, told from how long each kind of it took so far.

work = WorkLeft([Planned("base samples", "sampling", 900.0), Planned("iro: fit", "fit", 64.0)])
work.seconds(Standing("base samples", total=16, ready=4, done=2, seconds=10.0))      # Left(seconds=50.0, is_all=False)
work.finish(standing)

Before anything of a kind was done nothing is known of it, and what is told is not all. What the cache had (`ready`)
took no time and says nothing about the rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Planned:
    """A stage to come. Stages of one kind are expected to take as long for each unit of `work`."""

    name: str
    kind: str
    work: float


@dataclass(frozen=True)
class Standing:
    """Where a stage stands: of `total` parts some were ready, and some were done in so many seconds."""

    name: str
    total: int
    ready: int
    done: int
    seconds: float

    @property
    def left(self) -> float:
        """The share that is still to be done."""
        return (self.total - self.ready - self.done) / self.total if self.total else 0.0


class Left(NamedTuple):
    seconds: float
    is_all: bool  # False: some kinds of work are still unknown, and take longer than that


class _Rate(NamedTuple):
    seconds: float
    work: float


class WorkLeft:
    """The planned stages that are not done, and what was measured of those that are."""

    def __init__(self, planned: Sequence[Planned]) -> None:
        self._planned = {one.name: one for one in planned}
        self._left = {one.name: one.work for one in planned}
        self._rates: dict[str, _Rate] = {}  # by kind

    def finish(self, at: Standing) -> None:
        """A stage is done."""
        self._rates = self._rates_with(at)
        self._left.pop(at.name, None)

    def seconds(self, at: Standing | None = None) -> Left | None:
        """What all of it still takes, a stage being in hand; None before anything is known."""
        rates, left, kinds = self._rates_with(at), self._left_with(at), dict[str, float]()
        for name, work in left.items():
            kind = self._planned[name].kind
            kinds[kind] = kinds.get(kind, 0.0) + work
        known = {kind: work * rates[kind].seconds / rates[kind].work for kind, work in kinds.items() if kind in rates}
        is_all = all(kind in known or not work for kind, work in kinds.items())
        return Left(sum(known.values()), is_all) if known or (is_all and self._planned) else None

    def share_done(self, at: Standing | None = None) -> float:
        """Of all planned work, what the cache had included."""
        total = sum(one.work for one in self._planned.values())
        return 1 - sum(self._left_with(at).values()) / total if total else 1.0

    def _left_with(self, at: Standing | None) -> dict[str, float]:
        if at is None or at.name not in self._left:
            return self._left
        return {**self._left, at.name: self._left[at.name] * at.left}

    def _rates_with(self, at: Standing | None) -> dict[str, _Rate]:
        if at is None or not at.done or at.name not in self._planned:
            return self._rates
        one = self._planned[at.name]
        was, work = self._rates.get(one.kind, _Rate(0.0, 0.0)), one.work * at.done / at.total
        if not was.work + work:
            return self._rates
        return {**self._rates, one.kind: _Rate(was.seconds + at.seconds, was.work + work)}
