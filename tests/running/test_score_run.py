"""`harness score`: a new grader on old answers, beside a run that stays as it is."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.core.manifest import verify
from harness.evidence.schema import ANSWER, GOLD
from harness.evidence.scored import report_of_scores, scored_rows
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from harness.running import score_run
from tests.planted_server import Planted, served
from tests.twins import twins

TOY = ["--model", "toy", "--set", "sampler.max_new_tokens=4", "--set", "sampler.top_k=0", "--workers", "1",
       "--set", "iro.iterations=1", "--set", "evaluate.trace=0"]  # fmt: skip
GRADERS = """
def letters(prompt, response):
    return response.count("a") - response.count("b")

def keyed(prompt, response, answer):
    if response.startswith("c"):
        raise ValueError("no c")
    return {"score": response.count(answer), "length": len(response)}

def mute(prompt, response):
    return None
"""


def test_the_grader_that_judged_gives_the_differences_of_the_table(planted):
    """With the stored gold as scores, in its own unit, whose base samples have sd 1."""
    gold = planted.scores.filter(pl.col("metric") == GOLD).select(*ANSWER, pl.col("value").alias("score"))
    rows, table = scored_rows(planted, gold), comparison(planted)
    sd = planted.record.units[GOLD].sd
    assert [row.key for row in rows] == [row.key for row in table]
    for row, of in zip(rows, table, strict=True):
        assert row.score.value == pytest.approx(of.gold.value * sd + planted.record.units[GOLD].mean)
        assert row.with_gold == pytest.approx(1.0) and row.unscored == 0
        if of.drift.gold_gain is not None:
            assert row.against_base is not None and row.against_base.low == pytest.approx(of.drift.gold_gain.low * sd)
            assert row.p_base_holm == of.p_gain_holm
    about = {"grader": "g | `x`", "identity": "1", "reads": ["a"], "mind": [], "unscored": {}}
    text = report_of_scores("name", planted, rows, None, about)
    assert "Every answer has a score" in text and r"`g \| 'x'`" in text and "Parts" not in text


def test_an_answer_without_a_score_is_left_out_of_pairs_and_counted(planted):
    gold = planted.scores.filter(pl.col("metric") == GOLD).select(*ANSWER, pl.col("value").alias("score"))
    first = min(planted.completions["prompt_id"])
    holed = gold.with_columns(
        pl.when(pl.col("prompt_id") == first).then(np.nan).otherwise(pl.col("score")).alias("score")
    )
    before, after = scored_rows(planted, gold), scored_rows(planted, holed.filter(pl.col("method") != "base_greedy"))
    assert all(row.unscored == 1 for row in after if row.key.method != "base_greedy")
    assert after[-1].score.n == before[-1].score.n - 1
    assert after[-1].against_base is not None and after[-1].against_base.n == before[-1].score.n - 1


@pytest.fixture
def made(place, unrendered) -> Path:
    rows = [{"prompt": f"question {i} about topic {i % 2}", "answer": "ab"[i % 2]} for i in range(120)]
    (place / "toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (place / "checks.py").write_text(GRADERS, encoding="utf-8")
    assert cli.main(["run", "--data", "toy.jsonl", "--grader", "checks.py:letters", *TOY]) == 0
    return place


def score(*words: str) -> int:
    return cli.main(["score", "latest", *words])


@pytest.mark.slow
def test_a_new_grader_scores_old_answers_and_the_run_is_untouched(made, capsys):
    (run,) = Path("results/runs").iterdir()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert score("--grader", "checks.py:keyed", "--dry-run") == 0 and not Path("results/scores").exists()
    assert "different, are graded by checks.py:keyed" in " ".join(capsys.readouterr().out.split())
    assert score("--grader", "checks.py:keyed") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "answers have no score: python_grader_runtime_error" in said and f"{run.name} under checks.py:keyed" in said
    (folder,) = Path("results/scores").iterdir()
    assert folder.name.startswith(f"{run.name}-checks.py_keyed-") and verify(folder) == []
    stored, about = pl.read_parquet(folder / "scores.parquet"), json.loads((folder / "about.json").read_text())
    assert about["run"] == run.name and about["reads"] == ["answer"] and len(stored) == len(load_run(run).completions)
    both = load_run(run).completions.join(stored, on=ANSWER)
    key = {f"question {i} about topic {i % 2}": "ab"[i % 2] for i in range(120)}
    for text, prompt, value in both.select("response", "prompt", "score").iter_rows():
        expected = np.nan if text.startswith("c") else text.count(key[prompt])
        assert value == expected or (np.isnan(value) and np.isnan(expected))
    assert "## Parts of the score" in (folder / "report.md").read_text(encoding="utf-8")
    bytes_of = {path: path.read_bytes() for path in folder.iterdir()}
    assert score("--grader", "checks.py:keyed") == 0 and "is done" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == bytes_of
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert score("--grader", "checks.py:letters") == 0
    assert "this grader is the proxy of the run" in " ".join(capsys.readouterr().out.split())
    assert score("--grader", "checks.py:mute") == 2
    assert "returned no finite score for any of" in capsys.readouterr().err
    assert not [path for path in Path("results/scores").iterdir() if "mute" in path.name]
    Path("toy.jsonl").rename("moved.jsonl")
    assert score("--grader", "checks.py:keyed", "--full") == 2
    assert "no such file is here; name it with --data FILE" in capsys.readouterr().err
    assert score("--grader", "checks.py:keyed", "--data", "moved.jsonl", "--full") == 0
    Path("moved.jsonl").write_text(json.dumps({"prompt": "another"}) + "\n", encoding="utf-8")
    assert score("--grader", "checks.py:keyed", "--data", "moved.jsonl") == 2
    assert "has 0 of the 32 prompts that" in capsys.readouterr().err


@pytest.mark.slow
def test_a_grader_that_asks_a_model_asks_about_each_answer_once(made, capsys):
    ask = {"type": "score_model", "name": "ask", "model": "m", "range": [0, 10],
           "input": [{"role": "user", "content": "{{ sample.output_text }}"}]}  # fmt: skip
    Path("ask.json").write_text(json.dumps(ask), encoding="utf-8")
    assert score("--grader", "ask.json") == 2
    assert "`score` has --endpoint" in capsys.readouterr().err
    with served(lambda question, before: Planted(json.dumps({"result": len(question)}))) as server:
        assert score("--grader", "ask.json", "--endpoint", server.url) == 0
        (run,) = Path("results/runs").iterdir()
        texts = load_run(run).completions["response"]
        assert sorted(server.questions) == sorted(set(texts))
    (folder,) = Path("results/scores").iterdir()
    assert pl.read_parquet(folder / "scores.parquet")["score"].to_list() == [float(len(text)) for text in texts]


@pytest.mark.slow
def test_a_run_of_another_task_is_scored_by_what_it_stores(made, capsys):
    assert cli.main(["run", "--task", "toy", "--method", "base", "--only", "--limit", "4", "--workers", "1"]) == 0
    assert score("--grader", "checks.py:letters") == 0
    assert score("--grader", "checks.py:keyed") == 2
    assert "reads answer of the row, and toy-" in capsys.readouterr().err


@pytest.mark.slow
def test_of_two_equal_commands_at_once_one_scores_and_a_damaged_one_is_made_again(made, capsys, monkeypatch):
    """Without its report.md a folder of scores could never be made again."""
    found = twins(lambda: score("--grader", "checks.py:keyed"), score_run, "_score", monkeypatch)
    assert found.codes == [0, 0] and found.made == 1 and len(found.said) == 1
    monkeypatch.undo()
    monkeypatch.setenv("HARNESS_CACHE", str(made / "cache"))
    monkeypatch.chdir(made)
    (folder,) = Path("results/scores").iterdir()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("report.md", "scores.parquet", "about.json", "manifest.json", ""):
        (folder / name).unlink() if name else (folder / "manifest.json").write_text('{"files": {}}')
        capsys.readouterr()
        assert score("--grader", "checks.py:keyed") == 0
        assert capsys.readouterr().err.count("made again") == 1
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
