"""--cluster: what is shown with an interval is over clusters drawn whole, everywhere that a run's numbers are shown."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.evidence.clusters import FEW, few, resampled
from harness.evidence.leaderboard import board_of, write_leaderboard
from harness.evidence.page.verdict import others, stored_rows, verdict
from harness.evidence.row import frame
from harness.evidence.seeds import over_seeds
from harness.evidence.store import Run, load_run
from harness.evidence.table import best_of_n_curve, comparison

TOY = ["--model", "toy", "--set", "sampler.max_new_tokens=4", "--set", "sampler.top_k=0", "--workers", "1",
       "--set", "iro.iterations=1", "--grader", "checks.py"]  # fmt: skip


def with_clusters(run: Run, of: dict[str, str]) -> Run:
    labels = [of[name] for name in run.completions["prompt_id"]]
    facts = {**run.about["task_facts"], "cluster": "customer"}
    completions = run.completions.with_columns(pl.Series("cluster", labels))
    return replace(run, completions=completions, about={**run.about, "task_facts": facts})


def numbers(rows) -> dict[str, list]:
    return {name: list(map(repr, values)) for name, values in frame(rows).drop("clusters", strict=False).to_dict(
        as_series=False
    ).items()}  # fmt: skip


def alone(run: Run) -> dict[str, str]:
    return {name: f"customer {name}" for name in run.completions["prompt_id"].unique()}


def in_pairs(run: Run) -> dict[str, str]:
    """Prompts of similar gold together, so that they are alike."""
    gold = run.scores.filter(pl.col("metric") == "gold_reward", pl.col("method") == "base").sort("value")
    return {name: f"customer {i // 6}" for i, name in enumerate(gold["prompt_id"])}


def test_customers_of_one_prompt_change_no_digit_of_the_table_and_the_curve(planted):
    clustered = with_clusters(planted, alone(planted))
    assert numbers(comparison(clustered)) == numbers(comparison(planted))
    assert repr(best_of_n_curve(clustered)) == repr(best_of_n_curve(planted))
    seeds = [replace(run, about={**run.about, "config": {**run.about["config"], "seed": i}})
             for i, run in enumerate([planted, planted])]  # fmt: skip
    assert numbers(over_seeds([with_clusters(run, alone(run)) for run in seeds])) == numbers(over_seeds(seeds))


def test_every_interval_of_the_table_is_another_where_prompts_of_a_customer_are_alike(planted):
    plain, clustered = (frame(comparison(run)) for run in (planted, with_clusters(planted, in_pairs(planted))))
    for name in plain.columns:
        if name.endswith("_low") and plain[name].drop_nulls().drop_nans().len():
            ends = [(of[name.replace("_low", "_high")] - of[name]).to_numpy() for of in (plain, clustered)]
            said = np.isfinite(ends[0]) & (ends[0] > 0)
            assert not said.any() or (ends[0] != ends[1])[said].any(), f"{name} is still over prompts"
    width = [(of["gold_high"] - of["gold_low"])[0] for of in (plain, clustered)]
    assert width[1] > 1.5 * width[0]


def test_few_clusters_are_said_and_many_are_not():
    assert "8 clusters (customer) are few" in few(8, "customer") and few(FEW, "customer") == few(None, "") == ""
    assert (
        resampled(None, "") == "prompts" and resampled(31, "a") == "31 clusters of prompts with the same a, drawn whole"
    )


@pytest.fixture
def files(place, unrendered) -> Path:
    rows = [{"prompt": f"question {i} about topic {i % 2}", "customer": f"c{i // 12}"} for i in range(120)]
    (place / "toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (place / "checks.py").write_text("def f(prompt, response): return response.count('a') - response.count('b')\n")
    return place


@pytest.mark.slow
def test_screen_report_page_and_leaderboard_say_what_was_drawn(files, capsys):
    assert cli.main(["run", "--data", "toy.jsonl", *TOY, "--cluster", "customer"]) == 0
    said = capsys.readouterr()
    screen = " ".join(said.out.split())
    assert "32 test prompts in 10 clusters (customer)" in screen and "10 clusters (customer) are few" in screen
    assert "[95%, clusters drawn whole]" in screen
    assert "clusters: the test prompts have 10 values of customer, 10 of which have fit prompts as well" in said.err
    (folder,) = Path("results/runs").iterdir()
    run = load_run(folder)
    assert run.completions["cluster"].n_unique() == 10 and run.about["task_facts"]["cluster"] == "customer"
    assert "--cluster customer" in (text := (folder / "report.md").read_text(encoding="utf-8"))
    assert "intervals over 10 clusters of prompts with the same customer, drawn whole" in text
    assert "**Mind: 10 clusters (customer) are few" in text and "sign flips, Holm" in text and "McNemar" not in text
    rows = stored_rows(folder)
    assert "32 prompts in 10 clusters" in str(verdict(rows)) and "over 10 clusters" in others(rows)
    board = write_leaderboard(Path("results")).read_text(encoding="utf-8")
    assert "| 32 in 10 clusters |" in board and all(
        entry.row.clusters == 10 for entry in board_of(Path("results")).rows
    )
    assert cli.main(["judge", folder.name, "--opponent", "base"]) == 0
    judged = next(Path("results/judgements").glob("*/report.md")).read_text(encoding="utf-8")
    assert "over 10 clusters of prompts, drawn whole" in judged
    assert cli.main(["run", "--data", "toy.jsonl", *TOY]) == 0
    plain = [load_run(one) for one in Path("results/runs").iterdir() if one != folder]
    assert len(plain) == 1 and "cluster" not in plain[0].completions.columns
    assert plain[0].completions["response"].equals(run.completions["response"])


@pytest.mark.slow
def test_an_alignment_is_judged_over_clusters(files, capsys):
    assert cli.main(["align", "--data", "toy.jsonl", *TOY, "--cluster", "customer", "--out", "aligned"]) in (0, 1)
    said = " ".join(capsys.readouterr().out.split())
    assert "points a prompt on 32 held-out prompts in 10 clusters" in said
    text = Path("aligned/report.md").read_text(encoding="utf-8")
    assert "over 10 clusters of prompts with the same customer, drawn whole" in text
    assert "*10 clusters (customer) are few" in text


@pytest.mark.parametrize(
    "rows, words, says",
    [
        ([{}], ["--cluster", "custmer"], "unknown column for --cluster 'custmer'. Did you mean 'customer'?"),
        ([{"customer": None}], ["--cluster", "customer"], "toy.jsonl, line 121 has no customer, by which --cluster"),
        ([{"customer": ["a"]}], ["--cluster", "customer"], "line 121: customer is a list, and --cluster puts"),
        ([], ["--cluster", "customer", "--until", "0.5", "--limit", "50"], "--until takes prompts as independent"),
    ],
)
def test_what_cannot_be_drawn_together_is_refused_before_any_work(files, capsys, rows, words, says):
    with Path("toy.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"prompt": "one more", **row}) + "\n" for row in rows)
    assert cli.main(["align", "--data", "toy.jsonl", *TOY, "--out", "aligned", *words]) == 2
    assert says in capsys.readouterr().err


def test_clusters_need_a_file(place, capsys):
    assert cli.main(["run", "--task", "toy", "--cluster", "customer"]) == 2
    assert "--cluster is for prompts of a file; give it with --data FILE" in capsys.readouterr().err
