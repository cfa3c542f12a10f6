"""The wheel holds everything: installed into a folder, it runs from one that holds a tasks.py and a methods/."""

import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.test_layers import SOURCES

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.mark.slow
def test_an_installed_wheel_lists_and_runs(tmp_path):
    built, target, folder = tmp_path / "built", tmp_path / "target", tmp_path / "folder"
    source = tmp_path / "source"  # the build leaves a build/ and an egg-info where it runs
    source.mkdir()
    for name in ("harness", "methods", "tasks", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", built, source], check=True)
    (wheel,) = built.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    modules = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names if name[-3:] == ".py"
    }
    assert modules == set(SOURCES)
    assert {name.split("/")[0] for name in names} == {"harness", wheel.name[: wheel.name.index("-py3")] + ".dist-info"}
    shipped = {f"harness/tasks/imdb/shipped/{path.name}" for path in (ROOT / "tasks/imdb/shipped").iterdir()}
    assert shipped < set(names) and len(shipped) == 4
    assert any(name.endswith("licenses/LICENSE") for name in names) and "License-Expression: Apache-2.0" in metadata
    assert "pytest" not in "".join(
        line for line in metadata.splitlines() if "Requires-Dist" in line and "extra" not in line
    )

    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", target, wheel], check=True)
    (folder / "methods").mkdir(parents=True)
    for name in ("tasks.py", "methods/__init__.py", "datasets.py", "tokenizers.py"):
        (folder / name).write_text("raise SystemExit('imported from the current folder')", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(target), "HARNESS_CACHE": str(tmp_path / "cache")}
    script = [sys.executable, str(target / "bin" / "harness")]
    for command in ([sys.executable, "-m", "harness", "list", "iro"], [*script, "list", "iro"]):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and re.search(r"\nwidth +4 ", done.stdout), done.stderr
    run = ["run", "--task", "toy", "--method", "iro", "--limit", "4", "--set", "fit.prompts=10", "--out", "out"]
    done = subprocess.run([*script, *run], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "\nIRO" in done.stdout, done.stderr
    where = "import harness.methods; print(harness.methods.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", where], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(target / "harness" / "methods" / "__init__.py")
