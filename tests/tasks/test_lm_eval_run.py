"""`harness run --task lm_eval:NAME`, whole commands on the toy."""

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
import yaml

import harness
from harness import cli
from harness.core.errors import UserError
from harness.core.task import GOLD
from harness.evidence.leaderboard import _entries
from harness.evidence.store import load_run
from tests.tasks.lm_eval_made_here import toy_rows, write_rows, write_toyqa

TOY = ["--model", "toy", "--set", "sampler.top_k=0", "--workers", "1", "--set", "evaluate.trace=0"]
ONE = ["--set", "iro.iterations=1"]


def run(*words: str) -> int:
    return cli.main(["run", "--task", "lm_eval:toyqa", *words, *TOY, *ONE])


def stored(place: Path) -> list:
    return [load_run(path.parent) for path in sorted((place / "results" / "runs").glob("*/table.parquet"))]


@pytest.mark.slow
def test_a_task_of_lm_eval_is_a_run_that_says_what_it_took(place, unrendered, capsys):
    words = write_toyqa(place / "task")
    assert run(*words, "--reward", "metric:exact_match,last") == 0
    said = capsys.readouterr()
    assert "lm_eval:toyqa (lm-eval " in said.err and "40 test documents; training documents: " in said.err
    assert "answers of up to 4 tokens; stop strings: 'cc'" in said.err
    assert "reward: metric exact_match,last of lm_eval:toyqa, which reads answer; gold: metric" in said.err
    assert "lm_eval:toyqa, toy, 32 test prompts" in said.out and "oracle" in said.out
    [made] = stored(place)
    assert made.record.task_name == "lm_eval:toyqa" and made.record.settings("sampler")["stop"] == ["cc"]
    assert not made.completions["response"].str.contains("cc").any()
    assert set(made.completions["stop"]) <= {"string", "eos", "length"}
    report = (made.folder / "report.md").read_text(encoding="utf-8")
    assert "## Metrics of lm_eval:toyqa" in report and "| exact_match,first | exact_match,last |" in report
    assert {entry.task.partition(" ")[0] for entry in _entries(made, place / "results")} == {"lm_eval:toyqa"}
    command = shlex.join(made.record.command)
    assert "--task lm_eval:toyqa --include-path" in command and "--reward metric:exact_match,last" in command
    assert "sampler.stop" not in command and "max_new_tokens" not in command, "the task decides these"
    assert cli.main(["run", *made.record.command, "--workers", "1", "--set", "evaluate.trace=0"]) == 0
    assert f"{made.id} is done" in capsys.readouterr().err
    config = json.dumps(made.about["config"]) + json.dumps(made.about["identity"])
    assert "task/" not in config, "where files lie is no part of what names a run"
    base = made.completions.filter(pl.col("method") == "base")
    theirs = write_rows(place / "theirs.jsonl", [*base.select("prompt_id", "response").iter_rows(named=True)])
    assert cli.main(["import", str(theirs), "--run", made.id, "--method", "theirs", *words]) == 0
    (folder,) = (place / "results" / "imports").iterdir()
    scores = load_run(folder).scores.filter(pl.col("metric") == GOLD).sort("prompt_id")
    own, other = (scores.filter(pl.col("method") == name)["value"].to_list() for name in ("base", "theirs"))
    assert own == other and len(other) == 32


@pytest.mark.slow
def test_one_metric_for_proxy_and_gold_is_said_and_other_documents_are_another_run(place, unrendered, capsys):
    words = write_toyqa(place / "task", training_split=None)
    words = words[:2] + words[4:]
    assert run(*words) == 0
    said = capsys.readouterr()
    assert "no training documents, so those of the test are shared out" in said.err
    assert "gold: the same, so nothing held out judges" in said.err and "one function" in said.out
    assert "the benchmark's test documents were shared out" in " ".join(said.out.split())
    [made] = stored(place)
    assert "Fitted on a held-out share of the test documents" in (made.folder / "report.md").read_text("utf-8")
    write_rows(place / "task" / "test.jsonl", toy_rows("test", 44))
    assert run(*words) == 0
    assert len(stored(place)) == 2


@pytest.mark.slow
def test_from_python_and_from_a_file_it_is_the_same_run(place, unrendered, capsys):
    words = write_toyqa(place / "task")
    options = {"include_path": words[1], "dataset_file": words[3::2], "reward": "metric:exact_match,last"}
    settings = {"sampler.top_k": 0, "iro.iterations": 1, "evaluate.trace": 0}
    made = harness.run("iro", "lm_eval:toyqa", model="toy", workers=1, **options, **settings)
    (place / "asked.yaml").write_text(
        yaml.safe_dump({"task": "lm_eval:toyqa", "model": "toy", **options, "set": settings}), encoding="utf-8"
    )
    assert cli.main(["run", "--config", "asked.yaml", "--workers", "1", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"{made.id}  lm_eval:toyqa, toy, 32 test prompts" in said and "It is done" in said


@pytest.mark.slow
def test_new_prompts_are_answered_by_its_value_and_its_metric_is_an_oracle(place, unrendered, capsys):
    words = write_toyqa(place / "task")
    assert run(*words) == 0
    aligned = harness.load("latest")
    assert aligned.pick == "value" and len(aligned.generate(["topic 0", "topic 1"])) == 2
    with pytest.raises(UserError, match="it reads answer of the row"):
        aligned.answers(["topic 0"], pick="reward")
    (answer,) = aligned.answers([{"prompt": "topic 0", "answer": "a"}], pick="reward")
    assert {one.proxy for one in answer.finalists} <= {0.0, 1.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, says",
    [
        (["--task", "lm_eval"], "names no task; write --task lm_eval:NAME"),
        (["--task", "toy", "--reward", "metric:x"], "--reward belongs to tasks of lm-eval"),
        (["--task", "toy", "--dataset-file", "test=x"], "--dataset-file belongs to tasks of lm-eval"),
        (["--task", "lm_eval:toyqa", "--include-path", "nowhere"], "'nowhere' is no folder"),
        (["--task", "lm_eval:toyqa", "--include-path", "task", "--dataset-file", "test"], "write split=FILE"),
    ],
)
def test_what_is_mistyped_is_one_clear_error(place, capsys, words, says):
    write_toyqa(place / "task")
    assert cli.main(["run", *words, *TOY[2:]]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and says in said and said.count("\n") == 1
