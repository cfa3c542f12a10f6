"""Which settings of one method to try next, given how good those tried so far were; plain data in and out.

    space = Space.of(Args.tunables, defaults, facts)
    points = first_points(space, 4, rng)            # the defaults, then a Latin design over the ranges
    point = refined(space, tried)                   # one step around the best
    space, points = beyond(space, tried, 4)         # the ranges that the best ended at grow; values along the new part

A **round** is `tries` tries: half of them spread out, half around the best. The best is **open** at an end of a numeric
setting where nothing beyond it was tried with the same choices: the gold may rise further. Steps around the best
first close open ends, by the end of the range itself; then come values of choices that nobody tried; then the middle
between the best and its neighbours, widest gap first, so that steps halve. While the best is open at an end that can
move, the range grows there and another round follows: what stops by itself has its best between two worse tries.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.core.digest import digest
from harness.core.tuning import Declared, Facts, Numeric, Tunable

Point = Mapping[str, Any]  # label of a tunable -> value
Ends = tuple[float | None, float | None]  # the nearest positions tried below and above the best
Effect = Callable[[Mapping[str, Any]], str]  # settings by dotted name -> equal where they give the same answers
_WIDE, _NARROW = 1 / 8, 1 / 64  # gaps, in ranges, that are halved before and after choices are tried again


@dataclass(frozen=True)
class Tried:
    """A point, its mean gold in sd of base samples, and its cost, by which ties are broken."""

    point: Point
    gold: float
    cost: float


@dataclass(frozen=True)
class End:
    """An end of a numeric setting beyond which nothing was tried."""

    label: str
    upwards: bool

    def __str__(self) -> str:
        return f"{self.label}: nothing {'above' if self.upwards else 'below'} was tried"


@dataclass(frozen=True)
class Space:
    """The tunables of a method, their ranges as they stand, and its defaults as a point."""

    tunables: tuple[Tunable, ...]
    defaults: Point
    effect: Effect = digest

    @classmethod
    def of(
        cls, declared: Sequence[Declared], defaults: Mapping[str, Any], facts: Facts, effect: Effect = digest
    ) -> "Space":
        """For plain settings by dotted name; ranges hold the defaults, which are always tried.

        `effect` is equal for settings that give the same answers. A tunable that changes none is left alone.
        """
        made: list[Tunable] = []
        point: dict[str, Any] = {}
        for one in declared:
            tunable = one.of(facts)
            point[tunable.label] = value = tunable.value_in(defaults)
            if isinstance(tunable, Numeric):
                made.append(tunable.holding(value))
            else:
                made.append(tunable if value in tunable.values else replace(tunable, values=[*tunable.values, value]))
        return cls(tuple(made), point, effect)

    def active(self, point: Point) -> list[Tunable]:
        """The tunables that change answers beside the point's choices."""
        meant = self._meant(point)
        return [t for t in meant if self._changes(t, {one.label: point[one.label] for one in meant})]

    def settings(self, point: Point) -> dict[str, Any]:
        """The settings of a point, by dotted name."""
        return _settings(self.active(point), point)

    def key(self, point: Point) -> str:
        """Equal for points that give the same answers."""
        return self.effect(self.settings(point))

    def numeric(self, point: Point) -> list[Numeric]:
        return [t for t in self.active(point) if isinstance(t, Numeric)]

    def choices(self, point: Point) -> dict[str, Any]:
        return {t.label: point[t.label] for t in self.active(point) if not isinstance(t, Numeric)}

    def _meant(self, point: Point) -> list[Tunable]:
        return [t for t in self.tunables if t.when is None or point.get(t.when.name) == t.when.value]

    def _changes(self, tunable: Tunable, point: Point) -> bool:
        """Whether any two of its values give other answers, all else as in the point."""
        ends = (tunable.low, tunable.high) if isinstance(tunable, Numeric) else tunable.values
        if ends[0] == ends[-1]:  # one value so far: it may have room to grow
            return True
        points = [{**point, tunable.label: value} for value in ends]
        return len({self.effect(_settings(self._meant(one), {**self.defaults, **one})) for one in points}) > 1


def _settings(tunables: Sequence[Tunable], point: Point) -> dict[str, Any]:
    return {name: value for t in tunables for name, value in t.settings(point[t.label]).items()}


def best_of(tried: Sequence[Tried]) -> Tried:
    """The most gold; of equals the cheapest, then the first. A gold that is NaN never wins over another."""
    return max(tried, key=lambda one: (-np.inf if np.isnan(one.gold) else one.gold, -one.cost))


def first_points(space: Space, count: int, rng: np.random.Generator) -> list[Point]:
    """The defaults and a Latin design: every setting takes values spread evenly over its range, each once."""
    n = count - 1
    columns = {t.label: (rng.permutation(n) + 0.5) / max(n, 1) for t in space.tunables}  # (n,) positions in (0, 1)
    points: list[Point] = [space.defaults]
    for i in range(n):
        points.append({t.label: _value(t, columns[t.label][i]) for t in space.tunables})
    return _distinct(space, points, [])[:count]


def _value(tunable: Tunable, position: float) -> Any:
    if isinstance(tunable, Numeric):
        return tunable.at(position)
    return tunable.values[int(position * len(tunable.values))]


def refined(space: Space, tried: Sequence[Tried]) -> Point | None:
    """The next step around the best; None where there is none left."""
    best = best_of(tried).point
    tested = {space.key(one.point) for one in tried}
    for moves in (_closing, _new_choices, _halving(_WIDE), _other_choices, _halving(_NARROW)):
        for point in moves(space, best, tried):
            if space.key(point) not in tested:
                return point
    return None


def open_ends(space: Space, tried: Sequence[Tried]) -> list[End]:
    """Where nothing beyond the best was tried though a value there means something."""
    best = best_of(tried).point
    return [
        End(numeric.label, upwards)
        for numeric in space.numeric(best)
        for upwards, neighbour in zip((False, True), _neighbours(space, numeric, best, tried), strict=True)
        if neighbour is None and _has_more(numeric, best[numeric.label], upwards)
    ]


def beyond(space: Space, tried: Sequence[Tried], count: int) -> tuple[Space, list[Point]]:
    """The space with more range at every open end, and up to `count` values along the new parts, ends in turn.

    Everything else is as in the best.
    """
    best, ends = best_of(tried).point, open_ends(space, tried)
    lines: list[list[Point]] = []
    for end in ends:
        (old,) = (t for t in space.numeric(best) if t.label == end.label)
        new = old.grown(end.upwards)
        space = replace(space, tunables=tuple(new if t.label == end.label else t for t in space.tunables))
        start, stop = new.position(best[end.label]), 1.0 if end.upwards else 0.0
        steps = max(count // len(ends), 1)
        lines.append([{**best, end.label: new.at(start + (stop - start) * (i + 1) / steps)} for i in range(steps)])
    in_turn = [line[i] for i in range(max(map(len, lines), default=0)) for line in lines if i < len(line)]
    return space, _distinct(space, in_turn, tried)[:count]


def _has_more(numeric: Numeric, value: float, upwards: bool) -> bool:
    inside = value < numeric.high if upwards else value > numeric.low
    return inside or numeric.has_room(upwards)


def _neighbours(space: Space, numeric: Numeric, best: Point, tried: Sequence[Tried]) -> Ends:
    """Positions of the nearest values tried on both sides of the best's, among points of the same choices."""
    same = [one.point for one in tried if space.choices(one.point) == space.choices(best)]
    own, others = best[numeric.label], [point[numeric.label] for point in same]
    below, above = [v for v in others if v < own], [v for v in others if v > own]
    return (
        numeric.position(max(below)) if below else None,
        numeric.position(min(above)) if above else None,
    )


def _closing(space: Space, best: Point, tried: Sequence[Tried]) -> list[Point]:
    """The best, moved to the end of a range that nothing between was tried to."""
    points = []
    for numeric in space.numeric(best):
        below, above = _neighbours(space, numeric, best, tried)
        ends = [(above, numeric.high), (below, numeric.low)]
        points += [{**best, numeric.label: end} for neighbour, end in ends if neighbour is None]
    return [{**point, **_whole(space, point)} for point in points]


def _whole(space: Space, point: Point) -> dict[str, Any]:
    """Ends of ranges as settings take them."""
    return {t.label: int(point[t.label]) for t in space.numeric(point) if t.whole}


def _new_choices(space: Space, best: Point, tried: Sequence[Tried]) -> list[Point]:
    """The best with a value of a choice that no try had."""
    used = [(label, value) for one in tried for label, value in space.choices(one.point).items()]
    return [p for label, p in _switched(space, best) if (label, p[label]) not in used]


def _other_choices(space: Space, best: Point, tried: Sequence[Tried]) -> list[Point]:
    return [point for _, point in _switched(space, best)]


def _switched(space: Space, best: Point) -> list[tuple[str, Point]]:
    """The best with every other value of each of its choices; all else stays."""
    return [
        (t.label, {**best, t.label: value})
        for t in space.active(best)
        if not isinstance(t, Numeric)
        for value in t.values
        if value != best[t.label]
    ]


def _halving(least: float) -> Callable[[Space, Point, Sequence[Tried]], list[Point]]:
    """Moves to the middle between the best and a neighbour, where these are at least `least` of a range apart."""

    def moves(space: Space, best: Point, tried: Sequence[Tried]) -> list[Point]:
        found: list[tuple[float, Point]] = []
        for numeric in space.numeric(best):
            own = numeric.position(best[numeric.label])
            for neighbour in _neighbours(space, numeric, best, tried):
                if neighbour is not None and abs(neighbour - own) >= least:
                    middle = numeric.at((own + neighbour) / 2)
                    found.append((abs(neighbour - own), {**best, numeric.label: middle}))
        return [point for _, point in sorted(found, key=lambda one: -one[0])]

    return moves


def _distinct(space: Space, points: Sequence[Point], tried: Sequence[Tried]) -> list[Point]:
    """The points that are other settings than those tried and those before them."""
    keys = {space.key(one.point) for one in tried}
    kept: list[Point] = []
    for point in points:
        if (key := space.key(point)) not in keys:
            keys.add(key)
            kept.append(point)
    return kept
