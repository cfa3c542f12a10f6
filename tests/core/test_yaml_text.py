"""YAML as users write it: what is refused, and what is not."""

import pytest

from harness.core.errors import UserError
from harness.core.yaml_text import read_yaml


@pytest.mark.parametrize(
    "text, says",
    [
        ("iro: {width: 2}\nseed: 1\niro: {chunk: 2}", "mine is no YAML: 'iro' is there twice in line 3"),
        ("iro:\n\twidth: 2", "mine is no YAML: found character '\\t' that cannot start any token in line 2"),
        ("2026-13-45", "mine is no YAML: month must be in 1..12"),
        ("a: \x00", "mine is no YAML: unacceptable character"),
        ("a: &a [*a]", "mine is no YAML: found unconstructable recursive node in line 1"),
        ("[1, 2", "mine is no YAML: expected ',' or ']', but got '<stream end>' in line 1"),
    ],
)
def test_what_is_no_yaml_is_named_with_its_line(text, says):
    with pytest.raises(UserError) as told:
        read_yaml(text, "mine")
    assert says in str(told.value)


@pytest.mark.parametrize(
    "text", ["[" * 1000, "!!timestamp x", "0x" + "f" * 6000, "{a: " * 500, "!!int x", "!!float x", "!!bool x"]
)
def test_what_is_nested_too_deep_or_no_such_thing_is_one_error(text):
    with pytest.raises(UserError, match="--set is no YAML"):
        read_yaml(text, "--set")


def test_names_may_come_again_in_another_mapping_and_over_a_merge():
    assert read_yaml("a: {x: 1}\nb: {x: 2}", "mine") == {"a": {"x": 1}, "b": {"x": 2}}
    assert read_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}", "mine")["b"] == {"x": 3, "y": 2}
