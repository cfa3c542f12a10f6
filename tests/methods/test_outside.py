"""The README's method and task, in files outside the repository: they keep the contract and run end to end."""

import inspect
import json
import sys
from pathlib import Path

import pytest

import harness
from harness import cli
from harness.evidence.store import load_run
from harness.methods import METHODS
from harness.tasks import TASKS
from tests.methods import test_contract
from tests.methods.test_contract import world  # noqa: F401  # the worlds of the contract tests
from tests.test_readme import example

CLAIMS = [claim for name, claim in vars(test_contract).items() if name.startswith("test_")]


@pytest.fixture
def outside(tmp_path, monkeypatch) -> Path:
    """A folder with the README's files; what is taken up from there is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for registry in (METHODS, TASKS):
        monkeypatch.setattr(registry, "_added", {})
    (tmp_path / "longest.py").write_text(example("class Longest"), encoding="utf-8")
    # the toy model goes with tasks that name it, and reads which of its two tables a prompt is about
    toy = '    source = "made here"\n    default_model = "toy"\n    profiles = TASKS["toy"].profiles\n'
    task = (
        example("class Shout").replace('    source = "made here"\n', toy).replace("{i} loudly:", "{i} loudly: {i % 2}")
    )
    task = task.replace("import Prompt, Task", "import Prompt, Task\nfrom harness.tasks import TASKS").replace(
        '"!"', '"a"'
    )
    (tmp_path / "shout.py").write_text(task.replace("isupper()", "startswith('b')"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_a_method_of_a_file_outside_keeps_the_contract(claim, world, outside, request):  # noqa: F811  # the fixture
    given = {"name": METHODS.name_of(f"{outside / 'longest.py'}:Longest"), "world": world}
    names = inspect.signature(claim).parameters
    claim(**{name: given[name] if name in given else request.getfixturevalue(name) for name in names})


def test_a_method_and_a_task_of_files_outside_run_end_to_end(place, outside, unrendered, capsys):
    named = ["--method", f"{outside / 'longest.py'}:Longest,iro", "--task", f"{outside / 'shout.py'}:Shout"]
    options = ["--set", "longest.n=3", "--set", "iro.iterations=1", "--limit", "20", "--workers", "1"]
    assert cli.main(["run", *named, *options]) == 0
    (folder,) = (place / "results" / "runs").iterdir()
    assert "| longest | first |" in (folder / "report.md").read_text(encoding="utf-8")
    run = load_run(folder)
    assert run.id.startswith("shout-") and set(run.completions["method"]) == {
        "base", "base_greedy", "best_of_n", "longest", "iro",
    }  # fmt: skip
    assert run.about["config"]["settings"]["longest"] == {"n": 3}
    about = json.loads((folder / "fitted" / "about.json").read_text(encoding="utf-8"))
    assert about["methods"]["longest"]["reference"] == f"{outside / 'longest.py'}:Longest"
    assert about["task"] == f"{outside / 'shout.py'}:Shout"
    for registry in (METHODS, TASKS):
        registry._added.clear()  # as in another process
    prompts = TASKS[TASKS.name_of(about["task"])](None, None, None).prompts("test")[:20]
    stored = {row["prompt_id"]: row["response"] for row in run.completions.to_dicts() if row["method"] == "longest"}
    texts = harness.load(folder, "longest").generate(prompts)
    assert texts == [stored[prompt.id] for prompt in prompts]
    assert harness.load(folder, "iro").generate(prompts, pick="reward")  # with the reward of the task's file


def test_its_settings_are_axes_and_what_tune_writes_names_its_file(place, outside, unrendered, capsys):
    named = [
        "--method",
        f"{outside / 'longest.py'}:Longest",
        "--task",
        "toy",
        "--limit",
        "4",
        "--set",
        "fit.prompts=10",
    ]
    assert cli.main(["ablate", "--axis", "longest.n", "--values", "1,4", *named, "--workers", "1"]) == 0
    (written,) = (place / "results" / "ablations").glob("*/report.md")
    report = written.read_text(encoding="utf-8")
    assert "| samples a prompt (longest.n) | method |" in report and "gold - same at 4" in report
    assert cli.main(["tune", "--tries", "1", *named, "--workers", "1"]) == 0
    METHODS._added.clear()
    (chosen,) = (place / "results" / "tuning").glob("*/chosen.yaml")
    assert cli.main(["run", "--config", str(chosen), "--limit", "4", "--workers", "1"]) == 0
    assert cli.main(["list", "iro", f"{outside / 'longest.py'}:Longest", "toy"]) == 0
    listed = capsys.readouterr().out.partition("\niro (method): ")[2].partition("\nlongest (method): ")[2]
    assert listed.startswith("Picks the longest of n plain samples.\nsource: an example\n")
    assert "\nn        4        integer" in listed and "--set longest.n=4" in listed
    assert "cards" not in listed and "\ntoy (task): " in listed and "\n--profile quick: " in listed
