"""A run with --refits: the first fit is the run's own, the others have other luck, and the table shows the spread."""

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.evidence.store import load_run
from harness.evidence.table import comparison

pytestmark = pytest.mark.slow  # whole runs

RUN = ["run", "--task", "toy", "--method", "iro,controlled_decoding", "--limit", "12", "--set", "fit.prompts=20",
       "--set", "iro.iterations=3", "--set", "iro.value.epochs=2", "--workers", "1"]  # fmt: skip


def runs_of(place, out):
    (folder,) = (place / out / "runs").iterdir()
    return load_run(folder)


@pytest.fixture
def once_and_thrice(place, unrendered):
    assert cli.main([*RUN, "--out", "once"]) == 0
    assert cli.main([*RUN, "--out", "thrice", "--refits", "3"]) == 0
    thrice = runs_of(place, "thrice")
    return runs_of(place, "once"), thrice, (thrice.folder / "report.md").read_text(encoding="utf-8")


def test_refits_add_to_a_run_and_change_nothing_of_it(once_and_thrice):
    once, thrice, shown = once_and_thrice
    assert once.id != thrice.id and once.refits is None
    for table in ("completions", "scores", "fits", "pool", "values"):
        one, other = (getattr(run, table).drop("run_id") for run in (once, thrice))
        assert one.equals(other), table
    columns = ["method", "iteration", "final_pick", "refit", "prompt_id"]
    assert thrice.refits.select(columns).is_unique().all() and set(thrice.refits["refit"]) == {1, 2}
    assert set(thrice.refits["method"]) == {"iro", "controlled_decoding"}
    first, second = (thrice.refits.filter(method="iro", iteration=3, refit=k)["response"].to_list() for k in (1, 2))
    own = thrice.completions.filter(method="iro", iteration=3)["response"].to_list()
    assert len({tuple(texts) for texts in (own, first, second)}) == 3
    for a, b in zip(comparison(once), comparison(thrice), strict=True):
        assert (a.costs.fit_policy_tokens, str(a.gold)) == (
            b.costs.fit_policy_tokens,
            str(b.gold),
        )  # refits are not its cost
    assert "| gold over refits |" in shown and " ± " in shown


def test_the_spread_is_that_of_the_refits(once_and_thrice):
    _, thrice, _ = once_and_thrice
    rows = {row.key: row for row in comparison(thrice)}
    assert {key.method for key, row in rows.items() if row.over_refits is None} == {"base", "base_greedy", "best_of_n"}
    for key, row in rows.items():
        if (of := row.over_refits) is None:
            continue
        raw = (
            thrice.refits.filter(**key._asdict())
            .group_by("refit", maintain_order=True)
            .agg(pl.col("gold_reward").mean())
        )
        alone = thrice.record.standardised("gold_reward", raw["gold_reward"].to_numpy())
        assert of.gold_of_refits == pytest.approx([row.gold.value, *alone])
        assert of.gold_over_refits.value == pytest.approx(np.mean(of.gold_of_refits)) and of.refits == 3
        assert of.sd_of_refits == pytest.approx(np.std(of.gold_of_refits, ddof=1))
        assert (of.against_previous_over_refits is None) == (key.iteration == 1)
        assert (of.against_first_over_refits is None) == (key.iteration < 3)


def test_more_refits_take_up_those_that_are_there(place, unrendered, capsys):
    short = [*RUN, "--set", "iro.iterations=1", "--method", "iro"]
    assert cli.main([*short, "--refits", "2", "--out", "two"]) == 0
    assert cli.main([*short, "--refits", "3", "--out", "three"]) == 0
    capsys.readouterr()
    two, three = runs_of(place, "two").refits, runs_of(place, "three").refits
    assert two.drop("run_id").equals(three.filter(pl.col("refit") == 1).drop("run_id"))


@pytest.mark.parametrize("given", [["--refits", "0"], ["--set", "fit.refits=0"]])
def test_no_refit_is_refused(place, capsys, given):
    assert cli.main([*RUN, *given]) == 2
    assert "setting fit.refits = 0: input should be greater than or equal to 1" in capsys.readouterr().err
