"""Two systems on the same prompts, from the files that other harnesses really wrote, and every way to get that wrong.

samples_sums_*.jsonl: lm-eval 0.4.13, four documents, the last two alike, two filters. sums.json, sums.eval: inspect,
three samples in two epochs, a scorer with letters and one with parts.
"""

import json
import shutil
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.comparing.compare import compare
from harness.comparing.files import read_file
from harness.comparing.records import TEXT, Record, Records
from harness.core.errors import UserError
from harness.core.statistics import stats
from tests.judging import test_judge as planted

FILES = Path(__file__).parent / "files"
ONE, TWO = (str(FILES / f"samples_sums_{name}.jsonl") for name in ("one", "two"))
LOG, ARCHIVE = FILES / "sums.json", FILES / "sums.eval"


def records(scores: dict[str, float], source: str = "a", **options) -> Records:
    return Records(source, "rows", [Record("line", {TEXT: name}, {"acc": x}) for name, x in scores.items()], **options)


def compared(capsys, *arguments: str) -> dict:
    assert cli.main(["compare", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments: str) -> str:
    assert cli.main(["compare", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "Traceback" not in said
    return said


def test_the_difference_is_that_of_the_statistics_on_the_pairs():
    a = {f"p{i}": float(i % 3) for i in range(40)}
    b = {f"p{i}": float(i % 2) for i in range(40)}
    found = compare(records(a), records(dict(reversed(b.items())), "b"))
    x, y = np.array(list(a.values())), np.array(list(b.values()))
    assert found.difference == stats.difference(x, y) and found.wins == stats.win_rate(x, y)
    assert (found.won, found.lost, found.pairs) == (int((x > y).sum()), int((x < y).sum()), 40)
    assert found.detectable == stats.detectable_difference(float((x - y).std(ddof=1)), 40)
    back = compare(records(b), records(a, "b"))
    assert back.difference.value == -found.difference.value and (back.won, back.lost) == (found.lost, found.won)


def test_missing_prompts_and_scores_that_are_no_numbers_are_counted_by_name():
    a = records({"p0": 1.0, "p1": 0.0, "p2": nan, "p3": float("inf"), "p4": 1.0, "only a": 1.0})
    b = records({"p0": 0.0, "p1": 0.0, "p2": 1.0, "p3": 1.0, "p4": nan, "only b": 1.0}, "b")
    found = compare(a, b)
    assert found.pairs == 2 and found.difference.value == 0.5
    assert dict(found.a.unscored) == {"NaN": 1, "infinite": 1} and dict(found.b.unscored) == {"NaN": 1}
    assert list(found.a.alone) == ["only a"] and list(found.b.alone) == ["only b"]


def test_a_prompt_that_stands_twice_is_refused_by_name():
    twice = Records("a", "rows", [Record("x", {TEXT: "same"}, {"acc": x}) for x in (0.0, 1.0)])
    with pytest.raises(UserError, match=r"a has 1 prompts more than once .* 'same' 2 times; keep one"):
        compare(twice, records({"same": 1.0}, "b"))


def test_files_without_a_common_prompt_or_a_common_way_to_name_it_are_refused():
    with pytest.raises(UserError, match=r"share no prompt \(by prompt text: 'x' in the one, 'y' in the other\)"):
        compare(records({"x": 1.0}), records({"y": 1.0}, "b"))
    by_id = Records("b", "rows", [Record("line", {"prompt id": "x"}, {"acc": 1.0})])
    with pytest.raises(UserError, match=r"names prompts by prompt text, b by prompt id: they cannot be paired"):
        compare(records({"x": 1.0}), by_id)


def test_prompts_with_one_id_and_another_text_are_refused():
    def of(text: str, source: str) -> Records:
        return Records(source, "rows", [Record("line", {"prompt id": "1", TEXT: text}, {"acc": 1.0})])

    with pytest.raises(UserError, match=r"same prompt id but another text, e.g. '1'"):
        compare(of("one", "a"), of("two", "b"))


def test_lm_evals_samples_are_paired_by_document_under_one_filter(capsys):
    found = compared(capsys, ONE, TWO, "--filter", "strict-match")
    assert (found["pairs"], found["difference"]["value"], found["paired_by"]) == (4, -0.25, "doc_hash")
    assert found["a"]["mean"]["value"] == 0.5 and found["b"]["mean"]["value"] == 0.75
    assert compared(capsys, ONE, TWO, "--filter", "flexible-extract")["difference"]["value"] == 0.0
    assert "under each of the filters strict-match, flexible-extract" in refused(capsys, ONE, TWO)
    assert "has no filter 'loose'; there: strict-match" in refused(capsys, ONE, TWO, "--filter", "loose")


def test_documents_in_another_order_under_other_numbers_are_still_the_same(capsys, tmp_path):
    lines = [json.loads(line) for line in Path(ONE).read_text().splitlines() if '"strict-match"' in line]
    swapped = [{**line, "doc_id": 10 - line["doc_id"]} for line in lines]
    (tmp_path / "samples_other.jsonl").write_text("".join(json.dumps(line) + "\n" for line in swapped[::-1]))
    found = compared(capsys, ONE, str(tmp_path / "samples_other.jsonl"), "--filter", "strict-match")
    assert found["pairs"] == 4 and found["difference"]["value"] == 0.0


def test_samples_that_were_written_twice_are_refused(capsys, tmp_path):
    (tmp_path / "twice.jsonl").write_text(Path(ONE).read_text() * 2)  # lm-eval appends to a file that is there
    assert "more than once (by doc_hash)" in refused(
        capsys, str(tmp_path / "twice.jsonl"), TWO, "--filter", "strict-match"
    )


def test_both_forms_of_inspects_logs_are_read(capsys):
    plain, packed = read_file(LOG), read_file(ARCHIVE)
    assert plain.metrics == packed.metrics == ["match", "two.len", "two.a"]
    assert [r.names["sample id"] for r in packed.records] == ["s1", "s2", "s3"]
    assert [r.scores["match"] for r in plain.records] == [1.0, 0.5, 0.5]
    assert [r.scores["match"] for r in packed.records] == [0.5, 0.5, 1.0]
    assert plain.records[2].names[TEXT] == "system: be brief\nuser: 5+5="
    found = compared(capsys, str(LOG), str(ARCHIVE), "--metric", "match")
    assert (
        found["pairs"] == 3 and found["difference"]["value"] == 0.0 and found["a"]["notes"] == ["means over 2 epochs"]
    )
    assert "several metrics: match, two.len, two.a; choose one with --metric" in refused(capsys, str(LOG), str(ARCHIVE))


def test_a_log_and_lm_evals_samples_meet_by_the_prompts_text(capsys, tmp_path):
    lines = [line for line in Path(ONE).read_text().splitlines() if '"strict-match"' in line][:3]
    (tmp_path / "s.jsonl").write_text("\n".join(lines))
    found = compared(capsys, str(LOG), str(tmp_path / "s.jsonl"), "--metric", "match", "--metric-b", "exact_match")
    assert (found["pairs"], found["paired_by"]) == (2, "prompt text")  # the third has a system message in the log
    assert found["a"]["alone"] == ["system: be brief\nuser: 5+5="]


def test_a_damaged_or_unfinished_log_is_named(capsys, tmp_path):
    whole = ARCHIVE.read_bytes()
    (tmp_path / "cut.eval").write_bytes(whole[: len(whole) // 2])
    assert "cut.eval is no whole .eval file" in refused(capsys, str(tmp_path / "cut.eval"), str(LOG))
    (tmp_path / "open.eval").write_bytes(whole.replace(b"header.json", b"hexder.json"))
    assert "open.eval did not end: it has no header.json" in refused(capsys, str(tmp_path / "open.eval"), str(LOG))
    spoiled = bytearray(whole)
    spoiled[400:900] = bytes(500)
    (tmp_path / "spoiled.eval").write_bytes(spoiled)
    assert "spoiled.eval" in refused(capsys, str(tmp_path / "spoiled.eval"), str(LOG))


def annotations(path: Path, preferences: list, ours: str = "us", theirs: str = "gpt4") -> str:
    entries = [
        {"instruction": f"q{i}", "output_1": "b", "generator_1": theirs, "output_2": "m", "generator_2": ours,
         "annotator": "weighted_alpaca_eval_gpt4_turbo", "dataset": "helpful_base", "preference": p}
        for i, p in enumerate(preferences)
    ]  # fmt: skip
    path.write_text(json.dumps(entries))
    return str(path)


def test_preferences_of_alpaca_eval_compare_against_one_reference(capsys, tmp_path):
    a = annotations(tmp_path / "a.json", [2.0, 1.75, 1.0, None])
    b = annotations(tmp_path / "b.json", [1.0, 1.25, 1.0, 1.5], ours="others")
    found = compared(capsys, a, b)
    assert found["pairs"] == 3 and found["difference"]["value"] == pytest.approx(0.5)
    assert found["a"]["unscored"] == {"NaN": 1} and found["a"]["notes"] == ["preference for us over gpt4"]
    other = annotations(tmp_path / "c.json", [1.0, 2.0], theirs="gpt3")
    assert "preferences over gpt4, " in refused(capsys, a, other)
    assert "the preference is 3" in refused(capsys, annotations(tmp_path / "d.json", [3]), b)


def test_outputs_without_scores_say_how_to_get_some(capsys, tmp_path):
    rows = [{"instruction": "q", "output": "a", "generator": "us", "dataset": "helpful_base"}]
    (tmp_path / "model_outputs.json").write_text(json.dumps(rows))
    said = refused(capsys, str(tmp_path / "model_outputs.json"), str(LOG), "--metric", "match")
    assert "holds no scores; `harness import model_outputs.json --run RUN --method NAME` grades" in said


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_rows_of_ones_own_are_read_in_every_form(capsys, tmp_path, kind):
    rows = [{"prompt": f"q{i}", "score": float(i), "seed": 3} for i in range(5)]
    path = tmp_path / f"own.{kind}"
    match kind:
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "json":
            path.write_text(json.dumps(rows))
        case "parquet":
            pl.DataFrame(rows).write_parquet(path)
        case "csv":
            path.write_text("prompt,score\n" + "".join(f"q{i},{i}\n" for i in range(5)))
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({"prompt": f"q{i}", "score": 1}) + "\n" for i in range(4)))
    found = compared(capsys, str(path), str(other))
    assert found["pairs"] == 4 and found["difference"]["value"] == 0.5


@pytest.mark.parametrize(
    "content, says",
    [
        ('{"prompt": "x", "score": 1}\n{"prompt"', "line 2 is no JSON"),
        ('{"score": 1}', "line 1 names no prompt: give prompt"),
        ("[1]", "entry 1 is a int"),
        ("", "is empty"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"prompt": "\\u001b[31mx", "score": 1}', "share no prompt"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(capsys, tmp_path, content, says):
    (tmp_path / "bad.jsonl").write_text(content)
    (tmp_path / "good.jsonl").write_text('{"prompt": "q", "score": 1}')
    said = refused(capsys, str(tmp_path / "bad.jsonl"), str(tmp_path / "good.jsonl"))
    assert says in said and "\x1b" not in said


def test_a_file_that_is_not_there_or_of_another_kind_is_named(capsys, tmp_path):
    assert "there is no such file; give a stored run, lm-eval's" in refused(capsys, "nowhere.jsonl", ONE)
    shutil.copy(ONE, tmp_path / "samples.txt")
    assert "samples.txt ends in .txt" in refused(capsys, str(tmp_path / "samples.txt"), ONE)
    (tmp_path / "results.json").write_text('{"results": {}}')
    assert "is one JSON object and no log of inspect" in refused(capsys, str(tmp_path / "results.json"), ONE)


def test_the_screen_fits_and_shows_what_was_left_out(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["compare", ONE, TWO, "--filter", "flexible-extract"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80 and "A - B = +0.000" in shown and "paired by doc_hash" in shown


def test_runs_are_compared_by_a_row_and_only_under_the_same_rewards(capsys, place):
    def store(name: str, golds: list[float], facts: dict) -> None:
        rows = {("base", 0, "first"): ([0.0, 0.0], ["a", "b"]), ("iro", 1, "value"): (golds, ["c", "d"])}
        planted.store(name, rows, ids=("p0", "p1"), facts=facts)

    store("toy-one", [1.0, 2.0], {"reward_versions": {"proxy": 1}})
    store("toy-two", [1.0, 4.0], {"reward_versions": {"proxy": 1}, "ungraded": {"proxy": {}}})
    store("toy-new", [1.0, 4.0], {"reward_versions": {"proxy": 2}})
    found = compared(capsys, "toy-one@iro/1/value", "toy-one@base")
    assert (found["pairs"], found["difference"]["value"], found["a"]["metric"]) == (2, 1.5, "gold_reward")
    assert compared(capsys, "toy-one", "toy-two")["difference"]["value"] == -1.0
    assert compared(capsys, "toy-one", "toy-two", "--metric", "proxy_reward")["difference"]["value"] == 1.0
    assert "such scores do not compare" in refused(capsys, "toy-one", "toy-new")
    assert "has no row 'dpo'; there: base, iro/1/value" in refused(capsys, "toy-one@dpo", "toy-two")
    assert "no run 'nothing'" in refused(capsys, "nothing", "toy-two")


def test_prompts_of_one_customer_count_as_one_where_a_run_says_so():
    """Ten customers of ten prompts that all answer alike are ten differences, and were compared as a hundred."""
    rng = np.random.default_rng(1)
    apart = np.repeat(rng.normal(0.4, 1, 10), 10)
    alone = [Record("line", {TEXT: f"p{i}"}, {"acc": x}) for i, x in enumerate(apart)]
    grouped = [replace(one, cluster=f"c{i // 10}") for i, one in enumerate(alone)]
    zeros = records({f"p{i}": 0.0 for i in range(100)}, "b")
    plain = compare(Records("a", "rows", alone), zeros)
    for found in (compare(Records("a", "rows", grouped), zeros), compare(zeros, Records("a", "rows", grouped))):
        assert found.clusters == 10 and found.pairs == 100 and plain.clusters is None
        ten = stats.difference(apart[::10], np.zeros(10))
        assert sorted(map(abs, (found.difference.low, found.difference.high))) == pytest.approx(
            sorted(map(abs, (ten.low, ten.high)))
        )
        assert found.difference.p == pytest.approx(ten.p)
        assert found.wins.p == stats.win_rate(apart[::10], np.zeros(10)).p
        sd = float(apart[::10].std(ddof=1))
        assert found.detectable == pytest.approx(stats.detectable_difference(sd, 10))
    assert plain.detectable < found.detectable / 2


def test_a_run_with_clusters_brings_them(capsys, place):
    rows = {("base", 0, "first"): ([0.0] * 4, list("abcd")), ("iro", 1, "value"): ([1.0, 2.0, 0.0, 1.0], list("efgh"))}
    planted.store("toy-one", rows, ids=("p0", "p1", "p2", "p3"))
    path = Path("results/runs/toy-one/completions.parquet")
    table = pl.read_parquet(path)
    table.with_columns(pl.col("prompt_id").replace({"p1": "p0", "p3": "p2"}).alias("cluster")).write_parquet(path)
    assert compared(capsys, "toy-one@iro", "toy-one@base")["clusters"] == 2
    assert cli.main(["compare", "toy-one@iro", "toy-one@base"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 prompts in 2 clusters, drawn whole" in said and "sign flips of clusters" in said
    assert "2 clusters (of prompts) are few" in said
