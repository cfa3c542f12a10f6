"""The list of stored runs: newest first, with the best gain, and robust against whatever lies there."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.evidence.row import frame
from harness.evidence.run_names import give_name
from harness.evidence.runs import _NEEDED, stored_runs
from harness.evidence.store import find_run
from harness.evidence.table import comparison
from tests.evidence.test_run_names import stored

STORED = Path(__file__).parents[2] / "results"


def test_the_best_gain_is_that_of_the_best_row_that_trains_no_weights(planted):
    folder = stored(planted.folder.parent, "toy-1", config=planted.about["config"])
    rows = comparison(planted)
    frame(rows).write_parquet(folder / "table.parquet")
    [found] = stored_runs(planted.folder.parent).runs
    best = next(row for row in rows if row.key == ("iro", 1, "reward"))
    assert (found.gain.row, found.gain.against_best_of_n) == (best.key, best.against_best_of_n)
    frame([replace(row, trains_weights=row is best) if row is best else row for row in rows]).write_parquet(
        folder / "table.parquet"
    )
    assert stored_runs(planted.folder.parent).runs[0].gain.row == ("iro", 1, "value")
    assert (found.task, found.methods, found.prompts, found.slice) == ("toy", ["iro"], 60, "test")


def test_the_newest_comes_first_and_is_the_latest(tmp_path):
    """By the date of the end; of a version that did not record it, by when the test slice was opened."""
    early, late = "2026-11-24T10:00:00Z", "2026-11-25T10:00:00Z"
    stored(tmp_path, "toy-old", openings=[{"time": early}])
    stored(tmp_path, "toy-new", openings=[{"time": early}], finished=late)
    undated = stored(tmp_path, "toy-undated")
    later = stored(tmp_path, "toy-undated-later")
    os.utime(undated / "run.json", (1, 1))
    os.utime(later / "run.json", (2, 2))
    begun = stored(tmp_path, "toy-begun", status="running", openings=[{"time": "2027-01-01T00:00:00Z"}])
    about = json.loads((begun / "run.json").read_text())
    (begun / "run.json").write_text(json.dumps({k: v for k, v in about.items() if k != "units"}))  # written at the end
    (tmp_path / "runs" / "toy-broken").mkdir()
    (tmp_path / "runs" / "toy-broken" / "run.json").write_text("{")
    found = stored_runs(tmp_path)
    assert [run.id for run in found.runs] == ["toy-new", "toy-old", "toy-undated-later", "toy-undated"]
    assert find_run(tmp_path, "latest").name == "toy-new"
    assert found.unfinished == ["toy-begun"] and list(found.left_out) == ["toy-broken"]
    for folder in (tmp_path / "runs").iterdir():
        shutil.rmtree(folder)
    with pytest.raises(UserError, match="no finished run"):
        find_run(tmp_path, "latest")


def test_foreign_and_broken_folders_are_named_and_left_out(tmp_path, capsys):
    stored(tmp_path, "toy-1")
    runs = tmp_path / "runs"
    for name, content in (
        ("list", "[]"),
        ("foreign", '{"status": "done"}'),
        ("text", "no"),
        ("typed", '{"config": 3}'),
    ):
        (runs / name).mkdir()
        (runs / name / "run.json").write_text(content)
    (runs / "empty").mkdir()
    (runs / "file").write_text("")
    broken = stored(tmp_path, "table")
    (broken / "table.parquet").write_text("no")
    other = stored(tmp_path, "columns")  # as another program may write them; it stopped the whole list
    pl.DataFrame({name: ["no"] for name in _NEEDED}).write_parquet(other / "table.parquet")
    assert cli.main(["runs", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "toy-1" in said.out and said.out.count("\n") == 5
    for name in ("list", "foreign", "text", "typed", "empty", "table", "columns"):
        assert f"left out: {name}: " in said.err


def test_machines_get_one_json_object_a_line(tmp_path, capsys):
    stored(tmp_path, "toy-1")
    give_name(tmp_path, "first", "toy-1")
    (tmp_path / "names" / "other.json").write_text("{")
    assert cli.main(["runs", "--json", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "other.json names no run" in said.err
    [line] = said.out.splitlines()
    assert json.loads(line).items() >= {"id": "toy-1", "names": ["first"], "gain": None, "task": "toy"}.items()


def test_all_stored_runs_are_listed_and_filtered(capsys):
    assert cli.main(["runs", "--json", "--out", str(STORED)]) == 0
    runs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    there = [path.parent.name for kind in ("runs", "imports") for path in (STORED / kind).glob("*/run.json")]
    assert sorted(run["id"] for run in runs) == sorted(there)
    assert cli.main(["runs", "--json", "--method", "dpo", "--task", "imdb", "--out", str(STORED)]) == 0
    some = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert some == [run for run in runs if "dpo" in run["methods"]] and some
    assert all(run["gain"]["method"] != "dpo" for run in some)  # it trains weights
    assert cli.main(["runs", "--model", "smollm2-135m", "--out", str(STORED)]) == 2
    assert (
        "unknown model of the stored runs 'smollm2-135m'. Did you mean 'smollm2-135m-instruct'?"
        in capsys.readouterr().err
    )


def test_what_files_say_cannot_steer_the_terminal(tmp_path, capsys):
    stored(tmp_path, "toy-1", config={"task": "\x1b[31m[bold]toy", "settings": {}})
    assert cli.main(["runs", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and r"\x1b[31m[bold]toy" in said


def test_no_runs_is_said_with_what_to_do(tmp_path, capsys):
    assert cli.main(["runs", "--out", str(tmp_path)]) == 0
    assert "harness run --task toy" in capsys.readouterr().out
