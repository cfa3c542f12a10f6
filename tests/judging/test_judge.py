"""The command on stored runs: exact tables, planted answers, files of AlpacaEval, and every mistake a user can make."""

import json
import shutil
from collections.abc import Iterator
from math import nan
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.core.api.client import Client
from harness.evidence.schema import COLUMNS
from harness.evidence.store import TABLES, write_about, write_table
from harness.judging import judge as judging
from tests.llama_server import llama_server
from tests.planted_server import Planted, chat_body, served
from tests.twins import twins

KEY = "sk-planted-9876543210"
LLM = ["--judge", "llm", "--model", "planted", "--wait", "0.01", "--parallel", "2"]
SETTINGS = {"best_of_n": {"n": 4}, "iro": {"width": 2, "successors": 2}}

ENTRY = {"instruction": "i", "output_1": "b", "generator_1": "../them/7B", "generator_2": "us", "extra": 1}

# golds and answers of four prompts, by row of the table
BASE = ([0.0, 0.0, 0.0, 0.0], ["aa", "bb", "cc", "dd"])
BEST = ([1.0, 1.0, 0.0, nan], ["aaa", "bbb", "cc", "ddd"])
IRO = ([2.0, -1.0, 0.0, 1.0], ["good a", "good b", "cc", "good d"])


def store(
    name: str, rows: dict, ids=("p0", "p1", "p2", "p3"), task="toy", references=None, settings=SETTINGS, facts=None
) -> None:
    """A finished run in results/runs with the given rows: (method, iteration, pick) -> golds and answers."""
    folder = Path("results", "runs", name)
    folder.mkdir(parents=True)
    completions, scores = [], []
    for (method, iteration, pick), (golds, texts) in rows.items():
        for i, id in enumerate(ids):
            where = {"run_id": name, "task": task, "seed": 0, "method": method, "variant": "default"}
            where |= {"iteration": iteration, "final_pick": pick, "prompt_id": id}
            more = {} if references is None else {"reference": references[i]}
            completions.append({**where, "prompt": f"say {id}", **more, "response": texts[i]})
            for metric, value in (("gold_reward", golds[i]), ("proxy_reward", -golds[i])):
                scores.append({**where, "metric": metric, "value": value})
    for table in TABLES:
        unread = [dict.fromkeys(COLUMNS.get(table, ["x"]), 1)]
        write_table(folder, table, {"completions": completions, "scores": scores}.get(table, unread))
    config = {"task": task, "settings": settings}
    write_about(folder, {"status": "done", "config": config, "task_facts": facts or {}, "units": {}})


@pytest.fixture
def stored(place) -> Path:
    """one: base, best_of_n and an iro whose `first` is its `value`; two: iro alone, on three of the prompts."""
    rows = {("base", 0, "first"): BASE, ("best_of_n", 0, "reward"): BEST}
    rows |= {("iro", 1, "first"): IRO, ("iro", 1, "value"): IRO}
    store("toy-one", rows, references=["good human", "b", None, "d"])
    store("toy-two", {("iro", 1, "value"): ([0.0, 9.0, 0.0], ["x", "y", "z"])}, ids=("p0", "p1", "p9"))
    return place


def judge(*arguments: str) -> int:
    """The command, with the report in full."""
    return cli.main(["judge", *arguments, "--full"])


def judgement(place: Path, beginning: str) -> Path:
    (folder,) = (place / "results" / "judgements").glob(f"{beginning}-*")
    return folder


def table(folder: Path) -> list[dict]:
    return pl.read_parquet(folder / "table.parquet").to_dicts()


def test_gold_against_base_counts_wins_ties_and_missing_scores(stored, capsys):
    assert judge("toy-one") == 0
    folder = judgement(stored, "toy-one-base-gold")
    drawn = {"win_rates.png", "win_rates.svg", "win_rates.pdf"}
    stored = {"annotations.parquet", "table.parquet", "report.md", "about.json", "annotations.sha256", "table.sha256"}
    assert {p.name for p in folder.iterdir()} == stored | {"manifest.json"} | drawn
    best, iro = table(folder)  # base does not meet itself, and iro's `first` is its `value`
    assert (best["method"], best["win_rate"], best["win_rate_n"], best["ties"], best["unparsable"]) == (
        "best_of_n", pytest.approx(2.5 / 3), 3, 1, 1,
    )  # fmt: skip
    assert (iro["method"], iro["iteration"], iro["final_pick"]) == ("iro", 1, "value")
    assert (iro["win_rate"], iro["win_rate_n"], iro["ties"], iro["unparsable"]) == (0.625, 4, 1, 0)
    assert iro["length_difference"] == 3.0 and iro["flip_rate"] is None
    assert iro["win_rate_low"] < 0.625 < iro["win_rate_high"] and 0 < iro["length_controlled"] < 1
    printed = capsys.readouterr().out
    assert "4 common prompts of task toy (4 of toy-one, 4 of base)" in printed and "| 62% [" in printed


def test_a_stored_reward_is_compared_by_its_name(stored):
    assert judge("toy-one", "--judge", "reward:proxy_reward", "--method", "iro") == 0
    [iro] = table(judgement(stored, "toy-one-base-reward-proxy_reward"))
    assert iro["win_rate"] == 0.375  # the planted proxy is minus the gold


def test_best_of_n_is_an_opponent_at_equal_rows_only(stored, capsys):
    assert judge("toy-one", "--opponent", "best_of_n", "--method", "iro") == 0
    [iro] = table(judgement(stored, "toy-one-best_of_n-gold"))
    assert (iro["win_rate"], iro["win_rate_n"]) == (0.5, 3)  # win, loss, tie, missing
    assert "Not at equal rows" not in (judgement(stored, "toy-one-best_of_n-gold") / "report.md").read_text()
    rows = {("best_of_n", 0, "reward"): BEST, ("iro", 1, "value"): IRO, ("controlled_decoding", 1, "value"): IRO}
    settings = {**SETTINGS, "best_of_n": {"n": 8}, "controlled_decoding": {"mode": "block", "successors": 64}}
    store("other", rows, settings=settings)
    for method, took in (("iro", 4), ("controlled_decoding", 64)):
        assert judge("other", "--opponent", "best_of_n", "--method", method) == 2
        said = capsys.readouterr().err
        assert f"{method} took {took} rows a prompt and best_of_n 8 in other: no equal budgets" in said
        assert f"--set best_of_n.n={took}" in said
    # named as a run of its own, it may have another number of rows, and the report says so
    assert judge("toy-one", "--opponent", "other", "--opponent-method", "best_of_n", "--method", "iro") == 0
    assert "Not at equal rows a prompt: iro took 4, best_of_n 8." in capsys.readouterr().out


def test_methods_that_rows_do_not_measure_meet_best_of_n_and_the_report_says_so(stored, capsys):
    rows = {("base", 0, "first"): BASE, ("best_of_n", 0, "reward"): BEST, ("args", 0, "first"): IRO}
    store("unmeasured", {**rows, ("iro", 1, "value"): IRO}, settings={**SETTINGS, "args": {"weight": 1.0}})
    assert judge("unmeasured", "--opponent", "best_of_n") == 0
    assert (
        "Not at equal rows a prompt: base took 1, best_of_n 4; args has no number of rows, best_of_n took 4."
        in capsys.readouterr().out
    )


def test_another_run_is_met_row_by_row_on_the_common_prompts(stored, capsys):
    assert judge("toy-one", "--opponent", "toy-two", "--method", "iro") == 0
    assert "2 common prompts of task toy (4 of toy-one, 3 of toy-two)" in capsys.readouterr().out
    [iro] = table(judgement(stored, "toy-one-toy-two-gold"))
    assert (iro["win_rate"], iro["win_rate_n"], iro["opponent"]) == (0.5, 2, "iro-1-value-toy-two")
    assert judge("toy-one", "--opponent", "toy-two") == 2
    assert "0 rows of toy-two are base, first; choose one with --opponent-method" in capsys.readouterr().err
    assert judge("toy-one", "--opponent", "toy-two", "--opponent-method", "iro") == 0
    assert (
        len(table(max((stored / "results/judgements").glob("toy-one-toy-two-*"), key=lambda p: p.stat().st_mtime))) == 3
    )


def test_asking_again_shows_what_is_stored_and_changes_nothing(stored, capsys):
    judge("toy-one")
    first = capsys.readouterr().out
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in judgement(stored, "toy-one-base-gold").iterdir()}
    assert judge("toy-one") == 0
    said = capsys.readouterr()
    assert said.out == first and "is done" in said.err
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before


def likes_good(asked: str, before: int) -> Planted:
    """Prefers a text with 'good' in it; of two without, the one shown first; will not say what d is worth."""
    if "say p3" in asked:
        return Planted("I would rather not say.")
    first = asked.index("<writer_A>")
    good = asked.find("good")
    return Planted("[[A]]" if good < asked.index("<writer_B>") or good < first else "[[B]]")


def test_a_chat_judge_makes_ties_of_flips_and_counts_what_it_could_not_read(stored, monkeypatch, capsys):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with served(likes_good) as server:
        assert judge("toy-one", *LLM, "--endpoint", server.url, "--key-variable", "PLANTED_KEY") == 0
        assert server.keys == {f"Bearer {KEY}"}
        # of best_of_n's and iro's 8 pairs two have equal texts; each other pair is asked twice
        assert len(server.questions) == len(set(server.questions)) == 12
        asked = len(server.questions)
        assert judge("toy-one", *LLM, "--endpoint", server.url) == 0  # done: no key is needed
        assert len(server.questions) == asked
    best, iro = table(judgement(stored, "toy-one-base-llm"))
    assert (iro["win_rate"], iro["win_rate_n"], iro["ties"], iro["unparsable"]) == (pytest.approx(2.5 / 3), 3, 1, 1)
    assert (iro["flip_rate"], iro["flip_rate_n"]) == (0.0, 2)
    assert (best["win_rate"], best["ties"], best["flip_rate"], best["unparsable"]) == (0.5, 3, 1.0, 1)
    assert "12 answers of planted-1: 120 prompt tokens and 36 sampled" in capsys.readouterr().out
    for path in stored.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_a_server_that_dies_half_way_is_said_and_the_same_command_asks_only_the_rest(stored, capsys):
    state = {"dead": True}

    def plan(asked: str, before: int) -> Planted:
        return Planted("gone", 503) if state["dead"] and before >= 5 else likes_good(asked, before)

    with served(plan) as server:
        command = ["toy-one", *LLM, "--endpoint", server.url, "--parallel", "1", "--tries", "2"]
        assert judge(*command) == 2
        said = capsys.readouterr().err
        assert "5 of 12 answers are kept" in said and "run the same command again, it asks the other 7" in said
        assert not (stored / "results" / "judgements").exists()
        kept = set(server.questions[:5])
        state["dead"] = False
        server.questions.clear()
        assert judge(*command) == 0
        assert len(server.questions) == 7 and not kept & set(server.questions)
    resumed = table(judgement(stored, "toy-one-base-llm"))
    assert [row["unparsable"] for row in resumed] == [1, 1]


def test_replies_that_are_no_whole_answers_are_counted_and_asked_for_again_by_the_same_command(stored, capsys):
    """Case 05: a refusal or a cut reply was a verdict, or none for good; content in parts was a traceback for good."""
    state = {"odd": True}

    def plan(asked: str, before: int) -> Planted:
        verdict = likes_good(asked, before).content
        if not state["odd"]:
            return Planted(body=chat_body([{"type": "text", "text": verdict}]))
        if "say p0" in asked:
            return Planted(body=chat_body("<think>[[A]] is what", "length"))
        return Planted(body=chat_body(None, "content_filter") if "say p1" in asked else chat_body(verdict))

    with served(plan) as server:
        command = ["toy-one", *LLM, "--endpoint", server.url, "--method", "iro"]
        assert judge(*command) == 0
        said = capsys.readouterr()
        counts = "No verdict for pairs without two whole replies: 1 cut short, 1 refused."
        assert counts in said.out and f"warning: {counts}" in said.err and "--request max_tokens=" in said.out
        [iro] = table(judgement(stored, "toy-one-base-llm"))
        assert (iro["cut_short"], iro["refused"], iro["empty"], iro["unparsable"], iro["win_rate_n"]) == (1, 1, 0, 1, 1)
        state["odd"] = False
        server.questions.clear()
        assert judge(*command) == 0
        assert len(server.questions) == 4 and all("say p0" in q or "say p1" in q for q in server.questions)
        [iro] = table(judgement(stored, "toy-one-base-llm"))
        assert (iro["cut_short"], iro["refused"], iro["unparsable"], iro["win_rate_n"]) == (0, 0, 1, 3)
        assert "whole replies" not in capsys.readouterr().out
        assert judge(*command) == 0
        assert len(server.questions) == 4 and "is done" in capsys.readouterr().err


def test_pairs_of_one_prompt_are_one_prompt(place, capsys):
    """Several annotators, or an entry given twice, are averaged; they made n larger and intervals narrower."""
    entry = {**ENTRY, "output_2": "longer"}
    once = [{**entry, "instruction": f"{i}", "preference": 1 + (i % 3) / 2} for i in range(12)]
    twice = [*once, *({**one, "annotator": "another"} for one in once)]
    mixed = [{**entry, "instruction": "x", "preference": p} for p in (1, 2, 2, None)]
    found = []
    for name, entries in (("once", once), ("twice", twice), ("mixed", [*once, *mixed])):
        Path(f"{name}.json").write_text(json.dumps(entries), encoding="utf-8")
        assert judge("--import", f"{name}.json", "--out", name) == 0
        [folder] = Path(name, "judgements").iterdir()
        found += table(folder)
    one, two, three = found
    same = [name for name in one if name.startswith(("win_rate", "length_"))]
    assert [two[name] for name in same] == pytest.approx([one[name] for name in same], nan_ok=True)
    assert (one["pairs"], two["pairs"], two["win_rate_n"]) == (12, 24, 12)
    assert (
        three["win_rate_n"] == 13 and three["win_rate"] == pytest.approx((6 + 2 / 3) / 13) and three["unparsable"] == 1
    )


@pytest.mark.filterwarnings("ignore:Glyph")  # of an escape, which no font has
def test_every_length_controlled_rate_says_that_it_is_not_the_boards_and_an_odd_one_warns(place, capsys):
    """Case 15: ours always much shorter; 3.6% became 23% without a word."""
    rng = np.random.default_rng(0)
    theirs = rng.normal(2000, 500, 805).clip(300).astype(int)
    ours = (theirs - rng.normal(1400, 500, 805)).clip(40).astype(int)
    d = ours - theirs
    p = 1 / (1 + np.exp(-(-1.2 + 2.2 * np.tanh(d / d.std()))))
    lengths = zip(p, ours, theirs, strict=True)
    entries = [
        {**ENTRY, "instruction": f"{i}", "output_2": "x" * a, "output_1": "y" * b, "preference": 1 + q,
         "generator_1": "../them/7B\x1b[31m"}
        for i, (q, a, b) in enumerate(lengths)
    ]  # fmt: skip
    Path("short.json").write_text(json.dumps(entries), encoding="utf-8")
    assert judge("--import", "short.json") == 0
    said = capsys.readouterr()
    assert "length-controlled (not AlpacaEval's board)" in said.out and "15% [14, 16] (!)" in said.out
    warned = "(!) Length-controlled rate of us over ../them/7B\\x1b[31m: it is 12 points from the raw rate of 4%"
    assert warned in said.out and warned in said.err
    assert "\x1b" not in said.out + said.err  # what a file says steers no terminal
    assert "prompts have answers of nearly equal length" in said.out
    [row] = table(judgement(place, "us-.._them_7B_31m-import"))
    assert "12 points from the raw rate" in row["length_controlled_warning"]


def test_references_are_an_opponent_where_they_are_stored(stored, capsys):
    with served(likes_good) as server:
        command = ["--opponent", "reference", *LLM, "--endpoint", server.url, "--method", "base"]
        assert judge("toy-one", *command) == 0
        [base] = table(judgement(stored, "toy-one-reference-llm"))
        assert (base["opponent"], base["pairs"]) == ("reference-toy-one", 3)  # one prompt has none
        assert (base["win_rate"], base["win_rate_n"]) == (0.25, 2)  # lost to the good human, tied by a flip
        assert judge("toy-two", "--opponent", "reference", *LLM, "--endpoint", server.url) == 2
    assert (
        "toy-two was stored by a version that kept no references; repeat its command with another --out"
        in capsys.readouterr().err
    )
    assert judge("toy-one", "--opponent", "reference") == 2
    assert "human references is not stored; use --judge llm" in capsys.readouterr().err


def test_a_task_without_references_is_said(place, capsys):
    store("toy-run", {("base", 0, "first"): BASE}, references=[None] * 4)
    assert judge("toy-run", "--opponent", "reference", *LLM) == 2
    assert "the prompts of task toy have no references" in capsys.readouterr().err


def test_files_of_alpaca_eval_come_and_go_unchanged(stored, capsys):
    """Exported, imported and exported again: the same rates, the same pairs."""
    assert judge("toy-one", "--export", "files") == 0
    written = {str(p.relative_to("files")) for p in Path("files").rglob("*.json")}
    assert written == {f"{side}-toy-one/model_outputs.json" for side in ("base", "best_of_n", "iro-1-value")} | {
        f"{side}-toy-one/annotations.json" for side in ("best_of_n", "iro-1-value")
    }
    outputs = json.loads(Path("files/iro-1-value-toy-one/model_outputs.json").read_text())
    assert outputs[0] == {
        "dataset": "toy", "instruction": "say p0", "output": "good a", "generator": "iro-1-value-toy-one",
    }  # fmt: skip
    annotations = json.loads(Path("files/best_of_n-toy-one/annotations.json").read_text())
    assert [a["preference"] for a in annotations] == [2.0, 2.0, 1.5, None]
    assert annotations[0] == {
        "dataset": "toy", "instruction": "say p0", "output_1": "aa", "generator_1": "base-toy-one", "output_2": "aaa",
        "generator_2": "best_of_n-toy-one", "annotator": "gold", "preference": 2.0,
    }  # fmt: skip
    before = pl.read_parquet(judgement(stored, "toy-one") / "table.parquet").filter(pl.col("method") == "best_of_n")
    capsys.readouterr()
    assert judge("--import", "files/best_of_n-toy-one/annotations.json", "--export", "again") == 0
    assert "judge: gold" in capsys.readouterr().out
    after = pl.read_parquet(judgement(stored, "best_of_n-toy-one-base-toy-one-import") / "table.parquet")
    assert after.drop("method", "final_pick").equals(before.drop("method", "final_pick"))
    for name in ("annotations.json", "model_outputs.json"):
        pair = Path("again/best_of_n-toy-one", name), Path("files/best_of_n-toy-one", name)
        assert pair[0].read_bytes() == pair[1].read_bytes()
    assert judge("toy-one", "--export", "files") == 0  # the same files again
    assert judge("toy-one", "--judge", "reward:proxy_reward", "--export", "files") == 2
    assert "annotations.json holds something else already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, content",
    [
        ("annotations.parquet", b"flip"),
        ("table.parquet", b""),
        ("about.json", b"flip"),
        ("report.md", None),
        ("report.md", b"flip"),
        ("manifest.json", b""),
    ],
)
def test_a_judgement_that_is_damaged_is_made_again_and_says_so(stored, capsys, undrawn, name, content):
    """Without its report it could never be made again: FileNotFoundError each time."""
    assert judge("toy-one") == 0
    path = judgement(stored, "toy-one-base-gold") / name
    whole = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content and whole.replace(b"toy", b"tox"))
    capsys.readouterr()
    assert judge("toy-one", "--export", "files") == 0
    said = capsys.readouterr().err
    assert name in said and said.count("judged again") == 1 and path.read_bytes() == whole


def test_generators_whose_names_shorten_alike_have_folders_of_their_own(place):
    """One was written over the other, exit 0."""
    entries = [{**ENTRY, "generator_2": name, "output_2": name, "preference": 1} for name in ("m 1", "m_1", "M 1")]
    Path("annotations.json").write_text(json.dumps(entries))
    assert judge("--import", "annotations.json", "--export", "files") == 0
    outputs = [json.loads(path.read_text()) for path in Path("files").glob("*/model_outputs.json")]
    assert sorted(one["output"] for of in outputs for one in of if one["generator"] != ENTRY["generator_1"]) == [
        "M 1", "m 1", "m_1",
    ]  # fmt: skip


def test_old_draws_and_probabilities_of_alpaca_eval_are_read(place):
    preferences = [0, 1.25, 2, None]
    entries = [
        {**ENTRY, "instruction": f"{i}", "output_2": "mm" * i, "preference": p} for i, p in enumerate(preferences)
    ]
    Path("annotations.json").write_text(json.dumps(entries))
    assert judge("--import", "annotations.json") == 0
    [row] = table(judgement(place, "us-.._them_7B-import"))
    assert (row["win_rate"], row["win_rate_n"], row["ties"], row["unparsable"]) == (pytest.approx(1.75 / 3), 3, 1, 1)


@pytest.mark.parametrize(
    "content, says",
    [
        ("[", "the file: Invalid JSON"),
        ("[]", "holds no annotation"),
        ('{"a": 1}', "the file: Input should be a valid array"),
        ('[{"instruction": "i"}]', "entry 0, output_1: Field required"),
        (json.dumps([{**ENTRY, "output_2": "", "preference": 3}]), "entry 0, preference: Value error, 3.0 is no"),
    ],
)
def test_other_files_are_named_with_the_entry_at_fault(place, capsys, content, says):
    Path("f.json").write_text(content)
    assert judge("--import", "f.json") == 2
    said = capsys.readouterr().err
    assert "--import 'f.json'" in said and says in said


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "name the run to judge"),
        (["nothing"], "no run 'nothing'"),
        (["toy-one", "--opponent", "bse"], "no run 'bse'"),
        (["toy-one", "--judge", "golden"], "unknown judge 'golden'"),
        (["toy-one", "--judge", "reward:"], "unknown judge 'reward:'"),
        (["toy-one", "--judge", "reward:proxy"], "unknown metric 'proxy'. Valid: gold_reward, proxy_reward"),
        (
            ["toy-one", "--method", "irr"],
            "no row of toy-one is method=irr; its rows: base, first; best_of_n, reward; iro",
        ),
        (["toy-one", "--method", "base"], "base, first of toy-one would meet itself"),
        (["toy-two"], "toy-two has no base; its rows: iro, iteration 1, value"),
        (["toy-one", "--opponent-method", "iro"], "method=iro chooses a row of another run; the opponent here is base"),
        (
            ["toy-one", "--opponent", "other-task"],
            "toy-one answers the task toy, other-task imdb: they share no prompts",
        ),
        (["toy-one", "--opponent", "elsewhere", "--method", "iro"], "have no prompt in common (4 and 4)"),
        (["toy-one", "--opponent", "other-facts", "--method", "iro"], "were scored by rewards of other facts"),
        (["toy-one", "--judge", "llm"], "--judge llm needs --model"),
        (["toy-one", "--model", "m"], "--model belongs to --judge llm, but the judge is gold"),
        (["toy-one", *LLM, "--tries", "0"], "--tries 0: give more than 0"),
        (["toy-one", *LLM, "--request", "max_tokens"], "--request 'max_tokens': write a field as name=value"),
        (["toy-one", *LLM, "--request", "seed=.nan"], "--request 'seed=.nan': the value cannot be sent as JSON"),
        (["toy-one", *LLM, "--request", "seed=2026-01-01"], "the value cannot be sent as JSON"),
        (["toy-one", *LLM, "--endpoint", "localhost"], "--endpoint 'localhost' is no URL"),
        (["toy-one", *LLM, "--endpoint", "http://[::1"], "--endpoint is no URL (Invalid IPv6 URL)"),
        (["toy-one", *LLM, "--endpoint", "http://127.0.0.1:99999/v1"], "99999/v1' is no URL (Failed to parse"),
        (["toy-one", *LLM, "--timeout", "inf"], "--timeout inf: give more than 0, and not endlessly many"),
        (["toy-one", *LLM, "--template", "latin.txt"], "--template 'latin.txt' is no UTF-8 text"),
        (["--import", "latin.txt"], "--import 'latin.txt': the file: Invalid JSON"),
        (["toy-one", *LLM, "--template", "none.txt"], "--template 'none.txt': no such file"),
        (["toy-one", *LLM], "the environment variable OPENAI_API_KEY holds no key"),
        (["--import", "none.json"], "--import 'none.json': no such file"),
        (["toy-one", "--import", "x.json", "--judge", "gold"], "takes no RUN, --judge"),
    ],
)
def test_mistakes_end_with_one_message_and_exit_code_2(stored, monkeypatch, capsys, arguments, says):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    iro = {("iro", 1, "value"): IRO}
    store("other-task", iro, task="imdb")
    store("elsewhere", iro, ids=("q0", "q1", "q2", "q3"))
    store("other-facts", iro, facts={"gold_accuracy": 0.5})
    Path("latin.txt").write_bytes(b"{prompt} {answer_a} {answer_b} \xe9")
    assert judge(*arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and says in said
    assert "Traceback" not in said and not (stored / "results" / "judgements").exists()


@pytest.fixture
def llama(tmp_path) -> Iterator[str]:
    with llama_server(tmp_path) as url:
        yield url


@pytest.mark.slow
def test_a_real_server_judges_and_is_asked_nothing_twice(llama, tmp_path, monkeypatch, capsys):
    """SmolLM2 as a judge is no judge: what counts is that its words are read, or counted where they cannot be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    good = "The film is a delight from its first scene to its last."
    rows = {("base", 0, "first"): ([0.0, 0.0], ["bad bad", "worse"]), ("iro", 1, "value"): ([1.0, 1.0], [good, good])}
    store("run", rows, ids=("p0", "p1"))
    Path("short.txt").write_text("A: {answer_a}\nB: {answer_b}\nWhich text for '{prompt}' is better? Say only A or B.")
    command = ["run", "--judge", "llm", "--model", "smollm2", "--endpoint", llama, "--template", "short.txt"]
    command += ["--request", "max_tokens=64", "--request", "seed=1", "--parallel", "2", "--timeout", "900"]
    assert judge(*command) == 0
    folder = judgement(tmp_path, "run-base-llm")
    annotations = pl.read_parquet(folder / "annotations.parquet")
    assert annotations["judge_tokens"].is_between(2, 128).all() and (annotations["judge_prompt_tokens"] > 40).all()
    assert (annotations["reply_ours_first"].str.len_chars() > 0).all()
    [row] = table(folder)
    assert row["pairs"] == 2 == row["win_rate_n"] + row["unparsable"]
    assert "4 answers of" in capsys.readouterr().out
    shutil.rmtree(folder)  # the answers are kept: judged anew without a server
    asked = []
    monkeypatch.setattr(Client, "ask", lambda *_, **__: asked.append(1))
    assert judge(*command) == 0
    assert pl.read_parquet(folder / "annotations.parquet").equals(annotations) and not asked


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def undrawn(monkeypatch) -> None:
    monkeypatch.setattr(judging.files, "save", lambda *_: [])


def test_of_two_equal_commands_at_once_one_judges_and_the_other_finds_it_done(stored, capsys, monkeypatch, undrawn):
    """Both judged, and the slower replaced the folder under who was reading it."""
    assert judge("toy-one", "--method", "iro") == 0
    alone = state(judgement(stored, "toy-one-base-gold"))
    shutil.rmtree(stored / "results" / "judgements")
    capsys.readouterr()
    found = twins(lambda: judge("toy-one", "--method", "iro"), judging, "_write", monkeypatch)
    assert found.codes == [0, 0] and found.made == 1
    assert len(found.said) == 1 and " is being made by process " in found.said[0]
    assert capsys.readouterr().err.count(" is done") == 1
    assert state(judgement(stored, "toy-one-base-gold")) == alone
    assert [path.name for path in (stored / "results" / "judgements").iterdir() if path.name.startswith(".")] == []


def test_annotations_that_are_imported_twice_at_once_are_one_judgement(stored, monkeypatch, undrawn):
    entry = {"instruction": "q", "output_1": "a", "output_2": "b", "generator_1": "base", "generator_2": "m"}
    (stored / "a.json").write_text(json.dumps([{**entry, "preference": 2}]), encoding="utf-8")
    found = twins(lambda: judge("--import", "a.json"), judging, "_write", monkeypatch)
    assert found.codes == [0, 0] and found.made == 1 and len(found.said) == 1


def test_a_run_of_a_very_long_name_is_judged(stored, undrawn):
    """Somebody else's folder, given by its path; its name leaves a disk no room for more."""
    name = "r" * 250
    (stored / "results" / "runs" / "toy-one").rename(stored / "results" / "runs" / name)
    assert judge(f"results/runs/{name}", "--method", "iro") == 0
    assert len(list((stored / "results" / "judgements").iterdir())) == 1
