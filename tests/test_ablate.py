"""Ablations on the toy: every value is a stored run, fits are shared, and what is written follows from the runs."""

import polars as pl
import pytest

from harness import cli
from harness.store import load_run

TOY = ["--task", "toy", "--limit", "16", "--set", "fit.prompts=20", "--set", "iro.iterations=2"]


def ablate(*extra: str) -> int:
    return cli.main(["ablate", "--axis", "width", *TOY, *extra])


def test_each_width_is_a_run_and_all_share_one_fit(place, capsys):
    assert ablate("--values", "1,4,9") == 0
    report = capsys.readouterr().out
    assert "Reaching best-of-9" in report and "iteration 2, picked by value" in report
    (folder,) = (place / "results" / "ablations").iterdir()
    figure = {"gold_by_width.png", "gold_by_width.svg"}
    assert {p.name for p in folder.iterdir()} == {"about.json", "report.md", "table.parquet"} | figure
    table = pl.read_parquet(folder / "table.parquet")
    runs = {row["value"]: load_run(place / "results" / "runs" / row["run_id"]) for row in table.iter_rows(named=True)}
    assert sorted(runs) == [1, 4, 9]
    fits = [run.fits.drop("run_id") for run in runs.values()]
    assert len(fits[0]) > 0
    assert fits[0].equals(fits[1]) and fits[1].equals(fits[2])
    widest = table.filter((pl.col("method") == "best_of_n") & (pl.col("value") == 9))
    assert widest["against_widest"].to_list() == [pytest.approx(0, abs=1e-6)]
    assert table.filter(pl.col("method") != "iro")["value"].unique().to_list() == [9]  # base and best-of-n run once
    equal = table.filter((pl.col("method") == "iro") & (pl.col("value") == 9))
    assert equal["against_best_of_n"].to_list() == equal["against_widest"].to_list()
    assert ablate("--values", "1,4,9") == 0
    assert capsys.readouterr().out == report  # again: from the stored runs


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--values", "4,8"], "--values 8: the axis width takes squares"),
        (["--values", "4,wide"], "--values 'wide'"),
        (["--axis", "depth"], "axis 'depth'"),
    ],
)
def test_mistakes_are_named(place, capsys, arguments, says):
    assert ablate(*arguments) == 2
    assert says in capsys.readouterr().err
