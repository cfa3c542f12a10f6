"""What formats.md says of bad files and bad graders is what a user gets; `python -m tests.bad_files` writes it anew."""

import re

import pytest

from tests.bad_files import FILES, GRADERS, IMPORTED, PAGE, table_of, table_of_files, table_of_graders

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_table_of_bad_files_says_what_is_said_of_them():
    assert table_of(TEXT, "bad files") == table_of_files()


@pytest.mark.slow
def test_the_table_of_bad_graders_says_what_comes_of_them():
    assert table_of(TEXT, "bad graders") == table_of_graders()


def test_every_kind_of_bad_file_and_grader_is_in_a_table_and_none_ends_in_silence():
    tables = table_of(TEXT, "bad files") + table_of(TEXT, "bad graders")
    rows = dict(re.findall(r"^\| ([^|]+?) \| (.+?) \|$", tables, re.M))
    asked = (
        "empty", "no column with prompts", "a line of 20 MB", "invalid UTF-8", "a byte order mark", "duplicates",
        "a prompt longer than the context", "hangs", "forks, and both hang", "exits", "prints", "returns None",
        "returns a text", "returns inf", "leaks memory", "reads a column that the row lacks",
    )  # fmt: skip
    assert set(asked) <= set(rows)
    assert {*FILES, *GRADERS, *IMPORTED} <= set(rows)
    for what, said in rows.items():
        if what in FILES:
            good = FILES[what][0].startswith("good")
            assert said.startswith("taken: " if good else "error: "), what
            to_do = r"[;.:] (a file|an answer|give|leave|name|put|quote|save|shorten|write)"
            assert good or re.search(to_do, said, re.IGNORECASE), f"{what}: {said} does not say what to do"
