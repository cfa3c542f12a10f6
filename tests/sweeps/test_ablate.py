"""Ablations on the toy: every value is a stored run, fits are shared, and what is written follows from the runs."""

import shutil

import polars as pl
import pytest

from harness import cli
from harness.evidence.store import load_run
from harness.sweeps import ablate as ablating
from tests.core.models.tokenizers_made_here import word_level
from tests.core.values.test_lm import folder_with
from tests.twins import twins

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unrendered")]

TOY = ["--task", "toy", "--limit", "16", "--set", "fit.prompts=20", "--set", "iro.iterations=2", "--workers", "1"]


def ablate(*extra: str, axis: str = "width") -> int:
    return cli.main(["ablate", "--axis", axis, *TOY, *extra])


def report_of(place) -> str:
    (path,) = (place / "results" / "ablations").glob("*/report.md")
    return path.read_text(encoding="utf-8")


def written(place):
    (folder,) = (place / "results" / "ablations").iterdir()
    return folder, pl.read_parquet(folder / "table.parquet")


def test_each_width_is_a_run_and_all_share_one_fit(place, capsys):
    assert ablate("--values", "1,4,9") == 0
    screen, report = capsys.readouterr().out, report_of(place)
    assert "rows per prompt, U: IRO, 16 prompts" in screen and "| iro" not in screen
    needs = report.split("## What a search needs")[1]
    assert "| iro (iteration 2) | value | best-of-9 | " in needs
    folder, table = written(place)
    drawn = {f"{what}_by_width.{kind}" for what in ("gold", "win_rate") for kind in ("png", "svg", "pdf")}
    assert {p.name for p in folder.iterdir()} == {"about.json", "report.md", "table.parquet", "table.sha256"} | drawn
    runs = {
        int(row["value"]): load_run(place / "results" / "runs" / row["run_id"]) for row in table.iter_rows(named=True)
    }
    assert sorted(runs) == [1, 4, 9]
    fits = [run.fits.drop("run_id") for run in runs.values()]
    assert len(fits[0]) > 0
    assert fits[0].equals(fits[1]) and fits[1].equals(fits[2])
    widest = table.filter((pl.col("method") == "best_of_n") & (pl.col("value") == "9"))
    assert widest["against_widest"].to_list() == [pytest.approx(0, abs=1e-6)]
    assert table.filter(pl.col("method") != "iro")["value"].unique().to_list() == ["9"]  # base and best-of-n run once
    equal = table.filter((pl.col("method") == "iro") & (pl.col("value") == "9"))
    assert equal["against_best_of_n"].to_list() == equal["against_widest"].to_list()
    assert ablate("--values", "1,4,9") == 0
    assert capsys.readouterr().out == screen and report_of(place) == report  # again: from the stored runs
    for path in folder.glob("*.*"):
        if path.name != "about.json":
            path.unlink()
    assert cli.main(["report", folder.name]) == 0
    assert capsys.readouterr().out == screen and {p.name for p in folder.iterdir()} > drawn
    assert cli.main(["report", "toy-width", "--full"]) == 0
    assert capsys.readouterr().out == report + "\n"
    shutil.copytree(folder, folder.with_name("toy-width-another"))
    assert cli.main(["report", "toy-wid"]) == 2
    both = ", ".join(sorted(["toy-width-another", folder.name]))
    assert f"several ablations 'toy-wid' in results/ablations. There: {both}" in capsys.readouterr().err
    for damaged, said in {
        '{"axes": []}': "axes: list should have at least 1 item",
        '{"axes": [{}], "reference": [4], "runs": []}': "axes.0.name: field required",
        '{"axes": 3, "reference": [4], "runs": null}': "axes: input should be a valid list",
    }.items():
        (folder / "about.json").write_text(damaged)
        assert cli.main(["report", folder.name]) == 2
        assert f"about.json: {said}" in capsys.readouterr().err


def test_an_axis_of_budgets_compares_at_the_rows_that_were_taken(place, capsys):
    """IRO on as many rows as the axis says, ARGS on none: beside all of the pool, with its cost, and no search."""
    (place / "methods.yaml").write_text("method: iro,args\n", encoding="utf-8")
    assert ablate("--values", "1,4", "--config", str(place / "methods.yaml"), "--set", "iro.iterations=1") == 0
    report = report_of(place)
    table, needs = report.split("## What a search needs")
    lines = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    column = {name: i for i, name in enumerate(lines[0])}
    beside = {(line[1], line[0][2:]): line[column["set beside"]] for line in lines[1:]}
    assert beside["iro (iteration 1)", "1"] == "best-of-1" and beside["iro (iteration 1)", "4"] == "best-of-4"
    assert beside["args", "4"] == "best-of-4" and beside["base", "4"] == "best-of-4"
    costs = {line[1]: line[column["cost over its (rows not equal)"]] for line in lines[1:]}
    assert costs["args"].endswith("% of tokens") and costs["iro (iteration 1)"] == ""
    assert "| iro (iteration 1) |" in needs and "args" not in needs


def test_values_are_compared_with_the_default_on_the_same_prompts(place, capsys):
    assert ablate("--values", "rows,all,reweight", axis="keep") == 0
    report = report_of(place)
    assert "gold - same at rows" in report
    shown = [line.split(" | ") for line in report.splitlines() if line.startswith("| ")][1:]
    assert [line[1] for line in shown].count("base") == 1  # not once a value
    assert {line[8] for line in shown if line[1] == "iro (iteration 1)" and line[0] != "| rows"} == {"the same answers"}
    folder, table = written(place)
    assert (folder / "gold_by_keep.png").stat().st_size > 5000
    iro = table.filter(pl.col("method") == "iro")
    assert iro.filter(pl.col("value") == "rows")["against_reference"].is_null().all()
    first = iro.filter((pl.col("iteration") == 1) & (pl.col("value") != "rows"))
    assert first["against_reference"].to_list() == [0.0] * len(first)  # what is kept counts from iteration 2 on
    assert first["p_holm_reference"].is_null().all()  # ... and equal answers are no comparison that Holm counts
    again = load_run(place / "results" / "runs" / first["run_id"][0]).ledger
    mine = again.filter((pl.col("method") == "iro") & (pl.col("iteration") == 1))
    assert not mine["computed"].any()  # ... and was made once for all values


def test_two_axes_make_every_pair_and_a_heat_map(place, capsys):
    assert ablate("--values", "1,2;0.5,1.0,2.0", axis="chunk,beta") == 0
    folder, table = written(place)
    assert table["point"].n_unique() == 6 and table["run_id"].n_unique() == 6
    assert (folder / "gold_by_chunk_beta.png").stat().st_size > 5000
    assert "1 x 0.5" in capsys.readouterr().out


def test_an_axis_that_is_a_column_needs_one_run(place, capsys):
    assert ablate(axis="iteration") == 0
    assert ablate(axis="final_pick") == 0
    assert len(list((place / "results" / "runs").iterdir())) == 1
    tables = {
        p.name.split("-")[1]: pl.read_parquet(p / "table.parquet") for p in (place / "results" / "ablations").iterdir()
    }
    assert set(tables["iteration"]["value"]) == {"1", "2"}
    assert {"value", "reward"} <= set(tables["final_pick"]["value"])
    by_proxy = tables["final_pick"].filter(pl.col("value") == "reward")
    (run,) = (place / "results" / "runs").iterdir()
    scores = load_run(run).scores.filter(pl.col("metric") == "gold_reward", pl.col("method") == "iro")
    unit = load_run(run).about["units"]["gold_reward"]["sd"]
    for row in by_proxy.iter_rows(named=True):  # paired with the value's pick of the same iteration
        gold = scores.filter(pl.col("iteration") == row["iteration"]).group_by("final_pick").agg(pl.col("value").mean())
        mean = dict(gold.select("final_pick", "value").rows())
        assert row["against_reference"] == pytest.approx((mean["reward"] - mean["value"]) / unit)
    second = tables["iteration"].filter(pl.col("value") == "2")["against_reference"]
    assert second.is_not_null().all() and "vs value" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--axis", "strength"], "axis strength varies controlled_decoding; the methods of this run are"),
        (["--axis", "width,chunk"], "give one axis, or two of which none is width"),
        (["--axis", "chunk,beta", "--values", "1,2"], "2 axes need as many lists, parted by a semicolon"),
        (["--axis", "final_pick", "--values", "reward"], "leave --values out"),
        (["--axis", "reward_quality"], "task 'toy' has no setting proxy_reviews"),
        (["--values", "4,8"], "--values 8: the axis width takes squares"),
        (["--values", "4,wide"], "--values 'wide'"),
        (["--axis", "depth"], "axis 'depth'"),
        (["--axis", "strength"], "Name it, as --method controlled_decoding"),
        (["--axis", "keep,keep", "--values", "all;rows"], "--axis keep,keep names an axis twice"),
        (["--axis", "keep", "--values", "rows,"], "--values 'rows,': '' is no value; give values by comma"),
        (["--axis", "keep", "--values", "{all: rows}"], "--values '{all: rows}': '{all: rows}' is no value"),
        (["--axis", "layer", "--values", "[0,1]"], "--values '[0,1]': '[0' is no YAML"),
    ],
)
def test_mistakes_are_named(place, capsys, arguments, says):
    assert ablate(*arguments) == 2
    assert says in capsys.readouterr().err


def test_kinds_of_values_stand_side_by_side_with_what_they_know_and_cost(place, tmp_path):
    """Values of the text, and with a model of their own, beside those on the policy's states: one section more."""
    model = folder_with(word_level(), tmp_path / "lm")
    own = ["--set", f"iro.value.lm.model={model}", "--set", "iro.value.lm.blocks=2"]
    assert ablate(*own, axis="value_kind") == 0
    section = report_of(place).split("## What the values know and cost")[1]
    rows = {tuple(line.strip("| ").split(" | ")[:3]) for line in section.splitlines() if line.startswith("| ")}
    kinds = {(value, what.split(",")[0].rstrip("01 ")) for value, _, what in rows if value != "value"}
    assert kinds == {("hidden", "layer"), ("text", "the text"), ("lm", "2 blocks of its own")}
    tokens = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")]
    column = tokens[0].index("value tokens an answer")
    read = {line[0].strip("| "): float(line[column]) for line in tokens[1:]}
    assert read["hidden"] == read["text"] == 0 < read["lm"]


def test_an_ablation_of_one_kind_of_values_has_no_such_section(place):
    assert ablate("--values", "1,4", "--set", "iro.iterations=1") == 0
    assert "## What the values know" not in report_of(place)


def test_two_equal_ablations_at_once_are_one(place, monkeypatch):
    assert ablate("--values", "1,4") == 0
    folder, _ = written(place)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    found = twins(lambda: ablate("--values", "1,4"), ablating, "write_ablation", monkeypatch)
    assert found.codes == [0, 0] and len(found.said) == 1
    assert "the ablation toy-width-" in found.said[0]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
