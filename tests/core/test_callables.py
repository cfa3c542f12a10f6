"""How a user's function is called, and that its name in the cache changes whenever what it gives could."""

import functools
import sys
from types import SimpleNamespace

import pytest

from harness.core.callables import Signature, signature_of, source_of
from harness.core.errors import UserError
from harness.core.registry import import_file


def answered(prompt, response, answer, weight=1.0):
    return weight * (answer in response)


@pytest.mark.parametrize(
    "function, signature",
    [
        (lambda prompt, response: 0, Signature(False, (), (), False)),
        (lambda prompt, response, **row: 0, Signature(False, (), (), True)),
        (lambda prompts, responses, **columns: [], Signature(True, (), (), True)),
        (answered, Signature(False, ("answer",), ("weight",), False)),
        (functools.partial(answered, weight=2.0), Signature(False, ("answer",), ("weight",), False)),
    ],
)
def test_the_names_of_parameters_say_how_to_call_it(function, signature):
    assert signature_of(function) == signature


def test_only_the_columns_that_it_asks_for_are_given():
    row = {"answer": "4", "other": 1}
    assert signature_of(answered).columns(row) == {"answer": "4"}
    assert signature_of(lambda prompt, response, **row: 0).columns(row) == row


@pytest.mark.parametrize(
    "function, says",
    [
        (lambda text: 0, r"the reward takes \(text\); its first two parameters tell how to call it"),
        (lambda prompts, response: 0, r"takes \(prompts, response\)"),
        (lambda *, prompt, response: 0, "its first two parameters"),
        (max, "the parameters of the reward <built-in function max> cannot be read"),
        (3, "the reward is 3; give a function"),
    ],
)
def test_any_other_function_is_refused(function, says):
    with pytest.raises(UserError, match=says):
        signature_of(function)


GRADER = """
from rules import bonus
LIMIT = 3
def make(weight):
    def inner(prompt, response):
        return weight * len(response)
    return inner
def plain(prompt, response, scale=1.0):
    return scale * min(len(response), LIMIT) + bonus(response)
class Judge:
    def __init__(self, word): self.word = word
    def __call__(self, prompt, response): return response.count(self.word)
    def judge(self, prompt, response): return response.count(self.word)
"""


@pytest.fixture
def grader(tmp_path, monkeypatch):
    """A function that loads graders.py of a folder, which uses rules.py beside it, with edits to either."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def load(name="one", grader=GRADER, rules="def bonus(response): return 0"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "graders.py").write_text(grader, encoding="utf-8")
        (folder / "rules.py").write_text(rules, encoding="utf-8")
        monkeypatch.delitem(sys.modules, "rules", raising=False)
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        return import_file(folder / "graders.py")

    return load


def identity(function) -> str:
    return source_of(function).identity


def test_the_same_function_has_the_same_identity(grader):
    one, other = grader("one"), grader("other")
    assert identity(one.plain) == identity(other.plain)
    assert identity(one.make(2)) == identity(other.make(2))
    assert identity(one.Judge("a")) == identity(other.Judge("a"))


@pytest.mark.parametrize(
    "change",
    [
        lambda load: load("other", grader=GRADER.replace("min(", "max(")).plain,
        lambda load: load("other", rules="def bonus(response): return 1").plain,
        lambda load: functools.partial(load("other").plain, scale=2.0),
        lambda load: load("other").make(2),
        lambda load: SimpleNamespace(vary=vars(module := load("other")).update(LIMIT=4), f=module.plain).f,
    ],
    ids=["file", "neighbour", "argument", "function", "global"],
)
def test_whatever_changes_what_it_gives_changes_its_identity(grader, change):
    assert identity(change(grader)) != identity(grader().plain)


def test_what_a_closure_and_an_object_hold_counts(grader):
    module = grader()
    assert identity(module.make(2)) != identity(module.make(3))
    assert identity(module.Judge("a")) != identity(module.Judge("b"))
    assert identity(module.Judge("a").judge) != identity(module.Judge("b").judge)


def test_only_a_function_at_the_top_of_a_module_can_be_imported_again(grader):
    module = grader()
    assert source_of(module.plain).reference == f"{module.__file__}:plain"
    assert source_of(module.make(2)).reference is None and source_of(module.Judge("a")).reference is None


def test_without_source_nothing_is_found_again_and_one_line_says_so(capsys):
    scope: dict = {}
    exec("def typed(prompt, response): return 0", scope)
    held = [object()]

    def holds(prompt, response):
        return len(held)

    for function, why in ((scope["typed"], "has no source file"), (holds, "its variable held")):
        assert identity(function) != identity(function)
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 2 and why in said[0] and "nothing made with it is taken from the cache" in said[0]
