"""`harness align`: a file and a grader become a folder that answers, and a report that ends in a verdict."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import harness
from harness import cli
from harness.core.statistics.stats import Estimate
from harness.evidence.table import comparison
from harness.serve import align as serve_align
from harness.serve.align_report import intervals_of, judged, report_of
from tests.twins import twins

pytestmark = pytest.mark.slow  # whole runs

TOY = ["--model", "toy", "--set", "sampler.max_new_tokens=4", "--set", "sampler.top_k=0", "--workers", "1",
       "--set", "iro.iterations=1"]  # fmt: skip
GRADERS = """
def letters(prompt, response):
    return response.count("a") - response.count("b")

def constant(prompt, response):
    return 1

def alike(prompt, response):
    return 100 + len(prompt) % 2 + 1e-3 * len(response)
"""


@pytest.fixture
def files(place, unrendered) -> Path:
    rows = [{"prompt": f"question {i} about topic {i % 2}"} for i in range(120)]
    (place / "toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (place / "checks.py").write_text(GRADERS, encoding="utf-8")
    return place


def align(*words: str, grader: str = "checks.py:letters") -> int:
    return cli.main(["align", "--data", "toy.jsonl", "--grader", grader, *TOY, "--out", "aligned", *words])


def test_a_gain_is_said_with_its_interval_and_the_folder_answers(files, capsys):
    assert align() == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "verdict Gain. IRO scores " in said and "points a prompt on 32 held-out prompts" in said
    assert "mind the grader that judges is the one that was optimised" in said
    report = Path("aligned/report.md").read_text(encoding="utf-8")
    assert report.startswith("# IRO on toy\n\n**Gain. IRO scores ")
    assert "| unaligned |" in report and "| best-of-n |" in report and "| IRO, picked by its value |" in report
    assert "120 rows, of which " in report and "harness generate aligned --prompt" in report
    assert harness.load("aligned").generate(["topic 1"])
    assert cli.main(["generate", "aligned", "--prompt", "topic 0"]) == 0


def test_again_it_takes_everything_from_what_is_there_and_another_file_is_not_put_over_it(files, capsys):
    assert align() == 0
    before = {path: path.read_bytes() for path in Path("aligned").rglob("*") if path.is_file()}
    assert align() == 0
    said = capsys.readouterr().err
    assert "is done" in said and before == {p: p.read_bytes() for p in Path("aligned").rglob("*") if p.is_file()}
    assert align("--seed", "1") == 2
    assert "holds a model that was aligned with other prompts" in capsys.readouterr().err
    assert align("--seed", "1", "--replace") == 0
    Path("mine").mkdir()
    Path("mine", "notes.txt").write_text("mine", encoding="utf-8")
    assert align("--out", "mine") == 2


def test_nothing_is_fitted_where_the_grader_cannot_tell_answers_apart(files, capsys):
    assert align(grader="checks.py:constant") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "stop no method can gain" in said and not Path("aligned").exists()


def test_a_gold_of_another_mind_judges(files, capsys):
    (files / "other.py").write_text("def f(prompt, response): return -response.count('a')\n", encoding="utf-8")
    assert align("--gold", "other.py") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "verdict Worse: do not deploy. IRO scores" in said and "mind" not in said
    assert "**Worse: do not deploy." in Path("aligned/report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [["--method", "iro,best_of_n"], ["--method", "base"], ["--method", "all"]])
def test_one_method_is_aligned(files, capsys, words):
    assert align(*words) == 2
    assert "align fits one method; name it, such as iro" in capsys.readouterr().err


def test_the_verdict_follows_from_the_paired_interval(planted):
    found = judged(planted, comparison(planted), "iro", intervals_of(planted))
    assert found.row.key.final_pick == "value" and found.gain.low < 1 < found.gain.high
    assert found.verdict.gains and found.verdict.said.startswith("Gain. IRO scores")
    text = report_of(found, planted, "aligned/")
    assert "| IRO, picked by the grader |" in text and "best-of-8" in text and "\n\n\n" not in text
    for low, high, said, gains in ((-0.1, 0.2, "No gain: do not deploy", False), (-0.4, -0.2, "Worse: do not", False)):
        of = Estimate((low + high) / 2, low, high, 60)
        other = planted_verdict(found, of)
        assert other.gains is gains and other.said.startswith(said)
    assert planted_verdict(found, Estimate(float("nan"), float("nan"), float("nan"), 0)).said.startswith("Not known")


def planted_verdict(found, gain):
    return replace(found, row=replace(found.row, drift=replace(found.row.drift, gold_gain=gain))).verdict


def test_points_are_those_of_the_grader(planted):
    """In sd of base samples the gain is 1; a grader whose sd is 20 gave 20 points."""
    about = {**planted.about, "units": {**planted.about["units"], "gold_reward": {"mean": 50.0, "sd": 20.0}}}
    scores = planted.scores.with_columns(value=20 * planted.scores["value"] + 50)
    is_gold = planted.scores["metric"] == "gold_reward"
    scores = scores.filter(is_gold).vstack(planted.scores.filter(~is_gold))
    pool = planted.pool.with_columns(gold_reward=20 * planted.pool["gold_reward"] + 50)
    run = replace(planted, about=about, scores=scores, pool=pool)
    found, plain = (judged(one, comparison(one), "iro", intervals_of(one)) for one in (run, planted))
    assert found.gain.value == pytest.approx(20 * plain.gain.value)
    assert found.means[1] == pytest.approx(50 + 20 * plain.base.gold.value)
    lines = [line.strip("| ").split(" | ") for line in report_of(found, run, "aligned/").splitlines()]
    shown = {cells[0]: cells[1] for cells in lines if len(cells) > 5}
    for name, pick in (("unaligned", "first"), ("IRO, picked by its value", "value")):
        golds = run.scores.filter((run.scores["metric"] == "gold_reward") & (run.scores["final_pick"] == pick))
        assert float(shown[name].split(" ")[0]) == pytest.approx(golds["value"].mean(), rel=5e-3)


def test_a_preview_says_what_it_takes_and_does_nothing(files, capsys):
    assert align("--dry-run") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("data-") and "Nothing was done, and no result written" in said
    assert not Path("aligned").exists()
    assert align() == 0


def state(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_of_two_equal_commands_at_once_one_writes_and_the_other_finds_it_done(files, capsys, monkeypatch):
    found = twins(align, serve_align, "write_about_fitted", monkeypatch)
    assert found.codes == [0, 0] and found.made == 1 and len(found.said) == 1
    assert "the aligned model in aligned is being made by process " in found.said[0]
    assert capsys.readouterr().err.count(" is done (commit") == 1
    monkeypatch.undo()
    monkeypatch.setenv("HARNESS_CACHE", str(files / "cache"))
    monkeypatch.chdir(files)
    before = state(files / "aligned")
    for name in ("about.json", "manifest.json", "report.md"):  # as a power cut leaves them
        (files / "aligned" / name).write_bytes(before[name][:30])
    capsys.readouterr()
    assert align() == 0
    assert capsys.readouterr().err.count("It is made again") == 1 and state(files / "aligned") == before


def test_points_far_from_zero_are_told_apart_and_both_means_are_of_the_prompts_of_the_gain(planted):
    """At a mean of -5,000 both models scored -5e+03; and means over other prompts than the gain's contradicted it."""
    gold = pl.col("metric") == "gold_reward"
    lost = gold & (pl.col("method") == "base") & (pl.col("value") < -0.5)
    points = pl.when(lost).then(float("nan")).when(gold).then(2 * pl.col("value") - 5000).otherwise("value")
    scores = planted.scores.with_columns(points.alias("value"))
    units = {**planted.about["units"], "gold_reward": {"mean": -5000.0, "sd": 2.0}}
    run = replace(planted, scores=scores, about={**planted.about, "units": units})
    found = judged(run, comparison(run), "iro", intervals_of(run))
    wide = scores.filter(gold, pl.col("final_pick").is_in(["first", "value"])).pivot(
        "method", index="prompt_id", values="value"
    )
    both = wide.filter(pl.col("base").is_not_nan())
    ours, base = (both[name].mean() for name in ("iro", "base"))
    assert len(both) < 60 and ours - base == pytest.approx(found.gain.value)
    assert f"IRO scores {ours:,.2f} where the unaligned model scores {base:,.2f}: " in found.verdict.said
    text = report_of(found, run, "aligned/")
    assert "e+03" not in text and f"| unaligned | {base:,.2f} [" in text
