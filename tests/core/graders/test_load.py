"""Graders from what a user names, and one error for each mistake."""

import sys

import pytest

from harness.core.errors import UserError
from harness.core.graders.grade import Item
from harness.core.graders.load import load_grader
from harness.core.graders.worker import Limits

GOOD = "def correct(prompt, response, answer):\n    return answer in response\n"


def write(tmp_path, name: str, content: str | bytes) -> str:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize(
    "name, content, function, says",
    [
        ("none.py", None, ":f", "there is no file"),
        ("g.txt", "x", "", "is none of FILE.py:function"),
        ("g.py", GOOD, ":corect", "unknown function 'corect'. Did you mean 'correct'? Valid: correct"),
        ("g.py", GOOD, ":", "names no function"),
        ("g.py", "x = 1\n", ":f", "has no function f, nor any other"),
        ("g.py", "x = 1\n", "", "has no function whose parameters are those of a grader"),
        ("g.py", "def f(text):\n    pass\n", "", "the grader f(text) fits no form"),
        ("g.py", "def f(text):\n    pass\n", ":f", "the grader f(text) fits no form"),
        ("g.py", GOOD + GOOD.replace("correct", "other"), "", "has 2 functions that may be the grader; name one: "),
        ("g.py", "def f(prompt, response):\n    return (\n", "", "'(' was never closed in line 2: return ("),
        ("g.py", "import not_there\n" + GOOD, "", "ModuleNotFoundError: No module named 'not_there' (line 1 of g.py)"),
        ("g.py", GOOD + "1 / 0\n", "", "could not be imported: ZeroDivisionError: division by zero (line 3 of g.py)"),
        ("g.py", "import sys\nprint('why')\nsys.exit(2)\n" + GOOD, "", "SystemExit: 2 (line 3 of g.py); it printed: w"),
        ("g.py", "import os\nos._exit(5)\n" + GOOD, "", "could not be imported: its process exited with code 5"),
        ("g.py", GOOD + "correct = 1\n", "", "TypeError: correct is a int and no function"),
        ("g.py", b"# \xff\n", "", "is no UTF-8 (byte 2)"),
        ("g.py", "", "", "has no function"),
        ("g.json", "{", "", "is no JSON: Expecting property name"),
        ("g.json", "", "", "is no JSON"),
        ("g.json", "[" * 100_000, "", "is nested too deeply"),
        ("g.json", "3", "", "a grader is an object"),
        ("g.yaml", "a: [", "", "is no YAML"),
        ("g.yaml", "grader: {fn: g.py}", "", "has no type"),
        ("g.yaml", "grader: []", "", "is no list of graders"),
        ("g.yaml", "grader: [{fn: none.py}]", "", "there is no file"),
        ("g.yaml", "grader: [{fn: a.py, openai: b.json}]", "", "grader 1 needs exactly one of fn"),
        ("g.yaml", "grader: [{fn: a.py, weigth: 1}]", "", "a line has fn or openai, weight, name"),
        ("g.yaml", "grader: [{fn: a.py, weight: heavy}]", "", "weight is 'heavy'"),
        ("g.yaml", "grader: [{fn: a.py, weight: 0}]", "", "weight 0: there is no score"),
        ("g.yaml", "grader: [{fn: a.py}, {fn: a.py}]", "", "has a.py twice"),
        ("g.yaml", "{grader: [{fn: a.py}], more: 1}", "", "has grader, more; give grader:"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_error(tmp_path, name, content, function, says, capfd):
    path = str(tmp_path / name) if content is None else write(tmp_path, name, content)
    with pytest.raises(UserError) as raised:
        load_grader(path + function)
    assert says in str(raised.value), str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_never_imported_to_the_end_is_an_error(tmp_path):
    path = write(tmp_path, "g.py", "import time\ntime.sleep(600)\n" + GOOD)
    with pytest.raises(UserError, match="could not be imported: no answer within 1 seconds"):
        load_grader(path, limits=Limits(start_seconds=1))


def test_the_file_is_imported_in_the_graders_process_alone(tmp_path):
    path = write(tmp_path, "mine_alone.py", GOOD + "import sys\nsys.harness_was_here = True\n")
    grader = load_grader(path)
    assert grader.grade([Item("p", "4", {"answer": "4"})])[0].score == 1.0
    assert "mine_alone" not in sys.modules and not hasattr(sys, "harness_was_here") and str(tmp_path) not in sys.path
    grader.close()


def test_the_only_function_that_can_be_a_grader_needs_no_name(tmp_path):
    helpers = "def _score(prompt, response): pass\ndef clean(text): return text\ndef near(row): return row\n"
    grader = load_grader(write(tmp_path, "g.py", helpers + GOOD))
    assert grader.name == "g.py:correct"
    grader.close()


def test_a_vendors_usual_name_is_taken_among_several(tmp_path):
    source = (
        "def helper(solution_str, ground_truth): return 0\ndef compute_score(solution_str, ground_truth): return 1\n"
    )
    grader = load_grader(write(tmp_path, "g.py", source))
    assert grader.name == "g.py:compute_score"
    grader.close()


def test_a_lambda_and_a_module_beside_the_file_are_found(tmp_path):
    write(tmp_path, "words.py", "GOOD = {'yes'}\n")
    write(tmp_path, "json.py", "raise ValueError('this hides the standard module')\n")
    grader = load_grader(
        write(tmp_path, "g.py", "from words import GOOD\nf = lambda prompt, response: response in GOOD\n")
    )
    assert [grade.score for grade in grader.grade([Item("p", "yes"), Item("p", "no")])] == [1.0, 0.0]
    grader.close()


def test_dataclasses_and_annotations_work_as_in_any_module(tmp_path):
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass Made:\n"
        "    score: float\n\n"
        "def f(prompt: str, response: str) -> Made:\n    return Made(0.25)\n"
    )
    grader = load_grader(write(tmp_path, "g.py", source))
    assert grader.grade([Item("p", "r")])[0].score == 0.25
    grader.close()


def identity(path: str, **limits: float) -> str:
    grader = load_grader(path, limits=Limits(**limits))
    grader.close()
    return grader.identity


def test_identity_is_all_that_shapes_the_scores_and_not_where_it_lies(tmp_path):
    source = "from words import GOOD\nimport json\nDATA = 'key.csv'\n" + GOOD + GOOD.replace("correct", "other")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name, text in (("g.py", source), ("words.py", "GOOD = 1\n"), ("key.csv", "a"), ("unused.py", "")):
            write(tmp_path / folder, name, text)
    one, two = str(tmp_path / "one/g.py:correct"), str(tmp_path / "two/g.py:correct")
    first = identity(one)
    assert identity(two) == first
    assert identity(str(tmp_path / "one/g.py:other")) != first
    assert identity(one, seconds=1.0) != first
    write(tmp_path / "two", "unused.py", "x = 1\n")
    assert identity(two) == first
    for name, text in (("words.py", "GOOD = 2\n"), ("key.csv", "b"), ("g.py", source + "\n")):
        before = (tmp_path / "two" / name).read_text()
        write(tmp_path / "two", name, text)
        assert identity(two) != first, name
        write(tmp_path / "two", name, before)
    assert identity(two) == first
