"""How rows look: own methods apart from each other and from ours, in colour and in grey."""

from itertools import combinations, pairwise

import pytest

from harness.evidence.figures.style import (
    COLOURS,
    MARKERS,
    ONE_TEXT,
    OWN_COLOURS,
    OWN_MARKERS,
    colour,
    drawn_as,
    label,
    look,
    marker,
)
from harness.evidence.schema import Row
from harness.methods import METHODS

NAMES = ("longest", "shortest", "mine", "rerank", "beam_of_mine", "my_method")


def lightness(hue: str) -> float:
    """CIE L* of '#rrggbb', 0 black to 100 white."""
    parts = [int(hue[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(116 * sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) ** (1 / 3) - 16)


def test_own_methods_do_not_share_one_look():
    """All of them were the same brown."""
    looks = {tuple(look(Row(name, 1, "value")).items()) for name in NAMES}
    assert len(looks) == len(NAMES) and len({colour(name) for name in NAMES}) > 2
    assert not {colour(name) for name in NAMES} & set(COLOURS.values())


def test_a_look_is_that_of_the_name_alone():
    assert look(Row("longest", 0, "value")) == {"color": "#332288", "marker": "X", "fillstyle": "full"}  # pinned
    assert [look(Row("longest", i, "value")) for i in (1, 2)] == [look(Row("longest", 0, "value"))] * 2


def test_own_colours_differ_in_grey_and_stand_out_from_the_page():
    shades = [lightness(hue) for hue in OWN_COLOURS]
    assert shades == sorted(shades) and all(b - a > 7 for a, b in pairwise(shades)) and max(shades) < 80
    assert len(set(OWN_MARKERS)) == len(OWN_MARKERS) and not set(OWN_MARKERS) & set(MARKERS.values())


@pytest.mark.parametrize("method", ["iro", "longest"])
def test_picks_of_a_method_look_different(method):
    looks = [look(Row(method, 1, pick)) for pick in ("value", "reward", "first")]
    assert len({(one["marker"], one["fillstyle"]) for one in looks}) == 3
    assert drawn_as(Row(method, 1, "value"), 1)["linestyle"] == "none"


def test_what_picks_nothing_is_not_called_a_first_sample():
    """ARGS and DPO write one text, and a search's `first` is the first of its finalists: none is a first sample."""
    assert label(Row("args", 0, "first")) == "ARGS" and label(Row("base", 0, "first")) == "base"
    assert label(Row("iro", 2, "first")) == "IRO, iteration 2, no pick"


def test_methods_differ_in_grey():
    """Three markers told the picks, so that eight methods differed in colour alone."""
    assert set(MARKERS) == set(COLOURS) == set(METHODS)
    assert len(set(MARKERS.values())) == len(MARKERS)
    assert len({marker(name) for name in NAMES}) > 1


def test_own_methods_that_share_a_marker_differ_in_lightness():
    for a, b in combinations(NAMES, 2):
        apart = abs(lightness(colour(a)) - lightness(colour(b))) > 7
        assert marker(a) != marker(b) or apart, (a, b)


def test_methods_of_one_pick_are_drawn_full_and_named_without_it():
    for method in ONE_TEXT:
        assert {look(Row(method, 0, pick))["fillstyle"] for pick in ("value", "reward", "first")} == {"full"}
        assert "pick" not in label(Row(method, 1, "first"))
