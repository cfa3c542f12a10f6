"""The search over settings on functions whose peaks are known: bracketed peaks, ranges that grow, choices."""

from math import log

import numpy as np
import pytest

from harness.core.tuning import Choice, Chunk, Facts, Linear, Log, Shape, When
from harness.sweeps.search import Space, Tried, best_of, beyond, first_points, open_ends, refined

FACTS = Facts(rows=16, tokens=32)


def search(space, gold, tries, most):
    """The tries of `tune`, with a function of the point as gold."""
    tried = []

    def attempt(points):
        tried.extend(Tried(point, gold(point), 1.0) for point in points)

    def refine(until):
        while len(tried) < until and (point := refined(space, tried)) is not None:
            attempt([point])

    attempt(first_points(space, max(1, tries // 2), np.random.default_rng(0)))
    refine(tries)
    while open_ends(space, tried) and len(tried) < most:
        until = min(len(tried) + tries, most)
        space, points = beyond(space, tried, max(1, (until - len(tried)) // 2))
        attempt(points)
        refine(until)
    return space, tried


def peaked(name, at):
    return lambda point: -abs(log(point[name] / at))


@pytest.mark.parametrize("at", [0.003, 0.05, 1.3, 5.0, 7.9, 8.0, 40.0, 120.0])
def test_a_peak_inside_or_outside_the_range_is_found(at):
    space, tried = search(Space.of([Log("level", 1, 8)], {"level": 2.0}, FACTS), peaked("level", at), 8, 48)
    assert not open_ends(space, tried)
    assert abs(log(best_of(tried).point["level"] / at)) < log(1.25)


@pytest.mark.parametrize("at", [-30.0, 0.2, 2.9, 14.0])
def test_a_linear_range_grows_by_its_width(at):
    declared = [Linear("level", 0.0, 3.0)]
    space, tried = search(Space.of(declared, {"level": 1.0}, FACTS), lambda p: -abs(p["level"] - at), 8, 160)
    assert not open_ends(space, tried)
    assert abs(best_of(tried).point["level"] - at) < 0.6


def test_what_ends_at_an_edge_says_so():
    space, tried = search(Space.of([Log("level", 1, 8)], {"level": 2.0}, FACTS), lambda p: p["level"], 8, 24)
    assert len(tried) == 24
    assert [str(end) for end in open_ends(space, tried)] == ["level: nothing above was tried"]


def test_a_range_does_not_grow_past_what_means_something():
    space, tried = search(Space.of([Chunk()], {"chunk": 8}, FACTS), lambda p: -p["chunk"], 8, 24)
    assert best_of(tried).point["chunk"] == 1 and not open_ends(space, tried)
    space, tried = search(Space.of([Chunk()], {"chunk": 8}, FACTS), lambda p: p["chunk"], 8, 24)
    assert best_of(tried).point["chunk"] == 32 and len(tried) == 8
    assert all(type(one.point["chunk"]) is int for one in tried)


def test_without_edges_every_method_has_as_many_tries_and_no_settings_twice():
    for declared, defaults in (
        ([Log("a", 1, 8)], {"a": 2.0}),
        ([Log("a", 1, 8), Choice("b", ("x", "y", "z"))], {"a": 2.0, "b": "x"}),
        ([Shape(), Linear("a", 1, 8), Choice("b", ("x", "y"))], {"width": 4, "successors": 4, "a": 2.0, "b": "x"}),
    ):
        space, tried = search(Space.of(declared, defaults, FACTS), lambda p: -abs(p["a"] - 3.0), 12, 12)
        assert len(tried) == 12 == len({space.key(one.point) for one in tried})
        assert tried[0].point == space.defaults


def test_the_better_choice_is_found_and_its_own_setting_refined():
    """Block-wise, a chunk of 3 wins; token-wise a strength does nothing at all."""
    declared = [Choice("mode", ("token", "block")), Log("strength", 1, 8, when=When("mode", "token")),
                Chunk(when=When("mode", "block"))]  # fmt: skip
    defaults = {"mode": "token", "strength": 1.0, "chunk": 8}
    gold = lambda p: 1 - abs(log(p["chunk (block)"] / 3)) if p["mode"] == "block" else -1.0  # noqa: E731  # one expression
    space, tried = search(Space.of(declared, defaults, FACTS), gold, 8, 24)
    assert space.settings(best_of(tried).point) == {"mode": "block", "chunk": 3}


def test_a_space_of_few_choices_ends_when_all_were_tried():
    _, tried = search(Space.of([Choice("tau", (0.0, 0.1, 1.0))], {"tau": 0.0}, FACTS), lambda p: p["tau"], 8, 24)
    assert sorted(one.point["tau"] for one in tried) == [0.0, 0.1, 1.0]


def test_ties_go_to_the_cheaper_and_nan_never_wins():
    tried = [Tried({"a": 1}, float("nan"), 0.0), Tried({"a": 2}, 1.0, 3.0), Tried({"a": 3}, 1.0, 2.0)]
    assert best_of(tried).point == {"a": 3}
    assert best_of(tried[:1]).point == {"a": 1}


def test_shapes_keep_the_rows():
    (shape,) = Space.of([Shape()], {"width": 4, "successors": 4}, FACTS).tunables
    assert [tuple(value.values()) for value in shape.values] == [(1, 16), (2, 8), (4, 4), (8, 2)]


def test_what_changes_no_answer_is_not_tried():
    space = Space.of([Log("a", 1, 8), Log("b", 1, 8)], {"a": 2, "b": 2}, FACTS, lambda settings: str(settings["a"]))
    points = first_points(space, 4, np.random.default_rng(0))
    tried = [Tried(point, point["a"], 1) for point in points]
    assert [t.label for t in space.active(points[0])] == ["a"] and len({space.key(p) for p in points}) == 4
    assert {end.label for end in open_ends(space, tried)} <= {"a"}


def test_a_list_is_tuned_by_its_last_number():
    space = Space.of([Log("beta", 0.25, 4, listed_after=(1.0,))], {"beta": (1.0, 0.5)}, FACTS)
    assert space.settings(space.defaults) == {"beta": [1.0, 0.5]}
