"""`harness view`: the page over all runs, the site of files, and that neither trips over what lies beside them."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.evidence.page.index import index_page, listed
from harness.evidence.page.site import write_site

pytestmark = pytest.mark.slow

RUNS = Path(__file__).parents[2] / "results" / "runs"
THREE = ("imdb-050d22a3a2", "imdb-442cf1f6c2", "imdb-6a4e3be271")


@pytest.fixture(scope="module")
def out(tmp_path_factory, stored) -> Path:
    """Three stored runs, a toy run, and folders that hold no run to show."""
    place = tmp_path_factory.mktemp("out")
    for name in THREE:
        shutil.copytree(RUNS / name, place / "runs" / name)
    shutil.copytree(stored.folder, place / "runs" / stored.id)
    bad = {
        "foreign": {"readme.txt": "hello"},
        "broken": {"run.json": "{"},
        "list": {"run.json": "[]"},
        "empty": {"run.json": '{"status": "done"}'},
        "half": {"run.json": (RUNS / THREE[1] / "run.json").read_text().replace('"done"', '"running"')},
        "tableless": {"run.json": (RUNS / THREE[1] / "run.json").read_text(), "table.parquet": "x"},
        "<img src=x onerror=window.hacked=1>": {"run.json": "{"},
    }
    for folder, files in bad.items():
        (place / "runs" / folder).mkdir()
        for name, text in files.items():
            (place / "runs" / folder / name).write_text(text)
    texts = shutil.copytree(RUNS / THREE[1], place / "runs" / "texts") / "table.parquet"
    pl.read_parquet(texts).with_columns(gold=pl.lit("<b>high</b>")).write_parquet(texts)
    typed = shutil.copytree(RUNS / THREE[1], place / "runs" / "typed") / "completions.parquet"
    typed.with_name("manifest.json").unlink(missing_ok=True)
    pl.read_parquet(typed).with_columns(n_tokens=pl.lit(None), method=pl.lit(1)).write_parquet(typed)
    odd = place / "runs" / "imdb odd & 'name"
    shutil.copytree(RUNS / THREE[0], odd)
    (place / "runs" / "file").write_text("no folder")
    return place


@pytest.fixture(scope="module")
def index(out) -> Path:
    assert cli.main(["view", "--no-open", "--out", str(out)]) == 0
    return out / "index.html"


def shown(page) -> list[str]:
    return page.locator("#results tbody th").all_inner_texts()


def column(page, name: str) -> list[str]:
    place = page.locator("#results thead th").all_inner_texts().index(name)
    return page.locator(f"#results tbody tr > :nth-child({place + 1})").all_inner_texts()


def test_all_runs_are_listed_and_what_is_none_is_named_with_the_reason(index, stored, opened):
    page = opened(index)
    assert set(shown(page)) == {*THREE, stored.id}
    left = page.locator("#left-out li").all_inner_texts()
    said = {text.split(":")[0]: text for text in left}
    assert set(said) == {
        "foreign",
        "broken",
        "list",
        "empty",
        "half",
        "tableless",
        "texts",
        "typed",
        "<img src=x onerror=window.hacked=1>",
        "imdb odd & 'name",
    }
    assert "no run.json" in said["foreign"] and "is not JSON" in said["broken"] and "not finished" in said["half"]
    assert "has no numbers in gold" in said["texts"] and "it holds other things than a run" in said["typed"]
    assert "not parquet" in said["tableless"] and "a list" in said["list"]
    assert page.evaluate("window.hacked") is None


def test_the_page_of_a_run_is_loaded_only_when_it_is_opened(index, opened):
    page = opened(index)
    assert page.requested == [index.as_uri()]
    page.get_by_role("link", name=THREE[0]).click()
    page.locator("#verdict").wait_for()
    assert "IRO (iteration 3)" in page.locator("#verdict").inner_text()
    page.get_by_role("link", name="All runs").click()
    page.locator("#results").wait_for()
    assert page.url == index.as_uri()


def test_runs_are_filtered_by_task_model_method_and_name(index, stored, opened):
    page = opened(index)
    page.get_by_label("Task").select_option("toy")
    assert shown(page) == [stored.id] and page.locator("#count").inner_text() == "1 of 4 runs"
    page.get_by_label("Task").select_option("all")
    page.get_by_label("Model").select_option("smollm2-135m-instruct")
    assert set(shown(page)) == set(THREE)
    page.get_by_label("Method").select_option("dpo")
    assert shown(page) == [THREE[0]] and column(page, "row") == ["DPO (weights trained)"]
    page.get_by_label("Method").select_option("iro")
    assert column(page, "row")[shown(page).index(THREE[0])] == "IRO (iteration 3), picked by value"
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.keyboard.type("050d")
    assert shown(page) == [THREE[0]]
    page.get_by_label("Search in names").fill("nothing")
    assert "No run is like this." in page.locator("#results").inner_text()


def test_a_run_is_found_by_the_name_that_somebody_gave_it(out, opened, tmp_path):
    place = shutil.copytree(out, tmp_path / "named")
    assert cli.main(["name", THREE[1], "first-try", "--out", str(place)]) == 0
    (place / "names" / "odd.json").write_text("[]")
    assert cli.main(["view", "--no-open", "--out", str(place)]) == 0
    page = opened(place / "index.html")
    page.get_by_label("Search in names").fill("first")
    assert shown(page) == [THREE[1]] and column(page, "name") == ["first-try"]
    assert "names/odd.json" in page.locator("#left-out").inner_text()


def test_a_click_on_a_head_sorts_and_the_address_holds_it(index, opened):
    page = opened(index)
    assert column(page, "date") == sorted(column(page, "date"), reverse=True)  # the newest first
    page.get_by_role("button", name="gold - best-of-n").click()
    gains = [float(text.split()[0]) for text in column(page, "gold - best-of-n")]
    assert gains == sorted(gains, reverse=True) and len(set(gains)) > 2
    page.get_by_role("button", name="gold - best-of-n").click()
    gains = [float(text.split()[0]) for text in column(page, "gold - best-of-n")]
    assert gains == sorted(gains)
    page.get_by_label("Model").select_option("smollm2-135m-instruct")
    again = opened(index, hash="#" + page.url.split("#")[1])
    assert again.locator("#results").inner_text() == page.locator("#results").inner_text()
    assert again.locator("th[aria-sort=ascending]").inner_text() == "gold - best-of-n"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_head_and_first_column_stay_in_a_window_of_400(index, opened, scheme):
    page = opened(index, 400, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    region = page.locator("#results .scroll")
    region.evaluate("(one) => { one.style.maxHeight = '150px'; one.scrollTo(500, 60); }")
    box, head = region.bounding_box(), page.locator("#results thead th").first.bounding_box()
    first = page.locator("#results tbody th").nth(1).bounding_box()
    assert abs(head["y"] - box["y"]) < 3 and abs(head["x"] - box["x"]) < 3 and abs(first["x"] - box["x"]) < 3
    behind = page.locator("#results tbody th").first.evaluate("(one) => getComputedStyle(one).backgroundColor")
    assert behind == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")  # nothing shines through


def test_the_index_of_five_hundred_runs_stays_under_two_megabytes(tmp_path, opened):
    (tmp_path / "runs").mkdir()
    for i in range(500):
        (tmp_path / "runs" / f"imdb-{i:010x}").symlink_to(RUNS / THREE[0])
    listing = listed(tmp_path)
    html = index_page(
        listing, {run.folder.name: f"runs/{run.folder.name}/report.html" for run in listing.runs}, "results"
    )
    assert len(listing.runs) == 500 and len(html.encode()) < 2_000_000
    (tmp_path / "index.html").write_text(html)
    page = opened(tmp_path / "index.html")
    assert len(shown(page)) == 500


def test_a_site_has_every_page_and_needs_nothing_from_the_runs(out, stored, opened, tmp_path, capsys):
    (out / "leaderboard.html").write_text("<h1>Leaderboard</h1>")
    site = tmp_path / "site"
    assert cli.main(["view", "--site", str(site), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(site / "index.html")
    assert {path.name for path in (site / "runs").iterdir()} == {*THREE, stored.id}
    assert (site / "leaderboard.html").is_file()
    moved = site.rename(tmp_path / "moved")
    page = opened(moved / "index.html")
    page.get_by_role("link", name=stored.id).click()
    page.locator("#verdict").wait_for()
    page.get_by_role("link", name="All runs").click()
    assert page.url == (moved / "index.html").as_uri()


def test_a_site_is_written_into_no_folder_with_other_things(out, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds other things"):
        write_site(out, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_page_is_written_again_only_where_its_run_has_changed(out, index, capsys):
    pages = {name: out / "runs" / name / "report.html" for name in THREE}
    times = {name: path.stat().st_mtime_ns for name, path in pages.items()}
    about = out / "runs" / THREE[1] / "run.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"seconds": 1.0}))
    assert cli.main(["view", "--no-open", "--out", str(out)]) == 0
    changed = [name for name, path in pages.items() if path.stat().st_mtime_ns != times[name]]
    assert changed == [THREE[1]]


def test_one_run_is_shown_by_the_beginning_of_its_id_and_opened(out, index, monkeypatch, capsys):
    opened_at = []
    monkeypatch.setattr("webbrowser.open_new_tab", lambda address: opened_at.append(address) or True)
    assert cli.main(["view", THREE[0][:8], "--no-open", "--out", str(out)]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == out / "runs" / THREE[0] / "report.html" and path.is_file() and not opened_at
    assert cli.main(["view", THREE[0][:8], "--out", str(out)]) == 0
    assert opened_at == [path.resolve().as_uri()]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["view", "nothing"], "no run 'nothing'"),
        (["view", "--out", "elsewhere"], "there is no run in elsewhere/runs to show"),
        (["view", "x", "--site", "y"], "--site writes the pages of all runs; leave 'x' out"),
    ],
)
def test_mistakes_are_one_clear_line(out, arguments, says, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*arguments, *([] if "--out" in arguments else ["--out", str(out)])]) == 2
    assert says in capsys.readouterr().err
