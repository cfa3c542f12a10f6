from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import AsBefore, ByContent, files_in, hashed, without_as_before
from harness.core.digest import digest


@dataclass(frozen=True)
class Inner:
    depth: int = 1
    later: Annotated[float, Field(ge=0), AsBefore(0.0)] = 0.0


@dataclass(frozen=True)
class Config:
    width: Annotated[int, Field(ge=1)] = 4
    layers: Annotated[tuple[int, ...], AsBefore(())] = ()
    inner: Annotated[Inner, Field(description="parts")] = Inner()
    faster: Annotated[bool, AsBefore(False)] = True  # its default is not as before


@dataclass(frozen=True)
class Wider(Config):
    more: Annotated[int, AsBefore(2)] = 2


def test_a_later_setting_is_left_out_at_the_value_that_means_as_before():
    assert hashed(Config(faster=False)) == {"width": 4, "inner": {"depth": 1}}


def test_at_any_other_value_it_is_hashed_like_the_rest():
    config = Config(layers=(2,), inner=Inner(later=0.5))
    assert hashed(config) == {"width": 4, "layers": (2,), "inner": {"depth": 1, "later": 0.5}, "faster": True}


def test_settings_that_are_inherited_keep_their_marks():
    assert hashed(Wider(faster=False)) == hashed(Config(faster=False))
    assert hashed(Wider(more=3, faster=False))["more"] == 3


def test_what_json_gave_back_is_left_out_alike():
    stored = {"width": 4, "layers": [], "inner": {"depth": 1, "later": 0.0}, "faster": False}
    assert digest(without_as_before(Config, stored)) == digest(hashed(Config(faster=False)))


def test_a_stored_setting_that_is_gone_stays():
    assert without_as_before(Config, {"width": 4, "height": 3}) == {"width": 4, "height": 3}


@dataclass(frozen=True)
class Reading:
    file: Annotated[str, ByContent(lambda path: f"what {path[-1]} holds")] = ""
    other: Annotated[str, ByContent(lambda path: "never asked"), AsBefore("")] = ""


def test_a_file_is_hashed_by_what_it_holds():
    assert hashed(Reading("here/a")) == hashed(Reading("there/a")) == {"file": "what a holds"}
    assert hashed(Reading()) == {"file": ""} and files_in(Reading("here/a")) == {"file": "here/a"}
