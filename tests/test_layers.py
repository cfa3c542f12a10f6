"""The architecture as a test: who may import whom, folder by folder, and which folders never import torch.

A folder's row names every other folder of ours that its files may import. A file may always import its own folder,
methods and tasks excepted: no method imports another one, and no task another task.
"""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = "harness.core"
ROOMS = tuple(
    f"{CORE}.{room}" for room in ("models", "values", "search", "statistics", "graders", "data", "api", "chat")
)
MODELS, VALUES, SEARCH, STATISTICS, GRADERS, DATA, API, CHAT = ROOMS
METHODS, TASKS = "harness.methods", "harness.tasks"
EVIDENCE, PAGE, JUDGING, RUNNING = "harness.evidence", "harness.evidence.page", "harness.judging", "harness.running"
SWEEPS, SERVE, COMPARING = "harness.sweeps", "harness.serve", "harness.comparing"
BELOW_RUNNING = {CORE, *ROOMS, METHODS, TASKS, EVIDENCE, JUDGING, COMPARING}
MAY_IMPORT: dict[str, set[str]] = {
    CORE: set(),
    STATISTICS: {CORE},
    GRADERS: {CORE},
    DATA: {CORE},
    API: {CORE},
    CHAT: {CORE, API},
    MODELS: {CORE, API},
    VALUES: {CORE, MODELS, STATISTICS},
    SEARCH: {CORE, MODELS, VALUES},
    METHODS: {CORE, MODELS, VALUES, SEARCH},
    TASKS: {CORE, GRADERS, DATA, CHAT},
    EVIDENCE: {CORE, STATISTICS, PAGE},
    PAGE: {CORE, STATISTICS, EVIDENCE},
    JUDGING: {CORE, STATISTICS, API, CHAT, EVIDENCE},
    COMPARING: {CORE, STATISTICS, DATA, EVIDENCE},
    RUNNING: BELOW_RUNNING,
    SWEEPS: BELOW_RUNNING | {RUNNING},
    SERVE: BELOW_RUNNING | {RUNNING, PAGE},
}
ROOF = {  # single files that see more than their folder
    "harness.core.generator": {MODELS, VALUES, SEARCH},
    "harness.core.outside": {GRADERS, CHAT},
}
CLI = "harness.cli"
EVERYTHING = {"harness", "harness.__main__", "harness.listing"}  # and CLI; heavy imports inside functions
LIGHT = (EVIDENCE, PAGE, JUDGING, COMPARING, STATISTICS, GRADERS, DATA, API, CHAT)  # never torch, directly or not


def sources() -> dict[str, Path]:
    """Module -> file, of all that is installed."""
    found = {}
    for top, prefix in (("harness", "harness"), ("methods", METHODS), ("tasks", TASKS)):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT / top).with_suffix("").parts
            found[".".join([prefix, *(part for part in parts if part != "__init__")])] = path
    return found


SOURCES = sources()
PACKAGES = {name for name, path in SOURCES.items() if path.name == "__init__.py"}


def imported(text: str) -> set[str]:
    """Modules of ours that a source imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in SOURCES else str(node.module) for name in names}
    return {name for name in found if name.split(".")[0] in ("harness", "methods", "tasks", "tests", "results")}


def folder_of(module: str) -> str:
    """The folder whose row holds for a module: the longest one named in MAY_IMPORT."""
    return max((f for f in MAY_IMPORT if f"{module}.".startswith(f"{f}.")), key=len, default="harness")


def broken(module: str, text: str) -> list[str]:
    """What a module imports against the table."""
    lists = (METHODS, TASKS)  # of all of them
    if module in EVERYTHING or module in lists or f"{module}.".startswith(f"{CLI}."):
        return [name for name in imported(text) if name.startswith(("tests", "results"))]
    own = folder_of(module)
    allowed = MAY_IMPORT[own] | ROOF.get(module, set())
    wrong = []
    for name in sorted(imported(text)):
        there = folder_of(name)
        if there == own and own in (METHODS, TASKS):
            unit = ".".join(module.split(".")[:3])  # a method's file, a task's file or folder
            ok = f"{name}.".startswith(f"{unit}.")
        else:
            ok = there == own or there in allowed
        if not ok:
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_imports_follow_the_table(module):
    assert broken(module, SOURCES[module].read_text()) == []


@pytest.mark.parametrize(
    "module, planted",
    [
        ("harness.core.types", "import harness.core.models.policy"),
        ("harness.core.models.policy", "from harness.core.values.value import PrefixValue"),
        ("harness.core.search.selection", "from harness.core.statistics import stats"),
        ("harness.core.types", "import harness.core.graders.grade"),
        ("harness.core.graders.worker", "from harness.core.statistics import stats"),
        ("harness.core.data.rows", "from harness.core.graders.grade import Item"),
        ("harness.core.chat.ask", "from harness.core.graders.grade import Ask"),
        ("harness.methods.iro", "from harness.core.graders.load import load_grader"),
        ("harness.methods.iro", "from harness.methods.base import Base"),
        ("harness.methods.iro", "from harness.core.statistics import stats"),
        ("harness.methods.iro", "def f():\n    from harness.running.config import resolve"),
        ("harness.tasks.toy", "from harness.tasks.imdb.data import Review"),
        ("harness.evidence.table", "from harness.judging.judge import judge_run"),
        ("harness.judging.judge", "from harness.running.config import resolve"),
        ("harness.running.run", "from harness.sweeps.tune import tune"),
        ("harness.sweeps.tune", "import harness.serve.aligned"),
        ("harness.cli.run", "from tests.conftest import place"),
    ],
)
def test_a_planted_upward_import_is_found(module, planted):
    assert broken(module, planted)


# prints each module and how its import ended: 0, or 3 where torch came with it, or 1 after a traceback
EACH_IMPORTED_ALONE = """
import importlib, os, sys
import matplotlib.pyplot, polars, pydantic, anyio.from_thread  # slow, not ours, and without torch
assert "torch" not in sys.modules
for name in sys.argv[1:]:
    if os.fork() == 0:
        importlib.import_module(name)
        os._exit(3 if "torch" in sys.modules else 0)
    print(name, os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""
WITHOUT_TORCH = sorted(name for name in SOURCES if folder_of(name) in LIGHT)


@pytest.fixture(scope="module")
def endings() -> dict[str, str]:
    """How the import of each light module ends, each in a process that has none of our files yet."""
    command = [sys.executable, "-c", EACH_IMPORTED_ALONE, *WITHOUT_TORCH]
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_evidence_and_judging_import_no_torch(endings, name):
    assert endings[name] == "0", "torch was imported" if endings[name] == "3" else "see stderr"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from harness.cli.program import parser; parser(); "
        "heavy = {'torch', 'transformers', 'polars', 'sklearn'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_packages_hold_no_code_of_their_own():
    """But for the lists of methods and tasks and the public door, an __init__.py is a docstring."""
    for name in PACKAGES - {"harness", CLI, METHODS, TASKS, "harness.tasks.imdb", PAGE}:
        assert len(ast.parse(SOURCES[name].read_text()).body) <= 1, name


def test_every_package_is_installed():
    """pyproject.toml lists packages by name, since methods/ and tasks/ are mapped into harness."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(PACKAGES)


def test_device_calls_stand_in_one_place():
    for name, path in SOURCES.items():
        if name != f"{MODELS}.device":
            assert ".cuda" not in path.read_text(), name
