import importlib
import sys
from datetime import date, datetime

import numpy as np
import pytest

from harness.core.errors import UserError
from harness.core.generator import Generator
from harness.core.identity import file_identity, is_shipped, prompt_identity, source_identity
from harness.core.types import Message, Prompt
from harness.methods.iro import Iro
from harness.tasks.imdb import Imdb

PACKAGE = {
    "ours/__init__.py": "",
    "ours/methods/__init__.py": "",
    "ours/methods/longest.py": (
        "import json\nfrom ours.words import count\nfrom . import near\nfrom ..deep.down import x\n"
        "from harness.core.types import Prompt\n\nclass Longest:\n    pass\n"
    ),
    "ours/methods/near.py": "",
    "ours/methods/unused.py": "",
    "ours/words.py": "def f():\n    import ours.lazily\n\ncount = len\n",
    "ours/lazily.py": "",
    "ours/deep/down.py": "x = 1",
    "json.py": "in the folder beside the package, and never imported by it",
    "alone.py": (
        "import beside\nfrom helpers import inner\n\nclass Alone:\n    pass\n\n"
        "def reward(prompt, response):\n    return 0.0\n"
    ),
    "beside.py": "",
    "helpers/__init__.py": "",
    "helpers/inner.py": "",
}  # fmt: skip


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the files, and imports a module of them as another process would."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def load(module: str, edited: str = "", text: str = ""):
        if edited:
            (tmp_path / edited).write_text((tmp_path / edited).read_text() + text)
        for name in [n for n in sys.modules if n.split(".")[0] in ("ours", "alone", "beside", "helpers")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module(module)

    yield load
    for name in [n for n in sys.modules if n.split(".")[0] in ("ours", "alone", "beside", "helpers")]:
        del sys.modules[name]


def test_a_file_is_named_as_its_module_is_and_without_being_imported(written, tmp_path):
    files = source_identity(written("alone").Alone)["files"]
    del sys.modules["alone"]
    assert file_identity(tmp_path / "alone.py") == files and list(files) == sorted(files)
    assert "alone" not in sys.modules and {"alone.py", "beside.py", "helpers/inner.py"} <= files.keys()


def test_shipped_code_is_named_and_not_read():
    assert source_identity(Iro) == {"shipped": "harness.methods.iro:Iro"}
    assert source_identity(Imdb) == {"shipped": "harness.tasks.imdb:Imdb"}
    assert is_shipped(Generator)


def test_a_module_that_only_calls_itself_harness_is_not_shipped(tmp_path):
    fake = type("Fake", (), {"__module__": "harness.methods.fake"})
    assert not is_shipped(fake)


def test_a_file_of_a_package_has_all_that_it_imports_of_the_package(written):
    found = source_identity(written("ours.methods.longest").Longest)
    assert found["class"] == "Longest"
    assert sorted(found["files"]) == [
        "ours/__init__.py", "ours/deep/down.py", "ours/lazily.py", "ours/methods/__init__.py",
        "ours/methods/longest.py", "ours/methods/near.py", "ours/words.py",
    ]  # fmt: skip


def test_a_file_alone_has_what_it_imports_from_its_folder(written):
    alone = written("alone")
    assert sorted(source_identity(alone.Alone)["files"]) == [
        "alone.py", "beside.py", "helpers/__init__.py", "helpers/inner.py",
    ]  # fmt: skip
    assert source_identity(alone.reward)["files"] == source_identity(alone.Alone)["files"]


@pytest.mark.parametrize("edited, seen", [("ours/lazily.py", True), ("ours/methods/unused.py", False)])
def test_an_edit_counts_where_the_code_imports_it(written, edited, seen):
    before = source_identity(written("ours.methods.longest").Longest)
    after = source_identity(written("ours.methods.longest", edited, "\ny = 2\n").Longest)
    assert (before != after) == seen


def test_a_base_class_from_elsewhere_counts(written, tmp_path):
    alone, longest = written("alone"), importlib.import_module("ours.methods.longest")
    child = type("Child", (longest.Longest,), {"__module__": "alone"})
    assert list(source_identity(child)["bases"]) == ["ours.methods.longest:Longest"]
    assert "bases" not in source_identity(alone.Alone)


def test_moving_the_folder_changes_nothing(written, tmp_path):
    found = source_identity(written("alone").Alone)
    assert not any(str(tmp_path) in name for name in found["files"])


def test_what_has_no_file_is_named_once_and_said_once(capsys):
    scope = {"__name__": "typed"}
    exec("class Typed:\n    pass\n", scope)
    one = source_identity(scope["Typed"])
    assert one == source_identity(scope["Typed"])
    exec("class Typed:\n    pass\n", scope)
    assert one != source_identity(scope["Typed"])
    assert capsys.readouterr().err.count("the source of Typed cannot be read") == 2


BASE = Prompt("p", text="the film", reference="was good", row={"label": 1})


@pytest.mark.parametrize(
    "other, tokens",
    [
        (Prompt("q", text="the film", reference="was good", row={"label": 1}), (1, 2)),
        (Prompt("p", text="the films", reference="was good", row={"label": 1}), (1, 2)),
        (Prompt("p", text="the film", reference="was bad", row={"label": 1}), (1, 2)),
        (Prompt("p", text="the film", reference="was good", row={"label": 0}), (1, 2)),
        (Prompt("p", messages=(Message("user", "the film"),), reference="was good", row={"label": 1}), (1, 2)),
        (BASE, (1, 3)),
    ],
)
def test_everything_that_policy_or_graders_read_names_a_prompt(other, tokens):
    assert prompt_identity(BASE, (1, 2)) != prompt_identity(other, tokens)
    assert prompt_identity(other, tokens) == prompt_identity(other, tokens)


def test_rows_of_data_sets_are_named_by_their_values():
    day = datetime(2026, 1, 2)
    rows = [{"a": np.array([1, 2]), "day": day, "raw": b"x"}, {"day": day, "raw": b"x", "a": np.array([1, 2])}]
    one, again = (prompt_identity(Prompt("p", text="x", row=row), (1,)) for row in rows)
    assert one == again
    assert one != prompt_identity(Prompt("p", text="x", row={**rows[0], "day": date(2026, 1, 3)}), (1,))


def test_a_row_that_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match="prompt 'p' has a row that cannot be stored"):
        prompt_identity(Prompt("p", text="x", row={"image": object()}), (1,))
