"""Names of anybody's as parts of paths."""

import pytest

from harness.core.slug import distinct_slugs, short_enough, slug

NAMES = [
    "../../PWNED",
    "a/b",
    "",
    ".",
    "..",
    ".hidden",
    "x" * 300,
    "ä" * 300,
    "𝒳" * 300,
    "CON",
    "nul.txt",
    "a\x1b[31m",
    "m 1",
    "日本",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_slug_is_one_part_of_a_path(tmp_path, name):
    part = slug(name)
    (tmp_path / part).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [part] and not part.startswith(".") and part.isprintable()


def test_names_that_shorten_alike_stay_apart():
    """Of two generators one was written over the other, exit 0."""
    found = distinct_slugs(["m 1", "m_1", "M_1", *("y" * 100 + str(i) for i in range(3))])
    assert found["M_1"] == "M_1" and len({part.casefold() for part in found.values()}) == 6
    assert found == distinct_slugs(reversed(["m 1", "m_1", "M_1", *("y" * 100 + str(i) for i in range(3))]))


def test_a_name_of_parts_stays_as_it_is_until_a_disk_would_not_take_it(tmp_path):
    assert short_enough("imdb-3f2a-base-gold") == "imdb-3f2a-base-gold"
    long = [short_enough("r" * 240 + end) for end in ("-base", "-best_of_n")]
    assert len(set(long)) == 2
    for name in long:
        (tmp_path / f"{name}-0123456789.lock").touch()
