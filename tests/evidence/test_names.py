"""Names as people read them."""

import pytest

from harness.evidence.names import display_name
from harness.methods import METHODS


@pytest.mark.parametrize(
    "method, name",
    [("iro", "IRO"), ("best_of_n", "best-of-n"), ("base_greedy", "base (greedy)"), ("my_own_method", "my own method")],
)
def test_a_method_is_called_as_papers_write_it(method, name):
    assert display_name(method) == name


def test_no_listed_method_is_shown_by_a_name_with_underscores():
    names = [display_name(method) for method in METHODS]
    assert not any("_" in name for name in names) and len(set(names)) == len(names)
