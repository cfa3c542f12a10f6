"""Tuning on the toy: equal tries, development prompts only, all tries stored, a file that `run --config` takes."""

import polars as pl
import yaml

from harness import cli
from harness.evidence.store import load_run

TOY = ["--task", "toy", "--limit", "12", "--set", "fit.prompts=20", "--workers", "1"]


def test_every_method_gets_the_same_number_of_tries_and_the_best_is_written(place, capsys):
    assert cli.main(["tune", "--method", "best_of_n,args,iro", "--tries", "2", *TOY]) == 0
    report = capsys.readouterr().out
    (folder,) = (place / "results" / "tuning").iterdir()
    tries = pl.read_parquet(folder / "tries.parquet")
    assert tries["method"].to_list() == ["best_of_n"] * 2 + ["args"] * 2 + ["iro"] * 2
    chosen = yaml.safe_load((folder / "chosen.yaml").read_text())
    for name, part in tries.group_by("method"):
        best = part.sort("gold", descending=True)["settings"][0]
        assert chosen.get(name[0], {}) == yaml.safe_load(best)
    for run_id in tries["run_id"]:
        about = load_run(folder / "runs" / run_id).about
        assert about["config"]["settings"]["evaluate"]["slice"] == "development"
    assert report.count("yes") == 3
    options = ["--config", str(folder / "chosen.yaml"), "--limit", "12"]
    assert cli.main(["run", *options, "--workers", "1"]) == 0
    before = sorted(p.name for p in (folder / "runs").iterdir())
    assert cli.main(["tune", "--method", "best_of_n,args,iro", "--tries", "2", *TOY]) == 0
    assert sorted(p.name for p in (folder / "runs").iterdir()) == before


def test_tries_below_one_are_refused(place, capsys):
    assert cli.main(["tune", "--tries", "0", *TOY]) == 2
    assert "--tries 0" in capsys.readouterr().err


def test_another_slice_is_refused_instead_of_passed_over(place, capsys):
    assert cli.main(["tune", "--method", "args", *TOY, "--set", "evaluate.slice=test"]) == 2
    assert "evaluate.slice = 'test': tune looks at development prompts only" in capsys.readouterr().err
