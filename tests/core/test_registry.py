"""Names of methods and tasks: shipped, installed and of a user's own file; each mistake in one message."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.errors import UserError
from harness.core.registry import Origin, Registry, require_one_checkout, snake_case
from harness.methods import METHODS
from harness.tasks import TASKS

ROOT = Path(__file__).parents[2]
GENERATOR, GROUP = "harness.core.generator:Generator", "harness.test_methods"
METHOD = """
from dataclasses import dataclass
from harness.core.generator import Generator

@dataclass(frozen=True)
class Config:
    n: int = 4

class {name}(Generator):
    Config, source = Config, "made in a test"
    def generate(self, prompts):
        return []
"""


@pytest.fixture
def registry() -> Registry:
    return Registry("method", GENERATOR, GROUP, {"iro": "harness.methods.iro:Iro"})


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "longest.py").write_text(METHOD.format(name="Longest"), encoding="utf-8")
    return tmp_path


def test_names_are_known_without_importing_torch():
    code = (
        "import sys; from harness.methods import METHODS; from harness.tasks import TASKS; "
        "assert list(METHODS)[0] == 'base' and 'iro' in METHODS and 'irp' not in METHODS and 'toy' in TASKS; "
        "assert METHODS.origin('iro').path.name == 'iro.py' and METHODS.name_of('iro') == 'iro'; "
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_shipped_name_gives_its_class():
    for registry, folder in ((METHODS, "methods"), (TASKS, "tasks")):  # other tests may have added files of theirs
        names = [name for name in registry if registry.origin(name).path.is_relative_to(ROOT / folder)]
        assert len(names) > 6
        for name in names:
            assert registry[name].Config and registry.origin(name).shipped
            assert registry.origin(name).reference == name and registry.origin(name).path.is_file()


def test_a_file_gives_a_method_which_is_known_by_the_name_of_its_class(registry, folder):
    assert registry.name_of("longest.py:Longest") == "longest"
    assert registry.name_of(f"{folder}/../{folder.name}/longest.py:Longest") == "longest"  # the same file
    assert "longest" in registry and registry.name_of("longest") == "longest" and list(registry) == ["iro", "longest"]
    assert registry["longest"].source == "made in a test" and registry["longest"].Config().n == 4
    path = (folder / "longest.py").resolve()
    assert registry.origin("longest") == Origin(f"{path}:Longest", path, False)


def test_a_file_may_import_its_neighbours_but_hides_no_installed_module(registry, folder):
    (folder / "words.py").write_text("SOURCE = 'a neighbour'", encoding="utf-8")
    (folder / "yaml.py").write_text("raise RuntimeError('not this one')", encoding="utf-8")
    text = "import yaml\nfrom words import SOURCE\n" + METHOD.format(name="Near").replace('"made in a test"', "SOURCE")
    (folder / "near.py").write_text(text, encoding="utf-8")
    assert registry[registry.add("near.py:Near")].source == "a neighbour"


def test_a_module_that_can_be_imported_gives_a_method(registry, folder, monkeypatch):
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").touch()
    (folder / "pack" / "inside.py").write_text(METHOD.format(name="OfAPackage"), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    assert registry[registry.name_of("pack.inside:OfAPackage")].source == "made in a test"
    assert registry.origin("of_a_package") == Origin("pack.inside:OfAPackage", folder / "pack" / "inside.py", False)


def test_installed_packages_declare_methods_and_shipped_names_win(registry, folder, monkeypatch):
    (folder / "plugin.py").write_text(METHOD.format(name="Plugged"), encoding="utf-8")
    about = folder / "plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n", encoding="utf-8")
    points = f"[{GROUP}]\nplugged = plugin:Plugged\niro = plugin:Plugged\n"
    (about / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    assert list(registry) == ["iro", "plugged"] and registry["iro"].__name__ == "Iro"
    assert "plugin" not in sys.modules
    assert registry["plugged"].source == "made in a test"
    assert registry.origin("plugged") == Origin("plugged", folder / "plugin.py", False)


@pytest.mark.parametrize(
    "reference, says",
    [
        ("nowhere.py:Longest", r"there is no file .*nowhere\.py"),
        ("longest.py:", "write it as FILE.py:Class"),
        ("longest.py:a b", "write it as FILE.py:Class"),
        ("lon-gest:Longest", "'lon-gest' is neither a .py file nor the name of a module"),
        ("longest.py:Iro", "would be called 'iro', as a shipped one is"),
        ("other.py:Longest", "would both be called 'longest'; rename one class"),
        ("other.py:All", "would be called 'all', which has a meaning"),
        ("longest.py", r"unknown method 'longest.py'.*or a class of your own as FILE.py:Class"),
        ("irp", "unknown method 'irp'. Did you mean 'iro'"),
    ],
)
def test_a_name_that_cannot_be_taken_up_is_said(registry, folder, reference, says):
    shutil.copy("longest.py", "other.py")
    registry.add("longest.py:Longest")
    with pytest.raises(UserError, match=says):
        registry.name_of(reference, "all")


@pytest.mark.parametrize(
    "text, reference, says",
    [
        (METHOD, "m.py:Longst", r"has no class 'Longst'. Did you mean 'Longest'\? Its classes: Config, Longest"),
        ("x = 1", "m.py:Longest", "has no class 'Longest'. Its classes: none"),
        ("class Longest: pass", "m.py:Longest", r"extends no Generator; write class Longest\(Generator\)"),
        (METHOD.replace("    Config, source =", "    c, source ="), "m.py:Longest", "m.py:Longest' has no Config; see"),
        (METHOD.replace("def generate", "def write"), "m.py:Longest", "m.py:Longest' has no generate; see"),
        (METHOD.replace("@dataclass(frozen=True)", ""), "m.py:Longest", "its Config is no dataclass"),
        ("\n\n1 / 0", "m.py:Longest", r"m\.py cannot be imported: ZeroDivisionError: .*m\.py, line 3"),
        ("import json\njson.loads('{')", "m.py:Longest", r"JSONDecodeError: .*m\.py, line 2"),
        ("import nothing_like_it", "m.py:Longest", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def f(:", "m.py:Longest", r"SyntaxError: .*m\.py, line 1"),
        ("raise SystemExit(3)", "m.py:Longest", r"SystemExit: 3 .*m\.py, line 1"),
        ("", "no_such_package.m:Longest", "there is no module no_such_package.m; install its package"),
    ],
)
def test_a_class_that_cannot_be_used_is_said_in_one_line(registry, folder, text, reference, says):
    Path("m.py").write_text(text.replace("{name}", "Longest"), encoding="utf-8")
    name = registry.add(reference)
    with pytest.raises(UserError, match=says) as raised:
        registry[name]
    assert "\n" not in str(raised.value)


def test_an_unknown_name_is_a_key_error_as_in_any_mapping(registry):
    assert registry.get("irp") is None
    with pytest.raises(KeyError):
        registry["irp"]


def test_names_are_in_snake_case():
    names = {"BestOfN": "best_of_n", "MyDPOThing": "my_dpo_thing", "Longest": "longest", "ARGS": "args"}
    assert {name: snake_case(name) for name in names} == names


def test_a_class_that_is_held_is_found_and_not_listed(registry):
    class Made(METHODS["base"]):
        pass

    registry.hold("made", Made)
    assert registry["made"] is Made and "made" in registry and "made" not in list(registry)
    assert registry.origin("made") == Origin("made", Path(__file__), False)


def test_two_checkouts_are_not_mixed(tmp_path):
    """One clone's tests ran with another clone's environment: harness of the one, methods of the other."""
    require_one_checkout()
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-m", "harness", "list"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for part in (str(tmp_path / "harness"), str(ROOT / "methods"), f"`pip install -e .` in {tmp_path}"):
        assert part in done.stderr
