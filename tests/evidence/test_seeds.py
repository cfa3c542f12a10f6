"""One table over runs that differ in the seed alone: its numbers on planted runs, the toy's, the stored ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.core.statistics import stats
from harness.evidence.seeds import over_seeds, write_seeds
from harness.evidence.store import Run, load_run
from harness.evidence.table import comparison

ROOT = Path(__file__).parents[2]
SETTINGS = {  # of the planted run
    "evaluate": {"slice": "test"},
    "best_of_n": {"n": 8, "tau": 0.0},
    "iro": {"width": 2, "successors": 4},
}
VALUE, REWARD = ("iro", 1, "value"), ("iro", 1, "reward")


def of_seed(run: Run, seed: int, luck: float = 0.0, drop: int = 0) -> Run:
    """The planted run under another seed: iro's gold is moved by `luck`, the first `drop` prompts are missing."""
    kept = pl.col("prompt_id") >= f"p{drop:02d}"
    lucky = (pl.col("method") == "iro") & (pl.col("metric") == "gold_reward")
    facts = {"model_fingerprint": "toy", "stages": {"fit": 1}}
    config = {**run.about["config"], "seed": seed}
    return replace(
        run,
        folder=run.folder.with_name(f"toy-{seed}"),
        about={**run.about, **facts, "config": config},
        completions=run.completions.filter(kept),
        scores=run.scores.filter(kept).with_columns(pl.col("value") + pl.when(lucky).then(luck).otherwise(0.0)),
    )


def by_row(rows: list) -> dict:
    return {row.key: row for row in rows}


def test_luck_of_a_seed_moves_its_own_column_and_half_of_the_mean(planted):
    alone = by_row(comparison(planted))
    rows = by_row(over_seeds([of_seed(planted, 0), of_seed(planted, 1, luck=0.4)]))
    assert list(rows) == list(alone)
    for name in (VALUE, REWARD):
        one, both = alone[name].against_best_of_n, rows[name]
        assert both.alone["against_best_of_n_seed_0"] == one
        assert both.alone["against_best_of_n_seed_1"].value == pytest.approx(one.value + 0.4)
        assert both.against_best_of_n.value == pytest.approx(one.value + 0.2)
        assert both.gold.value == pytest.approx(alone[name].gold.value + 0.2)
        assert both.against_best_of_n.high - both.against_best_of_n.low > one.high - one.low
        assert (both.gold.n, both.seeds, both.unscored) == (60, [0, 1], 0)
    assert rows["best_of_n", 0, "reward"].against_best_of_n is None
    family = [row for row in rows.values() if row.against_best_of_n]
    assert [row.p_holm for row in family] == stats.holm([row.against_best_of_n.p for row in family])
    base = rows["base", 0, "first"]  # the same in both seeds
    assert base.against_best_of_n.value == pytest.approx(alone["base", 0, "first"].against_best_of_n.value)


def test_only_prompts_that_all_runs_answered_count_and_gold_has_one_unit(planted):
    other = {"gold_reward": {"mean": 5.0, "sd": 2.0}, "proxy_reward": {"mean": 0.0, "sd": 1.0}}
    fewer = of_seed(planted, 1, drop=20)
    fewer = replace(fewer, about={**fewer.about, "units": other})
    rows = by_row(over_seeds([of_seed(planted, 0), fewer]))
    gold = planted.scores.filter(pl.col("metric") == "gold_reward", pl.col("prompt_id") >= "p20")
    for (method, iteration, pick), row in rows.items():
        mine = gold.filter(method=method, iteration=iteration, final_pick=pick)
        assert (row.gold.value, row.gold.n) == (pytest.approx(mine["value"].mean()), 40)
        if method != "best_of_n":
            assert row.alone["against_best_of_n_seed_0"] == row.alone["against_best_of_n_seed_1"]


def test_answers_without_gold_are_counted_and_left_out(planted):
    lost = (pl.col("prompt_id") == "p00") & (pl.col("method") == "iro") & (pl.col("metric") == "gold_reward")
    run = of_seed(planted, 1)
    scores = run.scores.with_columns(pl.when(lost).then(float("nan")).otherwise(pl.col("value")).alias("value"))
    row = by_row(over_seeds([of_seed(planted, 0), replace(run, scores=scores)]))[VALUE]
    assert (row.unscored, row.gold.n, row.alone["against_best_of_n_seed_1"].n) == (1, 60, 59)
    assert np.isfinite(row.against_best_of_n.value)


def test_the_order_of_the_runs_does_not_matter(planted, tmp_path):
    runs = [of_seed(planted, seed, luck) for seed, luck in ((3, 0.1), (0, 0.0), (7, 0.4))]
    paths = [write_seeds(order, tmp_path) for order in (runs, runs[::-1])]
    assert paths[0] == paths[1]
    table = pl.read_parquet(paths[0].with_name("table.parquet"))
    assert table["seeds"].to_list() == [[0, 3, 7]] * len(table)
    text = paths[0].read_text()
    assert "| gold - best-of-n, seed 7 |" in text and "| 60 | 3 |" in text and "Few seeds stay few" in text


@pytest.mark.parametrize(
    "change, says",
    [
        ({"model": "other"}, "model is toy in the first and other in the second"),
        ({"settings": {"evaluate": {"slice": "development"}}}, "evaluate.slice is test in the first and development"),
        (
            {"settings": {**SETTINGS, "cards": {"beta": 2}}},
            "cards.beta is not recorded in the first and 2",
        ),
    ],
)
def test_the_first_setting_that_differs_is_named_with_both_values(planted, tmp_path, change, says):
    run = of_seed(planted, 1)
    run = replace(run, about={**run.about, "config": {**run.about["config"], **change}})
    with pytest.raises(UserError, match=says):
        write_seeds([of_seed(planted, 0), run], tmp_path)


def test_two_runs_of_one_seed_are_refused(planted, tmp_path):
    again = of_seed(planted, 0)
    with pytest.raises(UserError, match="toy-0 and toy-0-fresh1 both have seed 0"):
        write_seeds([again, replace(again, folder=again.folder.with_name("toy-0-fresh1"))], tmp_path)


def test_other_weights_rewards_or_code_are_no_seed(planted, tmp_path):
    first, run = of_seed(planted, 0), of_seed(planted, 1)
    for name, value, says in (
        ("model_fingerprint", "else", "model_fingerprint is toy in the first and else"),
        ("task_facts", {"gold_reviews": 7}, "task_facts.gold_reviews is not recorded in the first and 7"),
        ("stages", {"fit": 2}, "stages.fit is 1 in the first and 2"),
    ):
        with pytest.raises(UserError, match=says):
            write_seeds([first, replace(run, about={**run.about, name: value})], tmp_path)
    write_seeds([first, replace(run, about={**run.about, "stages": {"fit": 1, "later": 1}})], tmp_path)


TOY = ["run", "--task", "toy", "--method", "iro", "--set", "fit.prompts=20", "--set", "iro.iterations=2"]


@pytest.mark.slow
def test_reporting_two_seeds_of_the_toy_and_every_mistake(place, capsys, unrendered):
    assert cli.main([*TOY, "--limit", "16", "--workers", "1"]) == 0
    (zero,) = (path.name for path in (place / "results" / "runs").iterdir())
    assert cli.main([*TOY, "--limit", "12", "--seed", "1", "--workers", "1"]) == 0
    (one,) = (path.name for path in (place / "results" / "runs").iterdir() if path.name != zero)
    capsys.readouterr()

    def report(*names: str) -> tuple[int, str, str]:
        code, said = cli.main(["report", *names, "--full"]), capsys.readouterr()
        return code, said.out, said.err

    code, text, _ = report(one, zero[:-2])
    assert code == 0 and "the 12 test prompts that all of 2 runs answered" in text and "| 12 | 2 |" in text
    (folder,) = (place / "results" / "seeds").iterdir()
    assert (folder / "report.md").read_text() == text[:-1] and folder.name in text
    row = pl.read_parquet(folder / "table.parquet").filter(method="iro", iteration=2, final_pick="value")
    stored = [load_run(place / "results" / "runs" / name) for name in (zero, one)]
    common = pl.col("prompt_id").is_in(stored[1].completions["prompt_id"].unique().to_list())
    golds, added = [], []
    for run in stored:
        gold = run.scores.filter(common, metric="gold_reward")
        best = gold.filter(method="best_of_n")["value"].mean()
        first, second = (gold.filter(method="iro", iteration=i, final_pick="value")["value"].mean() for i in (1, 2))
        golds.append(second - best)
        added.append(second - first)
    sd = stored[0].about["units"]["gold_reward"]["sd"]
    assert row["against_best_of_n_seed_0"].item() == pytest.approx(golds[0] / sd)
    assert row["against_best_of_n_seed_1"].item() == pytest.approx(golds[1] / sd)
    assert row["against_best_of_n"].item() == pytest.approx(sum(golds) / 2 / sd)
    assert row["against_first"].item() == pytest.approx(sum(added) / 2 / sd)

    for names, says in (
        ((zero, zero), f"run {zero} is given twice"),
        ((zero, one, "--html"), "--html shows one run, and 2 are given"),
        ((zero, "toy-nothing"), "no run 'toy-nothing'"),
    ):
        code, _, error = report(*names)
        assert code == 2 and says in error and "Traceback" not in error
    (place / "results" / "runs" / one / "manifest.json").unlink()  # as of a version that listed nothing
    for name in ("completions", "scores"):
        path = place / "results" / "runs" / one / f"{name}.parquet"
        pl.read_parquet(path).with_columns(prompt_id=pl.lit("x") + pl.col("prompt_id")).write_parquet(path)
    code, _, error = report(zero, one)
    assert code == 2 and f"{zero} (16), {one} (12) share no prompts" in error
