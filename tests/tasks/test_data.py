"""A file of prompts and graders as a task, on the toy: identity, what is chosen, what has no score, oracles."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest

import harness
from harness import cli
from harness.core import outside
from harness.core.errors import UserError
from harness.core.graders.grade import ERRORS
from harness.core.types import Completion
from harness.evidence.graders import ungraded
from harness.evidence.leaderboard import _entries, write_leaderboard
from harness.evidence.leaderboard_export import entry_of_index, result_of
from harness.evidence.schema import ROW
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from harness.running.rescore import rescore
from harness.tasks import data
from tests.planted_server import Planted, served

pytestmark = pytest.mark.slow

CHECKS = """
def letters(prompt, response):
    if response.startswith("c"):
        raise ValueError("no c")
    print("noise")
    return response.count("a") - response.count("b")

def keyed(prompt, response, answer):
    return response.count(answer)

def constant(prompt, response):
    return 1

def never(prompt, response):
    return None
"""
TOY = ["--model", "toy", "--set", "sampler.max_new_tokens=4", "--set", "sampler.top_k=0", "--workers", "1"]
SMALL = ["--set", "iro.iterations=1", "--set", "evaluate.trace=0"]


def rows(n: int = 60) -> list[dict]:
    return [{"prompt": f"question {i} about topic {i % 2}", "answer": "ab"[i % 2], "n": i} for i in range(n)]


def write(path: Path, given: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    return path


@pytest.fixture
def files(place, unrendered) -> Path:
    write(place / "toy.jsonl", rows())
    (place / "checks.py").write_text(CHECKS, encoding="utf-8")
    return place


def run(*words: str, data: str = "toy.jsonl", grader: str = "checks.py:letters") -> int:
    return cli.main(["run", "--data", data, "--grader", grader, *TOY, *SMALL, *words])


def stored(place: Path) -> list:
    return [load_run(path.parent) for path in sorted((place / "results" / "runs").glob("*/table.parquet"))]


def test_a_file_and_two_graders_are_a_run_that_says_what_it_chose(files, capsys):
    assert run("--gold", "checks.py:keyed") == 0
    said = capsys.readouterr()
    assert "data: 60 rows, the prompt is `prompt`" in said.err and "38 fit, 4 development, 18 test" in said.err
    assert "grader: checks.py:letters, which reads no column of the row; gold: checks.py:keyed" in said.err
    assert "taken: 32 fit prompts with 8 samples each, and 18 test prompts" in said.err
    assert "noise" not in said.err + said.out and "one function" not in said.out
    [made] = stored(files)
    assert made.id.startswith("data-") and made.record.settings_from == "chosen by hand"  # for sampler
    command = shlex.join(made.record.command)
    assert "--data toy.jsonl --grader checks.py:letters --gold checks.py:keyed" in command and "--task" not in command
    about = json.dumps({name: value for name, value in made.about.items() if name not in ("command", "task_facts")})
    assert "toy.jsonl" not in about and "checks.py" not in about  # paths stand in the command alone
    assert not [p for p in psutil.Process().children(recursive=True) if "graders.child" in " ".join(p.cmdline())][2:]


def test_all_iterations_share_the_fit_prompts_of_a_small_file(files, capsys):
    assert run("--set", "iro.iterations=3", "--method", "iro", "--only") == 0
    assert "taken: 3 x 12 fit prompts with 8 samples each" in capsys.readouterr().err
    write(files / "few.jsonl", rows(18))
    assert run("--set", "iro.iterations=3", data="few.jsonl") == 2
    assert "too few for 3 iteration(s) of 5 at least" in capsys.readouterr().err
    assert run("--set", "fit.prompts=400") == 2
    assert "need 400 fit prompts; task data has 38" in capsys.readouterr().err


def test_moving_the_files_changes_nothing_and_another_row_or_grader_is_another_run(files, capsys):
    assert run() == 0
    (first,) = [made.id for made in stored(files)]
    (files / "there").mkdir()
    for name in ("toy.jsonl", "checks.py"):
        (files / name).rename(files / "there" / name)
    assert run(data="there/toy.jsonl", grader="there/checks.py:letters") == 0
    assert f"{first} is done" in capsys.readouterr().err
    write(files / "there/toy.jsonl", rows()[::-1])
    assert run(data="there/toy.jsonl", grader="there/checks.py:letters") == 0
    assert f"{first} is done" in capsys.readouterr().err
    write(files / "there/toy.jsonl", rows(61))
    assert run(data="there/toy.jsonl", grader="there/checks.py:letters") == 0
    (files / "there/checks.py").write_text(CHECKS.replace('"b"', '"c"'), encoding="utf-8")
    assert run(data="there/toy.jsonl", grader="there/checks.py:letters") == 0
    assert len(stored(files)) == 3


def test_the_same_command_from_the_printed_words_is_the_same_run(files, capsys):
    assert run("--gold", "checks.py:keyed") == 0
    [made] = stored(files)
    assert cli.main(["run", *made.record.command, "--workers", "1", "--set", "evaluate.trace=0"]) == 0
    assert f"{made.id} is done" in capsys.readouterr().err


def test_one_grader_for_both_is_named_and_its_answers_are_graded_once(files, capsys):
    assert run() == 0
    said = capsys.readouterr()
    assert "gold: the same, so nothing held out judges" in said.err and "gold = proxy (sd)" in said.out
    [made] = stored(files)
    assert all(row.is_one_reward for row in comparison(made))
    assert "gold, which is the proxy" in (made.folder / "report.md").read_text(encoding="utf-8")


def test_what_has_no_score_is_counted_by_reason_whatever_the_number_of_processes(files, capfd):
    counted = []
    for out, workers in (("one", "1"), ("two", "2")):
        assert run("--out", out, "--workers", workers, "--fresh") == 0
        said = capfd.readouterr()
        assert said.err.count("python_grader_runtime_error (ValueError: no c (line 4 of checks.py))") == 1
        assert "python_grader_runtime_error of the proxy: " in said.out.replace("\n", " ").replace("     ", "")
        [made] = [load_run(path.parent) for path in (files / out / "runs").glob("*/run.json")]
        counted.append(ungraded(made.record))
        errors = made.scores.filter(made.scores["metric"] == "proxy_error")["value"]
        number = 1 + ERRORS.index("python_grader_runtime_error")
        assert set(errors) == {0.0, float(number)}
        assert f"{(errors > 0).sum()} answers" in counted[-1][0]
        assert "No score: python_grader_runtime_error" in (made.folder / "report.md").read_text(encoding="utf-8")
    assert counted[0] == counted[1]


def test_a_grader_that_scores_nothing_stops_the_run(files, capsys):
    assert run(grader="checks.py:never") == 2
    said = capsys.readouterr().err
    assert "unresponsive_reward_error (it returned None)" in said and "no finite score for any of" in said


def test_rows_that_ask_a_grader_of_the_row_are_oracles_everywhere(files, capsys):
    assert run(grader="checks.py:keyed") == 0
    said = capsys.readouterr().out
    assert "best-of-n (oracle)" in said and "oracle rows ask a grader that reads answer of the row" in " ".join(
        said.split()
    )
    [made] = stored(files)
    assert made.record.task_facts["reward_reads"] == ["answer"]
    oracles = {(row.key.method, row.key.final_pick): row.is_oracle for row in comparison(made)}
    assert oracles[("best_of_n", "reward")] and oracles[("iro", "reward")]
    assert not oracles[("base", "first")] and not oracles[("iro", "value")]
    report = (made.folder / "report.md").read_text(encoding="utf-8")
    assert "| reward (oracle) |" in report and "it reads answer of the row" in report
    assert cli.main(["report", "latest", "--html"]) == 0
    page = (made.folder / "report.html").read_text(encoding="utf-8")
    assert "Rows marked oracle ask a grader" in page
    board = write_leaderboard(Path("results"))
    assert "| best_of_n | reward (oracle) |" in (text := board.read_text(encoding="utf-8"))
    assert "Rows marked `oracle` ask a grader" in text and "| iro (iteration 1) | value |" in text
    assert "reward (oracle)" in board.with_suffix(".html").read_text(encoding="utf-8")
    marks = dict(pl.read_parquet(board.with_suffix(".parquet")).select("final_pick", "is_oracle").iter_rows())
    assert marks == {"first": False, "reward": True, "value": False}
    assert cli.main(["leaderboard", "--check"]) == 0
    entries = _entries(made, Path("results"))
    assert {result_of(entry)["final_pick"]: result_of(entry)["is_oracle"] for entry in entries} == marks
    named = [str(entry_of_index(entry)) for entry in entries]
    assert sum("picked by reward (oracle)" in one for one in named) == 2


def test_what_scores_are_made_of_has_a_table_and_columns_of_the_report(files):
    text = 'grader:\n- {fn: "checks.py:letters"}\n- {fn: "checks.py:keyed", weight: 0, name: "key | \\e"}\n'
    (files / "list.yaml").write_text(text, encoding="utf-8")
    (files / "lengths.py").write_text(LENGTHS, encoding="utf-8")
    assert run("--gold", "lengths.py", grader="list.yaml") == 0
    [made] = stored(files)
    parts = made.parts
    assert parts is not None
    named = set(parts.select("grader", "part").iter_rows())
    assert named == {("proxy", "checks.py:letters"), ("proxy", "key | \x1b"), ("gold", "length"), ("gold", "rare")}
    whole = made.scores.filter(pl.col("metric") == "gold_reward").rename({"value": "gold"})
    length = parts.filter(pl.col("part") == "length").join(whole, on=[*ROW, "prompt_id"])
    assert np.allclose(length["gold"], length["value"] / 10) and len(length) == len(whole)
    assert set(made.scores["metric"]) == {"gold_reward", "proxy_reward", "base_nll", "proxy_error", "gold_error"}
    report = (made.folder / "report.md").read_text(encoding="utf-8")
    section = report.partition("## Parts of the score")[2].partition("\n## ")[0]
    assert "gold: length" in section and "proxy: key \\| \\x1b" in section and "\x1b" not in report
    assert re.search(r"\| base \| first \| [\d.]+ \[", section) and "(n = " in section


LENGTHS = """
def get_assert(output, context):
    found = {"score": len(output) / 10, "length": len(output)}
    return {**found, "rare": 1} if output.startswith("a") else found
"""


def test_a_grader_that_reads_the_reference_is_an_oracle_whatever_its_column_is_called(files, capsys):
    (files / "ref.py").write_text("def correct(prompt, response, reference):\n    return response.count(reference)\n")
    assert run(grader="ref.py") == 0
    assert "which reads reference" in capsys.readouterr().err
    aligned = harness.load("latest", "iro")
    with pytest.raises(UserError, match="it reads reference of the row"):
        aligned.generate(["topic 1"], pick="reward")
    for name in ("answer", "reference"):
        (answer,) = aligned.answers([{"prompt": "topic 1", name: "b"}], pick="reward")
        assert answer.finalists[0].proxy == answer.finalists[0].text.count("b")


def test_an_oracle_answers_new_prompts_only_with_what_it_reads_and_values_need_nothing(files, capsys):
    assert run(grader="checks.py:keyed") == 0
    aligned = harness.load("latest", "iro")
    assert aligned.generate(["topic 1"]) and aligned.pick == "value"
    with pytest.raises(
        UserError, match=r"reads answer of the row, which the prompt 'topic 1' .*let value or first pick"
    ):
        aligned.generate(["topic 1"], pick="reward")
    (answer,) = aligned.answers([{"prompt": "topic 1", "answer": "b"}], pick="reward")
    assert answer.finalists[0].proxy == answer.finalists[0].text.count("b")
    with pytest.raises(UserError, match=r"does not bring\. Such answers are an oracle's"):
        harness.load("latest", "best_of_n").generate(["topic 1"])
    (files / "checks.py").write_text(CHECKS + "\n# changed\n", encoding="utf-8")
    with pytest.raises(UserError, match="is not the one that was fitted on"):
        harness.load("latest", "iro").generate([{"prompt": "topic 1", "answer": "b"}], pick="reward")


@pytest.mark.parametrize(
    "words, says",
    [
        (["--data", "toy.jsonl"], "needs what its answers are graded by; give --grader FILE.py:function"),
        (["--grader", "checks.py:letters"], "--grader is for prompts of a file; give it with --data FILE"),
        (["--gold", "checks.py:letters"], "--gold is for prompts of a file"),
        (["--task", "toy", "--data", "toy.jsonl", "--grader", "checks.py:letters"], "a file is a task of its own"),
        (["--task", "data"], "the task data needs a grader"),
        (["--data", "none.jsonl", "--grader", "checks.py:letters"], "there is no such file"),
        (["--data", "toy.jsonl", "--grader", "checks.py:lettres"], "lettres"),
        (
            ["--data", "one.jsonl", "--grader", "checks.py:letters"],
            "has no test prompts, on which methods are compared",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_error(files, capsys, words, says):
    write(files / "one.jsonl", [{"prompt": f"q {i}", "split": "train"} for i in range(30)])
    assert cli.main(["run", *words, *TOY]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(said) == 1 and said[0].startswith("error: ") and says in said[0]


def test_a_config_file_and_python_take_the_same(files, capsys):
    (files / "c.yaml").write_text(
        "data: toy.jsonl\ngrader: checks.py:letters\nmodel: toy\nmethod: base\nonly: true\n"
        "sampler: {max_new_tokens: 4, top_k: 0}\nfit: {prompts: 8}\n", encoding="utf-8",
    )  # fmt: skip
    assert cli.main(["run", "--config", "c.yaml", "--workers", "1"]) == 0
    made = harness.run("base", data="toy.jsonl", grader="checks.py:letters", model="toy", only=True, workers=1,
                       sampler={"max_new_tokens": 4, "top_k": 0}, fit={"prompts": 8})  # fmt: skip
    assert [made.id] == [one.id for one in stored(files)]


def test_tune_and_ablate_take_a_file(files, capsys):
    where = ["--data", "toy.jsonl", "--grader", "checks.py:letters", *TOY, "--set", "fit.prompts=8"]
    assert cli.main(["ablate", "--axis", "iro.width", "--values", "1,2", "--set", "iro.iterations=1", *where]) == 0
    assert len(stored(files)) == 2
    assert cli.main(["tune", "--tries", "1", "--most-tries", "1", "--set", "iro.iterations=1", *where]) == 0


def test_grade_shows_samples_and_what_speaks_for_or_against_a_run(files, capsys):
    words = ["--data", "toy.jsonl", *TOY]
    assert cli.main(["grade", "--grader", "checks.py:letters", "--gold", "checks.py:keyed", *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no score: 7 of 40 (18%) python_grader_runtime_error, such as: ValueError: no c" in said
    assert "spread: sd 1.17 within a prompt" in said and "graded again: the same scores" in said
    assert "cost at most" in said and said.count("about topic") == 10
    assert not (files / "results").exists()
    assert cli.main(["grade", "--grader", "checks.py:constant", *words]) == 1
    assert "no method can gain: all answers to one prompt have the same score" in " ".join(
        capsys.readouterr().out.split()
    )
    assert cli.main(["grade", "--grader", "checks.py:never", *words]) == 1
    assert "the proxy scores none of 40 answers" in " ".join(capsys.readouterr().out.split())


def test_a_dry_run_says_what_is_taken_and_does_nothing(files, capsys):
    assert run("--dry-run") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "data: 60 rows, the prompt is `prompt`" in said and "taken: 32 fit prompts" in said and "at most" in said
    assert not (files / "results").exists()


def test_a_column_that_no_row_has_is_named_before_any_work(files, capsys):
    write(files / "bare.jsonl", [{"prompt": row["prompt"], "key": "a"} for row in rows()])
    assert cli.main(["grade", "--data", "bare.jsonl", "--grader", "checks.py:keyed", *TOY]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: checks.py:keyed reads answer, which no row has (columns: key)" in said
    assert "no score: 40 of 40 (100%) invalid_variable_error" in said


def test_grade_finds_a_grader_that_rolls_dice(files, capsys):
    (files / "dice.py").write_text("import random\ndef f(prompt, response): return random.random()\n", encoding="utf-8")
    assert cli.main(["grade", "--data", "toy.jsonl", "--grader", "dice.py", *TOY]) == 0
    assert "40 of 40 have another score: it is not deterministic" in " ".join(capsys.readouterr().out.split())


def test_a_prompt_longer_than_the_context_is_named_by_its_line(files, monkeypatch, capsys):
    monkeypatch.setattr("harness.core.models.toy.ToyPolicy.context", 4, raising=False)
    assert run() == 2
    assert "toy.jsonl, line " in (said := capsys.readouterr().err) and "the prompt has 1 tokens, and up to 4" in said


SCORE = {
    "type": "score_model", "name": "judge", "model": "planted", "range": [0, 10],
    "input": [{"role": "user", "content": "Rate: {{ sample.output_text }} for {{ item.answer }}"}],
}  # fmt: skip


def test_a_chat_model_grades_from_the_cache_of_judges(files, capsys):
    (files / "judge.json").write_text(json.dumps(SCORE), encoding="utf-8")
    assert run(grader="judge.json") == 2
    assert "no chat server is set to ask it at; give one, such as --set data.endpoint=" in capsys.readouterr().err
    with served(lambda question, before: Planted(json.dumps({"result": question.count("a")}))) as server:
        words = ["--set", f"data.endpoint={server.url}", "--set", "fit.prompts=6", "--limit", "6"]
        assert run(*words, grader="judge.json") == 0
        asked = len(server.bodies)
        assert asked and server.bodies[0]["messages"][-1]["role"] == "system"
        assert run(*words, "--fresh", grader="judge.json") == 0
        assert len(server.bodies) == asked  # every answer is kept
        (aligned,) = {made.id.partition("-fresh")[0] for made in stored(files)}
        assert harness.load(aligned, "iro").answers([{"prompt": "topic 1", "answer": "b"}], pick="reward")
    [made, _] = stored(files)
    config = made.about["config"]["settings"]["data"]
    assert config["endpoint"] == "" and server.url in json.dumps(made.about["task_facts"])


def test_a_server_that_is_gone_leaves_no_score_and_stops_the_run(files, capsys):
    (files / "judge.json").write_text(json.dumps(SCORE), encoding="utf-8")
    with served(lambda question, before: Planted("no", 400)) as server:
        words = ["--data", "toy.jsonl", "--grader", "judge.json", "--method", "base", "--only", *TOY]
        words += ["--set", f"data.endpoint={server.url}", "--set", "fit.prompts=5", "--limit", "2"]
        assert cli.main(["run", *words]) == 2
    assert "model_grader_server_error" in (said := capsys.readouterr().err) and "no finite score for any" in said


def test_cosine_is_by_minilm_and_another_text_is_less_alike(files, monkeypatch):
    """The real model takes a download; here its place is taken."""
    monkeypatch.setattr(
        outside, "Embedding", lambda cache: lambda texts: np.array([[t.count("a"), t.count("b") + 0.1] for t in texts])
    )
    (files / "like.json").write_text(
        json.dumps({"type": "text_similarity", "name": "like", "evaluation_metric": "cosine",
                    "input": "{{ sample.output_text }}", "reference": "{{ item.answer }}"}), encoding="utf-8",
    )  # fmt: skip
    task = data.Data(data.DataConfig(file="toy.jsonl", grader="like.json"), None, files)
    (prompt,) = [p for p in task.prompts("fit") if p.row["n"] == 0] or task.prompts("fit")[:1]
    letter = prompt.row["answer"]
    texts = [Completion(prompt, (), text, None) for text in (letter, "b" if letter == "a" else "a")]
    alike, other = task.reward()(texts)
    assert alike > other


def test_rows_made_by_somebody_else_print_nothing_that_steers_a_terminal(files, capsys):
    write(files / "toy.jsonl", [{"prompt": f"\x1b[31mred {i} topic {i % 2}", "answer": "a"} for i in range(60)])
    (files / "bad.py").write_text("def f(prompt, response): raise ValueError('\\x1b[2J')\n", encoding="utf-8")
    assert cli.main(["grade", "--data", "toy.jsonl", "--grader", "bad.py", *TOY]) == 1
    assert "\x1b[" not in capsys.readouterr().out


def test_other_prompts_or_graders_are_another_table_of_the_leaderboard_and_are_not_scored_again(files, capsys):
    write(files / "more.jsonl", rows(80))
    for given, grader in (("toy", "letters"), ("more", "letters"), ("toy", "keyed")):
        assert cli.main(["run", "--data", f"{given}.jsonl", "--grader", f"checks.py:{grader}", "--method", "base",
                         "--only", "--set", "fit.prompts=8", *TOY]) == 0  # fmt: skip
    entries = [entry for made in stored(files) for entry in _entries(made, files / "results")]
    assert len({entry.task for entry in entries}) == 3
    assert any(entry.task.endswith("(80 rows, checks.py:letters)") for entry in entries)
    for found in rescore(files / "results", 4, files / "cache"):
        assert found.not_scored == "prompts and graders of files that lie elsewhere"
