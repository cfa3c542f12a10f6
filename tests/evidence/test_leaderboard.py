"""The leaderboard of toy runs: who stands in it, what joins it, and that nobody can edit it or a score unnoticed."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from harness import cli
from harness.core.tuning import Choice
from harness.evidence.leaderboard import board_of
from harness.evidence.store import read_about, write_about
from harness.tasks.toy import Toy

pytestmark = pytest.mark.slow

RESULTS = Path("results")
ALONE = ["--workers", "1"]  # forks take longer than the toy's batches


def run(*extra: str) -> None:
    assert cli.main(["run", "--task", "toy", "--method", "iro", *extra, *ALONE]) == 0


def leaderboard(*extra: str) -> int:
    return cli.main(["leaderboard", *extra])


def newest(but: set[str] = frozenset()) -> str:
    (name,) = {path.name for path in (RESULTS / "runs").iterdir()} - set(but)
    return name


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """What the stages of all runs here leave: nothing on a board depends on which run computed it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def place(place, cache, monkeypatch, unrendered) -> Path:
    """An OUT of its own; the cache is shared, and profiles fit on fewer prompts: a board is of any numbers."""
    monkeypatch.setenv("HARNESS_CACHE", str(cache))
    for name, profile in Toy.profiles.items():
        monkeypatch.setitem(Toy.profiles, name, {**profile, "fit": {**profile["fit"], "prompts": 30}})
    return place


@pytest.fixture
def two(place) -> tuple[str, str]:
    """Two runs with the settings of their profile, 60 and 12 prompts, of seeds 0 and 1."""
    run()
    first = newest()
    run("--limit", "12", "--seed", "1")
    return first, newest({first})


def test_the_run_with_most_prompts_stands_in_the_table_beside_its_other_seed(two, capsys):
    assert leaderboard() == 0
    for name in ("leaderboard.md", "leaderboard.html", "leaderboard.parquet", "leaderboard.png"):
        assert (RESULTS / name).stat().st_size > 500
    board = board_of(RESULTS)
    assert {row.run_id for row in board.rows} == {two[0]} and {row.settings_from for row in board.rows} == {"defaults"}
    assert {(row.run_id, row.reason) for row in board.others} == {
        (two[1], f"another seed of {two[0]}, which stands above")
    }
    assert all([other.seed for other in row.other_seeds] == [1] for row in board.rows)
    keys = [row.row.key for row in board.rows]
    assert len(keys) == len(set(keys)) and ("iro", 3, "value") in keys
    assert {"base", "best_of_n"} < {key.method for key in keys}
    assert all(row.row.gold.n == 60 for row in board.rows)
    assert f"](runs/{two[0]}/report.md)" in capsys.readouterr().out
    assert leaderboard("--check") == 0


def rows_of(page, every: bool) -> list[list[str]]:
    """Method, final pick and gold of the rows that can be seen in the first table."""
    page.get_by_label("every iteration").set_checked(every)
    lines = page.locator("table.sortable").first.locator("tbody tr:visible")
    return [line.split("\t")[:3] for line in lines.all_inner_texts()]


def test_it_has_one_row_a_method_and_pick_the_highest_gold_first(two, opened):
    leaderboard()
    board = board_of(RESULTS)
    keys = [(entry.row.key.method, entry.row.key.final_pick) for entry in board.shown]
    assert len(keys) == len(set(keys)) and {("iro", "value"), ("iro", "reward"), ("base", "first")} <= set(keys)
    assert {entry.row.key.iteration for entry in board.shown if entry.row.key.method == "iro"} == {3}
    for entries in (board.shown, board.rows):
        golds = [entry.row.gold.value for entry in entries]
        assert golds == sorted(golds, reverse=True) and len(entries) > 4
    page = opened((RESULTS / "leaderboard.html").resolve())
    assert [method for method, *_ in rows_of(page, False)] == [entry.row.key.name for entry in board.shown]
    assert len(rows_of(page, True)) == len(board.rows) > len(board.shown)
    again = opened((RESULTS / "leaderboard.html").resolve(), hash="#" + page.url.split("#")[1])
    assert len(again.locator("table.sortable").first.locator("tbody tr:visible").all()) == len(board.rows)


def test_its_page_is_sorted_by_a_click_also_in_a_narrow_window(two, opened):
    leaderboard()
    page = opened((RESULTS / "leaderboard.html").resolve(), width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.get_by_role("button", name="method").first.click()
    names = [method for method, *_ in rows_of(page, True)]
    assert names == sorted(names, key=str.lower) and len(set(names)) > 3
    page.get_by_role("button", name="gold (sd)").first.click()
    golds = [float(gold.split()[0]) for *_, gold in rows_of(page, True)]
    assert golds == sorted(golds, reverse=True)
    address = page.url
    again = opened((RESULTS / "leaderboard.html").resolve(), 400, hash="#" + address.split("#")[1])
    assert rows_of(again, True) == rows_of(page, True)


def test_settings_are_said_in_words_by_which_rows_of_a_method_differ(place):
    run("--limit", "12")
    run("--limit", "12", "--set", "iro.chunk=2")
    leaderboard()
    text = (RESULTS / "leaderboard.md").read_text()
    lines = [line for line in text.splitlines() if "| iro (iteration 3) | value |" in line]
    assert any("| chosen by hand: chunk 2 |" in line for line in lines)
    assert any("| defaults |" in line for line in lines)  # alone in its table, where none differs from it
    assert "* `iro`: defaults, width 2, successors 2, chunk 1, select top, diversity true, iterations 3" in text
    assert "tune:" not in text


def test_the_export_is_a_model_card_that_the_hub_reads_and_the_same_results_as_files(two, tmp_path, capsys):
    folder = tmp_path / "hub"
    assert leaderboard("--export", str(folder)) == 0
    assert capsys.readouterr().out.endswith(f"{folder / 'README.md'}\n")
    assert {path.name for path in folder.iterdir()} == {"README.md", "results.json", "results.parquet"}
    shown = board_of(RESULTS).shown
    card = ModelCard.load(folder / "README.md")
    index = yaml.safe_load((folder / "README.md").read_text().split("---")[1])["model-index"]
    results = json.loads((folder / "results.json").read_text())
    table = pl.read_parquet(folder / "results.parquet")
    assert len(index) == len(results) == len(table) == len(shown)
    for entry, of_index, result, gold in zip(shown, index, results, table["gold"], strict=True):
        metrics = {one["type"]: one["value"] for one in of_index["results"][0]["metrics"]}
        assert abs(metrics["gold_reward"] - entry.row.gold.value) < 1e-6
        assert result["gold"]["value"] == gold == entry.row.gold.value and result["gold"]["n"] == 60
        assert of_index["results"][0]["dataset"]["type"] == "toy" == result["task"]
        assert entry.row.key.name in of_index["name"] and result["method"] == entry.row.key.method
    assert card.data.eval_results[0].metric_type == "gold_reward"  # of the first, which is all that the library reads
    assert len({one["name"] for one in index}) == len(index)
    assert f"| {shown[0].row.key.name} |" in card.text
    assert leaderboard("--export", str(folder)) == 0  # again
    (folder / "notes.txt").write_text("mine")
    assert leaderboard("--export", str(folder)) == 2
    assert "holds other things" in capsys.readouterr().err


def test_settings_chosen_by_hand_and_development_prompts_stand_in_the_second_table(two):
    run("--set", "iro.chunk=2", "--seed", "2")
    by_hand = newest(set(two))
    run("--set", "evaluate.slice=development")
    development = newest({*two, by_hand})
    reasons = {row.run_id: row.reason for row in board_of(RESULTS).others}
    assert reasons[by_hand] == "settings chosen by hand" and reasons[development] == "development prompts"
    assert {row.run_id for row in board_of(RESULTS).rows} == {two[0]}


def test_a_run_joins_by_copying_its_folder(place):
    run()
    assert leaderboard() == 0 and leaderboard("--check") == 0
    run("--profile", "standard", "--limit", "12", "--out", "theirs")
    (theirs,) = Path("theirs/runs").iterdir()
    shutil.copytree(theirs, RESULTS / "runs" / theirs.name)
    assert leaderboard("--check") == 1
    assert leaderboard() == 0 and leaderboard("--check") == 0
    text = (RESULTS / "leaderboard.md").read_text()
    assert "## toy, toy, profile quick" in text and "## toy, toy, profile standard" in text and theirs.name in text


def under_other_rewards(name: str, copy: str, versions: object) -> None:
    """A copy of a stored run whose facts name these versions of rewards."""
    folder = shutil.copytree(RESULTS / "runs" / name, RESULTS / "runs" / copy)
    about = read_about(folder)
    about["task_facts"]["reward_versions"] = versions
    (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")


def test_runs_on_other_versions_of_the_rewards_stand_in_sections_of_their_own(place, capsys):
    """Equal settings scored by other rewards: one would have been listed as the same run twice."""
    run("--limit", "12")
    name = newest()
    under_other_rewards(name, "toy-older", {"proxy": 2, "gold": 9})
    under_other_rewards(name, "toy-newer", {"proxy": 2, "gold": 10})
    board = board_of(RESULTS)
    assert {row.run_id for row in board.rows} == {name, "toy-older", "toy-newer"} and not board.others
    text = leaderboard_text(capsys)
    titles = [line.removeprefix("## toy, toy, profile quick") for line in text.splitlines() if line[:6] == "## toy"]
    assert titles == [", rewards proxy 2, gold 10", ", rewards proxy 2, gold 9", ""]  # 10 is newer than 9


def test_runs_on_reserve_prompts_stand_in_a_section_of_their_own(place, capsys):
    """One row of the best of each method had put 64 test prompts beside 300 others."""
    run("--limit", "12")
    folder = shutil.copytree(RESULTS / "runs" / newest(), RESULTS / "runs" / "toy-reserve")  # of which the toy has none
    about = read_about(folder)
    about["config"]["settings"]["evaluate"]["slice"] = "reserve"
    (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
    text = leaderboard_text(capsys)
    titles = [line.removeprefix("## toy, toy, profile quick") for line in text.splitlines() if line[:6] == "## toy"]
    assert titles == [", reserve prompts", ""]
    assert {(row.slice, row.reason) for row in board_of(RESULTS).rows} == {("reserve", ""), ("test", "")}


def leaderboard_text(capsys) -> str:
    capsys.readouterr()
    assert leaderboard() == 0
    return capsys.readouterr().out


def test_folders_that_hold_no_run_are_named_and_left_out(place, capsys):
    """One foreign folder stopped the whole leaderboard."""
    run("--limit", "12")
    name = newest()
    under_other_rewards(name, "toy-odd", {"gold": "new"})
    (RESULTS / "runs" / "fore|ign").mkdir()
    torn = shutil.copytree(RESULTS / "runs" / name, RESULTS / "runs" / "toy-torn")
    (torn / "scores.parquet").write_bytes((torn / "scores.parquet").read_bytes()[:-1])
    keyless = shutil.copytree(RESULTS / "runs" / name, RESULTS / "runs" / "toy-keyless")
    about = read_about(keyless)
    del about["config"]["settings"]["evaluate"]["prompts"]
    (keyless / "run.json").write_text(json.dumps(about), encoding="utf-8")
    assert leaderboard() == 0
    said = capsys.readouterr().err
    assert "left out: toy-odd: " in said and "task_facts.reward_versions is {'gold': 'new'}" in said
    assert "left out: fore|ign: there is no run.json in it" in said
    assert "left out: toy-torn: " in said and "scores.parquet has " in said and "left out: toy-keyless: " in said
    text = (RESULTS / "leaderboard.md").read_text()
    assert "Left out, since they cannot be read: fore\\|ign, toy-keyless, toy-odd, toy-torn." in text
    assert leaderboard("--check") == 0


def test_rescoring_names_runs_whose_rewards_are_gone(place, capsys):
    run("--limit", "12")
    under_other_rewards(newest(), "toy-older", {"gold": 1})
    capsys.readouterr()
    assert leaderboard("--rescore", "20") == 0
    said = capsys.readouterr().out
    assert "largest difference of 20 golds" in said
    assert "toy, toy: not scored, 1 run of rewards gold 1, and this version has none" in said


def test_an_unfinished_run_is_named_and_not_read(place):
    run()
    name = newest()
    shutil.copytree(RESULTS / "runs" / name, RESULTS / "runs" / "toy-half")
    half = RESULTS / "runs" / "toy-half"
    write_about(half, {**read_about(half), "status": "running"})
    assert leaderboard() == 0
    assert "Not finished, and not read: toy-half." in (RESULTS / "leaderboard.md").read_text()


def edit_text(path: Path) -> None:
    path.write_text(path.read_text().replace("0.", "1.", 1))


def edit_table(path: Path) -> None:
    pl.read_parquet(path).with_columns(pl.col("gold") + 0.01).write_parquet(path)


def edit_figure(path: Path) -> None:
    with Image.open(path) as image:
        image.load()
    image.save(path)  # without the note of what it was drawn from


@pytest.mark.parametrize(
    "name, edit, says",
    [
        ("leaderboard.md", edit_text, "the runs give"),
        ("leaderboard.html", edit_text, "the runs give"),
        ("leaderboard.parquet", edit_table, "column gold is"),
        ("leaderboard.png", edit_figure, "drawn from data None"),
        ("leaderboard.md", Path.unlink, "is missing"),
        ("leaderboard.png", lambda path: path.write_bytes(b"x"), "is damaged"),
        ("leaderboard.parquet", lambda path: path.write_bytes(b"x"), "is damaged"),
    ],
)
def test_a_check_names_the_edited_file(place, capsys, name, edit, says):
    run("--limit", "12")
    leaderboard()
    edit(RESULTS / name)
    capsys.readouterr()
    assert leaderboard("--check") == 1
    said = capsys.readouterr().out
    assert name in said and says in said


def test_a_check_needs_no_figure(place):
    """Figures are drawn on demand; a copy without them is whole."""
    run("--limit", "12")
    leaderboard()
    for kind in ("png", "svg", "pdf"):
        (RESULTS / f"leaderboard.{kind}").unlink()
    assert leaderboard("--check") == 0


def test_rescoring_passes_on_an_untouched_run_and_finds_an_edited_score(place, capsys):
    run("--limit", "12")
    folder = RESULTS / "runs" / newest()
    assert leaderboard("--rescore", "20") == 0
    assert "largest difference of 20 golds" in capsys.readouterr().out
    scores = pl.read_parquet(folder / "scores.parquet")
    one = (pl.col("metric") == "gold_reward") & (pl.col("method") == "base") & (pl.int_range(pl.len()) < 3)
    edited = scores.with_columns(pl.when(one).then(pl.col("value") + 0.5).otherwise(pl.col("value")).alias("value"))
    edited.write_parquet(folder / "scores.parquet")
    (folder / "manifest.json").unlink()  # as of a version that listed nothing
    assert leaderboard("--rescore", "10000") == 1
    assert "0.5 (toy-" in capsys.readouterr().out


def test_tuned_settings_count_until_a_hand_changes_them(place, monkeypatch):
    from harness.methods import METHODS
    from harness.sweeps import tune

    monkeypatch.setattr(METHODS["iro"], "tunables", (Choice("chunk", (1, 4)),))
    monkeypatch.setattr(tune, "best_of", lambda tried: tried[-1])  # whatever the gold says
    assert cli.main(["tune", "--task", "toy", "--tries", "2", "--limit", "12", *ALONE]) == 0
    (folder,) = (RESULTS / "tuning").iterdir()
    file = folder / "chosen.yaml"
    asked = {
        f"tune:{folder.name}": ["--config", str(file), "--limit", "12"],
        "chosen by hand": ["--config", str(file), "--limit", "12", "--set", "iro.width=3"],
        "defaults": ["--task", "toy", "--limit", "12"],
    }
    seen: set[str] = set()
    for source, options in asked.items():
        assert cli.main(["run", *options, *ALONE]) == 0
        name = newest(seen)
        seen.add(name)
        assert read_about(RESULTS / "runs" / name)["settings_from"] == source
    sources = {row.settings_from for row in board_of(RESULTS).rows if row.row.key.method == "iro"}
    assert sources == {f"tune:{folder.name}", "defaults"}
    assert {row.reason for row in board_of(RESULTS).others if row.row.key.method == "iro"} == {
        "settings chosen by hand"
    }
    # the tuning must be there, and have chosen what the run has
    written = file.read_text()
    for content, reason in (
        (written.replace("chunk: 4", "chunk: 2"), "chose other settings for iro"),
        ("", "whose chosen.yaml names none"),
        (None, "not in"),
    ):
        file.unlink() if content is None else file.write_text(content)
        board = board_of(RESULTS)
        assert {row.settings_from for row in board.rows if row.row.key.method == "iro"} == {"defaults"}
        assert any(folder.name in row.reason and reason in row.reason for row in board.others)
    file.write_text(written)
    # another profile was not tuned, and what was given by hand to `tune` was not either
    assert cli.main(["run", "--config", str(file), "--profile", "standard", "--limit", "12", *ALONE]) == 0
    assert read_about(RESULTS / "runs" / newest(seen))["settings_from"] == "chosen by hand"
    assert cli.main(["tune", "--task", "toy", "--tries", "1", "--limit", "12", "--set", "fit.prompts=20", *ALONE]) == 0
    (other,) = set((RESULTS / "tuning").iterdir()) - {folder}
    assert "tuned" not in yaml.safe_load((other / "chosen.yaml").read_text())


def test_a_folder_without_a_finished_run_is_named(place, capsys):
    assert cli.main(["leaderboard", "--out", "elsewhere"]) == 2
    assert "no finished run in elsewhere/runs" in capsys.readouterr().err
