"""Every row is set beside the best-of-n of as many rows as it took: planted runs of several budgets, by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.core.statistics import stats
from harness.evidence.budgets import TooLarge, beside, best_of, budget_of, first_picks, largest, rival
from harness.evidence.report_table import table_markdown
from harness.evidence.seeds import over_seeds
from harness.evidence.store import Run, load_run
from harness.evidence.table import answers_by_row, answers_of, comparison
from tests.conftest import PRICES

RUNS = Path(__file__).parents[2] / "results" / "runs"
POOL = 8  # of the planted run


def with_methods(run: Run, settings: dict[str, dict], tau: float = 0.0, stored: dict | None = None) -> Run:
    """The planted run with iro's answers under other names as well, each moved by a tenth more."""
    completions, scores = [run.completions], [run.scores]
    for i, name in enumerate(settings, 1):
        own = [table.filter(method="iro", final_pick="value") for table in (run.completions, run.scores)]
        own = [table.with_columns(method=pl.lit(name)) for table in own]
        completions.append(own[0])
        scores.append(own[1].with_columns(pl.col("value") + i / 10))
    config = run.about["config"]
    config = {**config, "settings": {**config["settings"], **settings, "best_of_n": {"n": POOL, "tau": tau}}}
    about = {**run.about, "config": config} | ({} if stored is None else {"budgets": stored})
    return replace(run, about=about, completions=pl.concat(completions), scores=pl.concat(scores))


def with_gaps(run: Run) -> Run:
    """The planted run with ties and missing proxies in its pool: p00 has none, p01's first four are equal."""
    missing = (pl.col("prompt_id") == "p00") | ((pl.col("prompt_id") == "p02") & (pl.col("row") < 2))
    tied = (pl.col("prompt_id") == "p01") & (pl.col("row") < 4)
    proxy = pl.when(missing).then(float("nan")).when(tied).then(1.0).otherwise(pl.col("proxy_reward"))
    return replace(run, pool=run.pool.with_columns(proxy.alias("proxy_reward")))


def by_hand(run: Run, n: int) -> np.ndarray:
    """Gold (P,) of the best by proxy among the first n rows: a loop over each prompt's rows, nothing clever."""
    golds = []
    pool = run.pool.filter(part="test")
    for prompt in sorted(pool["prompt_id"].unique()):
        rows = sorted(pool.filter(prompt_id=prompt).to_dicts(), key=lambda row: row["row"])[:n]
        best = rows[0]
        for row in rows[1:]:
            was_nan, is_nan = np.isnan(best["proxy_reward"]), np.isnan(row["proxy_reward"])
            if not is_nan and (was_nan or row["proxy_reward"] > best["proxy_reward"]):
                best = row
        golds.append(best["gold_reward"])
    return np.array(golds)


BLOCK = {"mode": "block", "successors": 4}
CASES = {  # settings of methods -> the n that each is set beside, None: its own best-of-n at other costs
    "searches of 1, 4 and 6 rows": (
        {
            "weak_to_strong": {"width": 1, "successors": 1},
            "controlled_decoding": BLOCK,
            "searcher": {"width": 3, "successors": 2},
        },
        {"weak_to_strong": 1, "controlled_decoding": 4, "searcher": 6, "iro": 8},
    ),
    "no number of rows": (
        {"args": {"weight": 1.0}, "cards": {}, "dpo": {}, "controlled_decoding": {**BLOCK, "mode": "token"}},
        {"args": None, "cards": None, "dpo": None, "controlled_decoding": None, "iro": 8},
    ),
}


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES)
def test_each_comparison_is_the_one_by_hand_from_the_pool(planted, case, tau, gaps):
    settings, expected = CASES[case]
    run = with_methods(with_gaps(planted) if gaps else planted, settings, tau)
    gold = {name: part["gold_reward"].to_numpy() for name, part in answers_by_row(run).items()}
    own, base = gold["best_of_n", 0, "reward"], gold["base", 0, "first"]
    rows = [row for row in comparison(run) if row.key.method in expected]
    assert {row.key.method for row in rows} == set(expected)
    for row in rows:
        n = expected[row.key.method]
        is_own = n is None or (n == POOL and not tau)
        theirs = own if is_own else by_hand(run, n)
        assert row.against_best_of_n == stats.difference(gold[row.key], theirs)
        assert row.win_rate_over_best_of_n == stats.win_rate(gold[row.key], theirs)
        share = stats.gain_ratio(gold[row.key], theirs, base)
        assert repr(row.share_of_best_of_n) == repr(share)  # over best-of-1, which is the base, it is no number
        soft = ", tau 0.3" if n is None and tau else ""
        assert row.beside == f"best-of-{n or POOL}{soft}" and row.budget == n and row.not_compared is None
        assert (row.cost_over_beside is None) == (n is not None)
    tested = [row for row in comparison(run) if row.against_best_of_n is not None]
    assert [row.p_holm for row in tested] == stats.holm([row.against_best_of_n.p for row in tested])


def test_the_pick_among_all_rows_is_what_best_of_n_answered(planted):
    best = planted.scores.filter(method="best_of_n")
    for metric in ("gold_reward", "proxy_reward"):
        own = best.filter(metric=metric).sort("prompt_id")["value"]
        assert first_picks(planted.pool, POOL)[metric].equals(own)


@pytest.mark.slow
def test_a_run_of_several_budgets_is_compared_row_by_row(place, unrendered):
    """The toy: IRO on 4 rows; controlled decoding on 2, on more than the pool, and token by token."""
    command = ["run", "--task", "toy", "--method", "iro,controlled_decoding", "--limit", "20", "--workers", "1"]
    command += ["--set", "fit.prompts=20", "--set", "iro.iterations=1", "--set", "best_of_n.n=4"]
    block = ["--set", "controlled_decoding.mode=block", "--set"]
    found = {}
    for name, more in {
        "few": [*block, "controlled_decoding.successors=2"],
        "token": [],
        "many": [*block, "controlled_decoding.successors=8"],
    }.items():
        before = set((place / "results" / "runs").glob("*"))
        assert cli.main([*command, *more]) == 0
        (folder,) = set((place / "results" / "runs").iterdir()) - before
        found[name] = load_run(folder)
    golds = {name: answers_by_row(run) for name, run in found.items()}
    rows = {name: {row.key.method: row for row in comparison(run)} for name, run in found.items()}
    for of in rows.values():
        assert (of["iro"].beside, of["iro"].budget, of["iro"].cost_over_beside) == ("best-of-4", 4, None)
    few, token, many = (rows[name]["controlled_decoding"] for name in ("few", "token", "many"))
    run, unit = found["few"], found["few"].record.units["gold_reward"]
    gold = golds["few"][few.key]["gold_reward"].to_numpy()
    assert few.against_best_of_n == stats.difference(gold, (by_hand(run, 2) - unit.mean) / unit.sd)
    assert (few.beside, token.beside) == ("best-of-2", "best-of-4") and token.cost_over_beside > 0
    assert many.not_compared == "best-of-4 only; this one took 8" and many.against_best_of_n is None
    own = run.scores.filter(method="best_of_n").sort("prompt_id")  # what it answered is the pick of its pool
    for metric in ("gold_reward", "proxy_reward"):
        assert np.allclose(own.filter(metric=metric)["value"], first_picks(run.pool, 4)[metric], atol=1e-6)
    base = run.scores.filter(method="base", metric="gold_reward").sort("prompt_id")["value"]
    assert np.allclose(base, first_picks(run.pool, 1)["gold_reward"], atol=1e-6)  # the base is best-of-1


@pytest.mark.parametrize("name", ["imdb-050d22a3a2", "imdb-442cf1f6c2"])
def test_the_stored_best_of_n_is_the_pick_of_its_pool(name):
    """Proxies are equal; golds but for the last digits, as pool and answers were scored in other batches."""
    run = load_run(RUNS / name)
    own, picks = run.scores.filter(method="best_of_n").sort("prompt_id"), first_picks(run.pool, largest(run.record))
    assert picks["proxy_reward"].equals(own.filter(metric="proxy_reward")["value"])
    assert np.allclose(picks["gold_reward"], own.filter(metric="gold_reward")["value"], rtol=0, atol=1e-6)


def test_a_search_wider_than_the_pool_has_no_comparison_and_says_why(planted):
    run = with_methods(planted, {"controlled_decoding": {"mode": "block", "successors": 64}})
    row = next(row for row in comparison(run) if row.key.method == "controlled_decoding")
    assert row.against_best_of_n is None and row.win_rate_over_best_of_n is None and row.share_of_best_of_n is None
    assert row.p_holm is None and row.beside is None and row.win_rate_over_base is not None
    assert row.not_compared == "best-of-8 only; this one took 64"
    (line,) = (line for line in table_markdown(comparison(run)).splitlines() if "controlled_decoding" in line)
    assert "| best-of-8 only; this one took 64 |  |" in line


def test_stored_budgets_are_believed_and_others_derived(planted):
    run = with_methods(planted, {"mine": {"width": 9, "successors": 9}, "args": {}}, stored={"mine": 3, "args": None})
    assert [budget_of(run.record, name) for name in ("mine", "args", "base", "best_of_n", "iro", "unknown")] == [
        3, None, 1, 8, 8, None,
    ]  # fmt: skip
    assert beside(run.record, "mine").name == "best-of-3"
    assert beside(run.record, "iro").is_own and not beside(run.record, "mine").is_own
    assert beside(with_methods(planted, {"wide": {"width": 3, "successors": 3}}).record, "wide") == TooLarge(9, 8)


def test_settings_that_are_no_numbers_of_rows_are_named(planted):
    run = with_methods(planted, {"mine": {"width": "2", "successors": 4}})
    with pytest.raises(UserError, match=r"run.json: config.settings.mine.width is '2'"):
        comparison(run)


def test_unequal_rows_show_the_ratio_of_costs(planted):
    run = with_methods(planted, {"args": {}})
    rows = {row.key.method: row for row in comparison(run)}
    assert rows["base"].beside == "best-of-8" and rows["base"].cost_over_beside == pytest.approx(20 / 90)
    assert rows["args"].cost_over_beside == pytest.approx(1.0) and rows["iro"].cost_over_beside is None
    text = table_markdown(comparison(run))
    assert "| best-of-8 | 22% of tokens | " in text and "| best-of-8 | 100% of tokens | " in text
    priced = replace(run, about={**run.about, "flops": PRICES})
    base, best = (next(r for r in comparison(priced) if r.key.method == m) for m in ("base", "best_of_n"))
    assert base.cost_over_beside == base.costs.flops_with_fitting / best.costs.flops_with_fitting
    assert "% of FLOPs | " in table_markdown(comparison(priced))


def test_a_smaller_row_is_set_beside_all_of_the_pool_as_well(planted):
    run = with_methods(planted, {"small": {"width": 2, "successors": 1}})
    rows = {row.key: row for row in comparison(run)}
    gold = answers_by_row(run)["small", 1, "value"]["gold_reward"].to_numpy()
    assert rows["small", 1, "value"].against_largest == stats.difference(gold, by_hand(run, POOL))
    assert rows["iro", 1, "value"].against_largest is None


def test_the_pool_and_the_stored_answers_give_the_same_gold(planted):
    own = answers_of(answers_by_row(planted), "best_of_n")
    of = best_of(planted.record, POOL)
    assert of.is_own
    assert np.array_equal(rival(planted, of, own), rival(planted, replace(of, is_own=False), own))


def test_seeds_are_compared_at_equal_rows_too(planted):
    facts = {"model_fingerprint": "toy", "stages": {}}
    runs = []
    for seed in (0, 1):
        run = with_methods(
            planted,
            {"small": {"width": 2, "successors": 1}, "args": {}, "wide": {"width": 9, "successors": 9}},
        )
        config = {**run.about["config"], "seed": seed}
        about = {**run.about, **facts, "config": config}
        runs.append(replace(run, folder=run.folder.with_name(f"toy-{seed}"), about=about))
    rows = {row.key.method: row for row in over_seeds(runs)}
    gold = answers_by_row(runs[0])["small", 1, "value"]["gold_reward"].to_numpy()
    assert rows["small"].beside == "best-of-2" and rows["small"].cost_over_beside is None
    assert rows["small"].alone["against_best_of_n_seed_1"] == stats.difference(gold, by_hand(runs[0], 2))
    assert rows["args"].beside == "best-of-8" and rows["args"].cost_over_beside == pytest.approx(1.0)
    assert rows["wide"].not_compared == "best-of-8 only; this one took 81" and rows["wide"].against_best_of_n is None
