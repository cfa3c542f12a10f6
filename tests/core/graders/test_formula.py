import math

import pytest

from harness.core.errors import UserError
from harness.core.graders.formula import Formula

VALUES = {"a": 0.5, "b": 2.0}


def value(written: str) -> float:
    return Formula.of(written, ["a", "b"], "calculate_output").value(VALUES)


@pytest.mark.parametrize(
    "written, expected",
    [
        ("0.8 * a + 0.2 * b", 0.8),
        ("a + b ^ 2", 4.5),  # ^ binds as a power does, not as Python's ^
        ("-a ^ 2", -0.25),
        ("2 ^ 3 ^ 2", 512),
        ("min(a, b, 0.1) + max(a, b)", 2.1),
        ("max(a) + min(b)", 2.5),
        ("abs(-b) + floor(a) + ceil(a)", 3.0),
        ("exp(log(b)) + sqrt(4)", 4.0),
        (" (a + b)/2 ", 1.25),
        ("1", 1.0),
    ],
)
def test_values(written, expected):
    assert value(written) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "written", ["c + a", "a +", "", "a ** 2", "__import__('os')", "a.real", "a if b else a", "a > b", "'a' * 3", "[a]",
                "min()", "min(a, key=b)", "sin(a)", "sqrt(a, b)", "a; b", "True", "a % b", "a // b", "lambda: a",
                "f'{a}'", "~a", "not a", "a and b", "(a := b)", "1j", "min", "a\n+b"]
)  # fmt: skip
def test_all_else_is_refused_when_it_is_loaded(written):
    with pytest.raises(UserError, match=r"^calculate_output is"):
        Formula.of(written, ["a", "b"], "calculate_output")


@pytest.mark.parametrize("written", ["a / 0", "log(0)", "sqrt(-b)", "(-b) ^ a", "exp(10 ^ 6)", "9 ^ 9 ^ 9 ^ 9"])
def test_what_has_no_value_is_an_error_and_takes_no_time(written):
    with pytest.raises((ArithmeticError, ValueError)):
        value(written)


def test_names_are_those_that_are_used():
    assert Formula.of("a + 1", ["a", "b"], "it").names == frozenset({"a"})
    assert math.isnan(Formula.of("a", ["a"], "it").value({"a": math.nan}))
