"""Tuning on the toy: equal tries, development prompts only, all tries stored, a file that `run --config` takes."""

import json
from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest
import yaml

from harness import cli
from harness.core.nested import flatten
from harness.core.tuning import Choice, Facts, Shape
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from harness.methods import METHODS
from harness.sweeps import tune as tuning
from tests.twins import twins

pytestmark = pytest.mark.slow

SHIPPED = [name for name in METHODS if METHODS[name].__module__.startswith("harness.")]
TOY = ["--task", "toy", "--limit", "12", "--set", "fit.prompts=20", "--workers", "1"]
DIAL = '''
"""Best of 16 samples at `level` 40, and a worse one by rank the further the level is from that."""
from math import log2
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from harness import Generator
from harness.core.search.finalists import sample_rows
from harness.core.tuning import Log
from dataclasses import replace


@dataclass(frozen=True)
class DialConfig:
    level: Annotated[float, Field(gt=0, description="where the dial stands")] = 2.0


class Dial(Generator):
    Config = DialConfig
    source = "planted"
    tunables = (Log("NAME", 1.0, 8.0),)

    def generate(self, prompts):
        rank = min(15, round(4 * abs(log2(self.config.level / 40))))
        answers = sample_rows(self.policy, prompts, 16, self.streams, pick="reward", reward=self.reward)
        return [self._at(answer, rank) for answer in answers]

    def _at(self, answer, rank):
        order = np.argsort([-c.reward for c in answer.finalists], kind="stable")
        return replace(answer, picks={"reward": int(order[rank])})
'''


def tuned(place, capsys, *options):
    """Runs `tune`; its report, the folder, and its tries."""
    assert cli.main(["tune", *options]) == 0
    (folder,) = (place / "results" / "tuning").iterdir()
    assert capsys.readouterr().out.startswith(f"{folder.name}  the best of ")
    return (folder / "report.md").read_text(encoding="utf-8"), folder, pl.read_parquet(folder / "tries.parquet")


def test_every_method_gets_the_same_number_of_tries_and_the_best_is_written(place, capsys):
    options = ["--method", "best_of_n,args,iro", "--tries", "3", "--most-tries", "3", *TOY, "--set", "iro.iterations=1"]
    report, folder, tries = tuned(place, capsys, *options)
    assert tries["method"].to_list() == ["best_of_n"] * 3 + ["args"] * 3 + ["iro"] * 3
    assert tries["why"].to_list()[::3] == ["defaults"] * 3
    chosen = yaml.safe_load((folder / "chosen.yaml").read_text())
    for name, part in tries.group_by("method"):
        best = part.sort(-pl.col("gold"), "policy_tokens", "try")["settings"][0]
        assert chosen.get(name[0], {}) == yaml.safe_load(best)
    for run_id in tries["run_id"]:
        about = load_run(folder / "runs" / run_id).about
        assert about["config"]["settings"]["evaluate"]["slice"] == "development"
    assert report.count("| yes |") == 3
    assert (folder / "args.png").stat().st_size > 5000
    assert cli.main(["figure", folder.name, "--kind", "args"]) == 0 and Path(f"{folder.name}-args.pdf").exists()
    options_of_run = ["--config", str(folder / "chosen.yaml"), "--limit", "12"]
    assert cli.main(["run", *options_of_run, "--workers", "1"]) == 0
    capsys.readouterr()
    before = sorted(p.name for p in (folder / "runs").iterdir())
    again, _, _ = tuned(place, capsys, *options)
    assert again == report and sorted(p.name for p in (folder / "runs").iterdir()) == before


def test_an_optimum_outside_the_range_is_found_and_an_edge_is_marked_everywhere(place, capsys):
    """The peak is at 40, the range ends at 8: a capped search says so, and a longer one goes on."""
    (place / "dial.py").write_text(DIAL.replace("NAME", "level"))
    toy = ["--task", "toy", "--limit", "30", "--workers", "1"]
    options = ["--method", "dial.py:Dial,base", "--tries", "6", *toy]
    report, folder, tries = tuned(place, capsys, *options, "--most-tries", "6")
    assert tries.filter(pl.col("method") == "dial").height == 6 and tries["try"].to_list()[-1] == 1
    (edge,) = yaml.safe_load((folder / "chosen.yaml").read_text())["tuned"]["edges"]["dial"]
    assert edge == "level: nothing above was tried" and f"**At an edge: {edge}.**" in report
    assert cli.main(["run", "--config", str(folder / "chosen.yaml"), "--limit", "30", "--workers", "1"]) == 0
    (run,) = (place / "results" / "runs").iterdir()
    rows = {row.key.method: row for row in comparison(load_run(run))}
    assert rows["dial"].edges == edge and rows["base"].edges is None
    assert rows["dial"].tuning.startswith("6 tries on 30 prompts")
    for shown in (run / "report.md").read_text(), cli.main(["leaderboard"]) or capsys.readouterr().out:
        assert edge in shown

    stored = tries["run_id"].to_list()
    report, folder, tries = tuned(place, capsys, *options, "--most-tries", "18")
    dial = tries.filter(pl.col("method") == "dial")
    assert dial["run_id"].to_list()[:6] == stored[:6] and 6 < dial.height <= 18
    level = yaml.safe_load((folder / "chosen.yaml").read_text())["dial"]["level"]
    assert 30 <= level <= 53 and "At an edge:" not in report
    assert json.loads((folder / "about.json").read_text())["methods"]["dial"]["tunables"]["level"]["high"] >= 32


def test_tries_of_one_iteration_vary_what_changes_it_and_choose_for_all_iterations(place, capsys):
    """`keep`, and beta of a search that keeps the best, change nothing before there are two value functions."""
    options = ["--method", "iro", "--tries", "6", "--most-tries", "6", "--iterations", "1", "--task", "toy"]
    _, folder, tries = tuned(place, capsys, *options, "--limit", "12", "--workers", "1")
    for run_id in tries["run_id"]:
        assert load_run(folder / "runs" / run_id).record.config.settings["iro"]["iterations"] == 1
    settings = [yaml.safe_load(text) for text in tries["settings"]]
    assert tries["run_id"].n_unique() == 6 and not any("keep" in one for one in settings)
    assert not any("beta" in one for one in settings if one.get("select", "top") == "top")
    assert cli.main(["run", "--config", str(folder / "chosen.yaml"), "--limit", "12", "--refits", "2"]) == 0
    (run,) = (place / "results" / "runs").iterdir()
    record = load_run(run).record
    assert record.config.settings["iro"]["iterations"] == 3 and record.settings_from == f"tune:{folder.name}"
    row = next(row for row in comparison(load_run(run)) if row.key.method == "iro")
    assert row.tuning.startswith("6 tries on 12 prompts, of 1 iteration, ")


def test_a_tuning_goes_on_with_more_tries(place, capsys):
    options = ["--method", "args", *TOY, "--most-tries"]
    _, _, three = tuned(place, capsys, "--tries", "3", *options, "3")
    _, _, five = tuned(place, capsys, "--tries", "5", *options, "5")
    assert five["run_id"].to_list()[:3] == three["run_id"].to_list() and five.height == 5


@pytest.mark.parametrize("tries, said", [(["0"], "--tries 0"), (["4", "--most-tries", "3"], "--most-tries 3: give at")])
def test_tries_that_cannot_be_are_refused(place, capsys, tries, said):
    assert cli.main(["tune", "--tries", *tries, *TOY]) == 2
    assert said in capsys.readouterr().err


def test_another_slice_is_refused_instead_of_passed_over(place, capsys):
    assert cli.main(["tune", "--method", "args", *TOY, "--set", "evaluate.slice=test"]) == 2
    assert "evaluate.slice = 'test': tune looks at development prompts only" in capsys.readouterr().err


def test_a_tunable_that_is_no_setting_is_named(place, capsys):
    (place / "dial.py").write_text(DIAL.replace("NAME", "levle").replace("class Dial(", "class Knob("))
    assert cli.main(["tune", "--method", "dial.py:Knob", *TOY]) == 2
    assert "unknown setting 'knob.levle'. Did you mean 'knob.level'?" in capsys.readouterr().err


def test_what_one_method_tunes_is_offered_to_every_method_that_has_it():
    facts = Facts(rows=16, tokens=24)
    tuned_by = {m: {s for one in METHODS[m].tunables for s in one.of(facts).names} for m in SHIPPED}
    settings = {m: {f.name for f in fields(METHODS[m].Config)} for m in SHIPPED}
    budgets = {m: METHODS[m].budget(METHODS[m].Config()) for m in SHIPPED}
    for one in SHIPPED:
        for setting in tuned_by[one]:
            for other in SHIPPED:
                is_budget = setting == "successors" and "width" not in settings[other]  # which no try may change
                if setting in settings[other] and not is_budget:
                    assert setting in tuned_by[other], f"{one} tunes {setting}, {other} does not"
    dpo = {f"dpo.{setting}" for setting in tuned_by["dpo"]}
    assert dpo <= tuned_by["weak_to_strong"] and budgets["base"] == 1 and not METHODS["base"].tunables


@pytest.mark.parametrize("name", SHIPPED)
def test_every_value_offered_is_one_that_the_method_takes(name):
    """All values of choices, and both ends of ranges."""
    kind = METHODS[name]
    for declared in kind.tunables:
        tunable = declared.of(Facts(rows=16, tokens=24))
        values = tunable.values if isinstance(declared, Choice | Shape) else (tunable.low, tunable.high)
        for value in values:
            settings = tunable.settings(value)
            kind.Config(**{n: v for n, v in settings.items() if "." not in n})
            assert set(settings) <= set(dict(flatten(vars(kind.Config())))) | {"dpo.learning_rate", "dpo.beta"}


def test_two_equal_tunings_at_once_are_one(place, monkeypatch):
    words = ["tune", "--method", "args", "--tries", "2", "--most-tries", "2", *TOY]
    found = twins(lambda: cli.main(words), tuning, "_write", monkeypatch)
    assert found.codes == [0, 0] and len(found.said) == 1 and "the tuning toy-" in found.said[0]
    (folder,) = (place / "results" / "tuning").iterdir()
    assert len(pl.read_parquet(folder / "tries.parquet")) == 2
    assert json.loads((folder / "sessions.json").read_text())["sessions"] == [[2, 2]]
