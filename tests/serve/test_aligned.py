"""Answers to new prompts from what a run left, on the toy: those that the run itself would have given."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import harness
from harness import cli
from harness.core.errors import UserError
from harness.core.json_file import read_json, write_json
from harness.core.types import Prompt
from harness.evidence.store import find_run, load_run
from harness.serve.generate import _read
from harness.tasks.toy import Toy, proxy_of

ROOT = Path(__file__).parents[2]
RUN = ["run", "--task", "toy", "--limit", "12", "--set", "fit.prompts=20", "--workers", "1"]
METHODS = ("base", "best_of_n", "args", "controlled_decoding", "cards", "iro")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """OUT with one run of every method that the toy can have."""
    place = tmp_path_factory.mktemp("aligned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        assert cli.main([*RUN, "--method", ",".join(METHODS), "--out", str(place / "results")]) == 0
    return place / "results"


@pytest.fixture
def load(results, place):
    """harness.load from another folder, with an empty cache."""
    return lambda *arguments, **options: harness.load("toy", *arguments, out=results, **options)


@pytest.mark.parametrize("method", METHODS)
def test_the_prompts_of_the_run_get_the_answers_of_the_run(load, results, method):
    run = load_run(find_run(results, "toy"))
    prompts = Toy(Toy.Config(), None, None).prompts("test")[:12]
    for iteration in run.completions.filter(pl.col("method") == method)["iteration"].unique():
        stored = run.completions.filter(pl.col("method") == method, pl.col("iteration") == iteration)
        aligned = load(method, iteration)
        for pick in stored["final_pick"].unique():
            rows = {row["prompt_id"]: row for row in stored.filter(pl.col("final_pick") == pick).to_dicts()}
            for answer in aligned.answers(prompts, pick=pick):
                row = rows[answer.prompt.id]
                assert answer.text == row["response"] == answer.picks[pick]
                costs = ("policy_tokens", "value_calls", "value_tokens", "reward_calls")
                assert {name: vars(answer)[name] for name in costs} == {name: row[name] for name in costs}
                assert answer.seconds > 0


def test_the_cheapest_pick_answers_without_the_reward(load, monkeypatch):
    def never(self):
        raise AssertionError("nobody asked for the reward")

    monkeypatch.setattr(Toy, "reward", never)
    (answer,) = load("iro").answers(["topic 0"])
    assert answer.pick == "value" and answer.reward_calls == 0 and set(answer.picks) == {"value", "first"}
    assert all(finalist.proxy is None for finalist in answer.finalists)
    assert answer.text in {f.text for f in answer.finalists if f.score == max(f.score for f in answer.finalists)}
    with pytest.raises(AssertionError, match="nobody asked"):
        load("best_of_n").generate(["topic 0"])


@pytest.mark.parametrize("method", ["iro", "base", "best_of_n"])
def test_the_reward_of_every_finalist_is_told_where_it_is_asked(load, method):
    (answer,) = load(method).answers(["topic 1"], proxy=True)
    assert [f.proxy for f in answer.finalists] == [proxy_of(f.text) for f in answer.finalists]
    if "reward" in answer.picks:
        assert proxy_of(answer.picks["reward"]) == max(f.proxy for f in answer.finalists)


@pytest.mark.parametrize("method", ["base", "iro"])
def test_order_and_repeats_of_prompts_do_not_matter_and_the_seed_does(load, method):
    aligned = load(method)
    prompts = [f"question {i} about topic {i % 2}" for i in range(9)]
    texts = aligned.generate(prompts)
    assert aligned.generate(prompts[::-1]) == texts[::-1]
    assert aligned.generate([*prompts, prompts[3]]) == [*texts, texts[3]]
    if method == "base":  # values have last digits, which company may change
        assert [aligned.generate([p])[0] for p in prompts] == texts
    assert aligned.generate(prompts, seed=0) == texts != aligned.generate(prompts, seed=1)
    assert aligned.generate([]) == []


@pytest.mark.slow
def test_another_process_in_another_folder_gives_the_same_texts(load, results, tmp_path):
    code = (
        f"import harness; print(harness.load({str(results.glob('runs/*').__next__())!r}, 'iro').generate(['topic 1']))"
    )
    environment = {**os.environ, "HARNESS_CACHE": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(load("iro").generate(["topic 1"])), done.stderr


@pytest.mark.parametrize(
    "arguments, options, says",
    [
        ((), {}, "toy-.* has base, base_greedy, best_of_n, args, .*: say which of these methods"),
        (("irp",), {}, "unknown method of toy-.* 'irp'. Did you mean 'iro'"),
        (("iro", 4), {}, "iteration 4 of iro: .* has 1, 2, 3"),
        (("base", 1), {}, "iteration 1 of base: .* has 0"),
        (("iro",), {"reward": lambda prompt, response: 0.0}, "is that of task 'toy'; leave reward out"),
    ],
)
def test_what_is_not_there_is_named(load, arguments, options, says):
    with pytest.raises(UserError, match=says):
        load(*arguments, **options)


def test_a_pick_that_a_method_does_not_have_is_named(load):
    with pytest.raises(UserError, match=r"unknown final pick of best_of_n 'value'. .*Valid: reward"):
        load("best_of_n").answers(["topic 0"], pick="value")
    with pytest.raises(UserError, match="two different prompts have the id 'a'"):
        load("iro").generate([Prompt("a", text="topic 0"), Prompt("a", text="topic 1")])


def test_another_model_than_the_one_fitted_on_is_refused(results, tmp_path):
    (fitted,) = results.glob("runs/*/fitted")
    write_json(tmp_path / "about.json", read_json(fitted / "about.json", "") | {"fingerprint": "toy-of-others"})
    with pytest.raises(UserError, match=r"model 'toy' is not the one that .* was fitted on .*toy-of-others"):
        harness.load(tmp_path, "iro")


def test_a_run_without_its_fitted_folder_says_how_to_get_one(results, tmp_path):
    (run,) = results.glob("runs/*")
    copy = tmp_path / "runs" / run.name
    copy.mkdir(parents=True)
    (copy / "run.json").write_bytes((run / "run.json").read_bytes())
    with pytest.raises(UserError, match=r"has no fitted/.* Run its command with --fresh"):
        harness.load(run.name, out=tmp_path)
    with pytest.raises(UserError, match="no run 'nothing'"):
        harness.load("nothing", out=tmp_path)


def generate(results, *arguments: str) -> int:
    return cli.main(["generate", "toy", "--out", str(results), *arguments])


def test_the_command_prints_the_same_answers(results, load, place, capsys):
    texts = load("iro").generate(["topic 0", "topic 1"])
    asked = ["--method", "iro", "--prompt", "topic 0", "--prompt", "topic 1"]
    assert generate(results, *asked) == 0
    assert capsys.readouterr().out == f"{texts[0]}\n\n{texts[1]}\n"
    Path("p.txt").write_text("topic 0\n\ntopic 1\n", encoding="utf-8")
    assert generate(results, "--method", "iro", "--prompts", "p.txt", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == texts and rows[0]["iteration"] == 3 and rows[0]["policy_tokens"] > 0
    Path("p.jsonl").write_text('{"prompt": "topic 1", "note": "é"}\n', encoding="utf-8")
    assert generate(results, "--method", "iro", "--iteration", "1", "--pick", "reward", "--prompts", "p.jsonl") == 0
    row = [{"prompt": "topic 1", "note": "é"}]
    assert capsys.readouterr().out == load("iro", 1).generate(row, pick="reward")[0] + "\n"


def test_a_text_is_one_line_whatever_else_it_holds(tmp_path):
    """A form feed or U+2028 inside a text made two prompts of it, or broke a row; a byte order mark was asked, too."""
    path = tmp_path / "p.txt"
    path.write_text("\ufefftopic\u2028 0\r\ntopic\f 1\x85\n", encoding="utf-8", newline="")
    assert _read(path) == ["topic\u2028 0", "topic\f 1\x85"]
    rows = path.with_suffix(".jsonl")
    rows.write_text('\ufeff{"prompt": "a\u2028b"}\n', encoding="utf-8")
    assert _read(rows) == [{"prompt": "a\u2028b"}]


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "give prompts: --prompt TEXT, or --prompts FILE"),
        (["--prompts", "nowhere.txt"], "no such file"),
        (["--prompts", "bad.jsonl"], "line 2 of bad.jsonl is no JSON"),
        (["--prompts", "odd.jsonl"], "give a text, a list of messages, or a row with prompt or messages"),
        (["--prompts", "latin.txt"], "is no UTF-8 text"),
        (["--prompt", "x", "--method", "irp"], "unknown method of"),
        (["--prompt", "topic 0", "--method", "iro", "--pick", "best"], "unknown final pick of iro 'best'"),
    ],
)
def test_mistakes_of_the_command_are_named(results, place, capsys, arguments, says):
    Path("bad.jsonl").write_text('{"prompt": "x"}\n{"prompt"\n', encoding="utf-8")
    Path("odd.jsonl").write_text('{"text": "x"}\n', encoding="utf-8")
    Path("latin.txt").write_bytes("é".encode("latin-1"))
    assert generate(results, *arguments) == 2
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said
