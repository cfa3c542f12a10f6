"""Runs that others wrote: what is odd in them is one error, and what their names and texts could do they do not."""

import json
import random
import shutil
from math import inf
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.core.json_file import write_json
from harness.evidence.ablation_rows import read_ablation
from harness.evidence.foreign import NO_RUN, foreign, why_no_run
from harness.evidence.markdown import markdown_table, plain
from harness.evidence.page.index import index_page, listed
from harness.evidence.proven_table import write_proven
from harness.evidence.report import write_report
from harness.evidence.row import frame
from harness.evidence.seeds import write_seeds
from harness.evidence.store import TABLES, load_run, write_about, write_table
from harness.evidence.table import comparison


@pytest.fixture
def stored(planted, monkeypatch, unrendered) -> Path:
    """A run as an earlier version stored it: nothing in it proves anything."""
    for name in TABLES:
        write_table(planted.folder, name, getattr(planted, name).to_dicts())
    about = {**planted.about, "status": "done", "openings": []}
    (planted.folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
    monkeypatch.chdir(planted.folder.parent)
    return planted.folder


def keys(data: dict, path: tuple = ()) -> list[tuple]:
    """Of nested dicts, all paths."""
    found = []
    for name, value in data.items():
        found.append((*path, name))
        if isinstance(value, dict):
            found += keys(value, (*path, name))
    return found


def test_a_run_json_without_any_one_of_its_keys_is_read_or_one_error(stored):
    """23 of 90 removed keys ended in tracebacks."""
    whole = json.loads((stored / "run.json").read_text())
    paths, outcomes = keys(whole), set()
    assert len(paths) > 20
    for path in paths:
        about = json.loads(json.dumps(whole))
        inner = about
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]
        (stored / "run.json").write_text(json.dumps(about))
        try:
            with foreign(stored):
                comparison(load_run(stored))
            outcomes.add("read")
        except UserError as error:
            assert str(stored) in str(error)
            outcomes.add("named")
    assert outcomes == {"read", "named"}


@pytest.mark.parametrize("value", [None, [], {}, "x", -1, True, 1e308])
def test_a_key_of_another_kind_is_read_or_one_error(stored, value):
    whole, rng = json.loads((stored / "run.json").read_text()), random.Random(0)
    for path in rng.sample(keys(whole), 8):
        about = json.loads(json.dumps(whole))
        inner = about
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        (stored / "run.json").write_text(json.dumps(about))
        try:
            with foreign(stored):
                comparison(load_run(stored))
        except UserError as error:
            assert str(stored) in str(error)


def test_what_goes_wrong_with_a_run_that_proves_itself_is_a_fault_of_the_code(stored):
    write_about(stored, json.loads((stored / "run.json").read_text()))
    (stored / "manifest.json").write_text('{"files": {}}')
    with pytest.raises(KeyError), foreign(stored):
        raise KeyError("x")
    (stored / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"does not hold what a run holds .KeyError: 'x'"), foreign(stored):
        raise KeyError("x")
    assert why_no_run(KeyError("x")) == "it holds other things than a run does (KeyError: 'x')"
    assert issubclass(KeyError, NO_RUN)


def test_a_number_beyond_all_stops_no_page_of_all_runs(stored, tmp_path):
    """JSON has none, and `view` ended with a traceback."""
    shutil.copytree(stored, tmp_path / "runs" / "beyond")
    table = frame(comparison(load_run(stored))).with_columns(pl.lit(inf).alias("gold"))
    table.write_parquet(tmp_path / "runs" / "beyond" / "table.parquet")
    found = listed(tmp_path)
    assert [run.folder.name for run in found.runs] == ["beyond"] and not found.left_out
    assert "beyond" in index_page(found, {}, "results")


def test_tables_of_several_runs_are_no_run(stored):
    """Scores of another run beside a run's answers were joined with them by prompt."""
    for name, run in (("completions", "toy-planted"), ("scores", "toy-other")):
        table = pl.read_parquet(stored / f"{name}.parquet").with_columns(pl.lit(run).alias("run_id"))
        table.write_parquet(stored / f"{name}.parquet")
    with pytest.raises(UserError, match=r"holds tables of several runs \(toy-other, toy-planted\)"):
        load_run(stored)


def test_names_in_a_run_never_become_paths_outside(stored, tmp_path):
    """Two stored runs of task "../../PWNED": the table over their seeds was written outside OUT."""
    out, runs = tmp_path / "a" / "b" / "out", []
    for seed in (0, 1):
        folder = shutil.copytree(stored, out / "runs" / f"toy-{seed}")
        about = json.loads((folder / "run.json").read_text())
        about["config"] |= {"task": "../../PWNED", "seed": seed}
        about["config"]["settings"]["../../PWNED"] = {}
        (folder / "run.json").write_text(json.dumps(about))
        runs.append(load_run(folder))
    path = write_seeds(runs, out)
    assert path.resolve().is_relative_to((out / "seeds").resolve()) and path.parent.name.startswith("_.._PWNED-")
    assert not list(tmp_path.rglob("PWNED*"))


def test_text_of_anybody_ends_neither_a_cell_nor_a_line_nor_steers_a_terminal(stored, capsys):
    lines = markdown_table([{"a": "x|y\nz", "b": "\x1b[31mred"}])
    assert lines[2] == "| x\\|y z | \\x1b[31mred |"
    assert plain("a_b*<img>|\x1b") == r"a\_b\*\<img\>\|\\x1b"  # its code, whose backslash is one
    about = json.loads((stored / "run.json").read_text())
    about["config"]["methods"] = ["iro"]
    about["task_source"] = "\x1b[2Jx\n# headline"
    (stored / "run.json").write_text(json.dumps(about))
    path = stored / "completions.parquet"
    pl.read_parquet(path).with_columns(response=pl.lit("\x1b[31m|\n# no")).write_parquet(path)
    write_report(load_run(stored))
    assert cli.main(["report", str(stored), "--full"]) == 0
    assert "\x1b" not in capsys.readouterr().out and "\x1b" not in (stored / "report.md").read_text()


def test_brackets_in_out_are_no_pattern(stored, capsys):
    """polars read `exp[1]` as one: the tables of a folder beside it, or none."""
    folder = Path("exp[1]", "runs", "toy-planted")
    shutil.copytree(stored, folder)
    assert cli.main(["export", "toy-planted", "--csv", "--out", "exp[1]"]) == 0
    assert capsys.readouterr().out.count("\n") > 3


def test_a_folder_that_is_no_run_proves_itself_by_what_lies_beside_its_tables(tmp_path):
    """A tuning whose about.json lacked a key ended in a traceback."""
    (tmp_path / "about.json").write_text("{}")
    with pytest.raises(UserError, match="does not hold what a tuning holds"), foreign(tmp_path, what="a tuning"):
        raise KeyError("methods")
    write_json(tmp_path / "about.json", {"methods": {}})
    write_proven(pl.DataFrame({"a": [1]}), tmp_path / "tries.parquet")
    with pytest.raises(KeyError), foreign(tmp_path, what="a tuning"):  # a fault of the code
        raise KeyError("methods")


def test_points_of_an_ablation_that_are_no_values_are_one_error(tmp_path):
    axis = {"name": "keep", "label": "keep", "method": "iro", "is_budget": False, "column": None}
    about = {"axes": [axis], "reference": [[1]], "runs": [{"point": [[1]], "run": "x"}]}
    (tmp_path / "about.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"about.json: reference.0"):
        read_ablation(tmp_path, tmp_path)
