"""Dependencies point one way: this reads the sources and holds them to DESIGN.md's table."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("harness", "methods", "tasks")
# harness files that must not import torch, directly or not
STORED = {
    "store",
    "ablation",
    "ablation_figures",
    "needed",
    "seeds",
    "table",
    "cost",
    "drift",
    "report",
    "sections",
    "markdown",
    "figures",
    "style",
}
BOARD = {"leaderboard", "leaderboard_text", "page", "page.markup"}
LIGHT = STORED | BOARD | {"judge", "judge_options", "opponents", "alpaca_eval"}
# prints each file and how its import ended: 0, or 3 where torch came with it, or 1 after a traceback
EACH_IMPORTED_ALONE = """
import importlib, os, sys
import matplotlib.pyplot, polars, pydantic, requests  # slow, not ours, and without torch
assert "torch" not in sys.modules
for name in sys.argv[1:]:
    if os.fork() == 0:
        importlib.import_module(f"harness.{name}")
        os._exit(3 if "torch" in sys.modules else 0)
    print(name, os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", sources("harness/core"), ids=lambda p: p.name)
def test_core_imports_only_core(path):
    assert {n for n in imports(path) if n.split(".")[0] in OURS and not n.startswith("harness.core")} == set()


@pytest.mark.parametrize("folder", ["methods", "tasks"])
def test_methods_and_tasks_import_core_and_their_own_folder(folder):
    for path in sources(folder):
        if path == ROOT / folder / "__init__.py":
            continue  # the dict of all of them
        own = f"{folder}.{path.parent.name}." if path.parent.name != folder else "harness.core."
        ours = {n for n in imports(path) if n.split(".")[0] in OURS}
        allowed = {n for n in ours if n.startswith("harness.core.") or f"{n}.".startswith(own)}
        assert ours == allowed, path


@pytest.fixture(scope="module")
def endings() -> dict[str, str]:
    """How the import of each light file ends, each in a process that has none of our files yet."""
    command = [sys.executable, "-c", EACH_IMPORTED_ALONE, *sorted(LIGHT)]
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", sorted(LIGHT))
def test_reports_import_no_torch(endings, name):
    assert endings[name] == "0", "torch was imported" if endings[name] == "3" else "see stderr"


def test_help_imports_nothing_heavy():
    code = (
        "import sys, harness.cli; harness.cli._parser(); heavy = {'torch', 'transformers', 'polars', 'sklearn'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_core_itself_is_empty():
    assert imports(ROOT / "harness" / "core" / "__init__.py") == set()


def test_no_cuda_calls_outside_the_one_place():
    for path in [p for folder in OURS for p in sources(folder)]:
        if path.name != "device.py":
            assert ".cuda" not in path.read_text(), path
