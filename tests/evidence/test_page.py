"""The page of a toy run in a headless browser: what it shows, how it is steered, and that answers stay text."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.evidence.page import page_data, write_page
from harness.evidence.store import Run, load_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Run:
    """A toy run with the trees of two prompts, and its report."""
    place = tmp_path_factory.mktemp("page")
    options = ["--task", "toy", "--limit", "12", "--set", "fit.prompts=20", "--set", "evaluate.trace=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        assert cli.main(["run", "--workers", "1", "--out", str(place), *options]) == 0
    (folder,) = (place / "runs").iterdir()
    assert cli.main(["report", str(folder), "--html"]) == 0
    return load_run(folder)


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("no chromium on the path")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """Open a file in a window of its own; errors and requests for anything but that file fail the test."""
    pages, wrong = [], []

    def open_page(path: Path, width: int = 1000, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.set_default_timeout(120_000)
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: wrong.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert wrong == []


def golds(page) -> list[float]:
    """Gold of the first card of every article shown."""
    texts = page.locator("article .card:first-child dl div:first-child dd").all_inner_texts()
    return [float(text.removesuffix(" sd")) for text in texts]


def side(page, name: str, what: str):
    return page.locator(f"fieldset[data-side={name}] select[name={what}]")


def test_it_shows_the_table_the_figures_and_two_methods_side_by_side(stored, opened):
    page = opened(stored.folder / "report.html")
    assert page.locator("table").first.locator("tbody tr").count() >= 5
    assert page.evaluate("[...document.images].every((i) => i.src.startsWith('data:') && i.naturalWidth > 100)")
    assert page.locator("#count").inner_text() == "12 of 12 prompts" and page.locator("article").count() == 10
    first = page.locator("article").first
    assert first.locator(".card h3").all_inner_texts() == [
        "iro, iteration 3, picked by value",
        "best_of_n, picked by reward",
    ]
    assert first.locator(".prompt").inner_text().startswith("topic ")
    page.get_by_role("button", name="Next").click()
    assert page.locator("article").count() == 2


def test_answers_and_scores_are_those_of_the_run(stored, opened):
    page = opened(stored.folder / "report.html")
    side(page, "left", "method").select_option("iro")
    side(page, "left", "iteration").select_option("2")
    side(page, "left", "pick").select_option("reward")
    prompt = page.locator("article").first.get_attribute("data-prompt")
    where = (
        (pl.col("prompt_id") == prompt) & (pl.col("method") == "iro") & (pl.col("iteration") == 2)
        & (pl.col("final_pick") == "reward")
    )  # fmt: skip
    (response,) = stored.completions.filter(where)["response"]
    (gold,) = stored.scores.filter(where & (pl.col("metric") == "gold_reward"))["value"]
    unit = stored.about["units"]["gold_reward"]
    assert page.locator("article .answer").first.text_content() == response
    assert abs(golds(page)[0] - (gold - unit["mean"]) / unit["sd"]) < 0.006


def test_it_sorts_filters_and_searches(stored, opened):
    page = opened(stored.folder / "report.html")
    side(page, "left", "method").select_option("base")
    assert side(page, "left", "iteration").is_disabled()
    page.get_by_label("Sort by").select_option("left-high")
    assert golds(page) == sorted(golds(page), reverse=True) and len(set(golds(page))) > 1
    page.get_by_label("Sort by").select_option("difference-low")
    apart = [float(text.split()[-1]) for text in page.locator("article .difference").all_inner_texts()]
    assert apart == sorted(apart) and len(set(apart)) > 1
    page.get_by_label("Search in prompts").fill("TOPIC 1")
    shown = int(page.locator("#count").inner_text().split()[0])
    assert 0 < shown < 12 and set(page.locator("article .prompt").all_inner_texts()) == {"topic 1"}
    page.get_by_label("Search in prompts").fill("nothing says this")
    assert page.locator("#count").inner_text() == "0 of 12 prompts"


def test_every_control_is_reached_by_keyboard_and_named(stored, opened):
    page = opened(stored.folder / "report.html")
    names = page.locator("#browser select, #browser input").evaluate_all("(all) => all.map((e) => e.labels.length)")
    assert names and all(names)
    page.get_by_label("Search in prompts").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Sort by").input_value() == "left-high"


def test_it_shows_the_tree_of_a_search_and_the_score_of_each_chunk(stored, opened):
    page = opened(stored.folder / "report.html")
    page.get_by_label("only with a stored search tree").check()
    assert page.locator("article").count() == 2
    first = page.locator("article").first
    tree = stored.trace.filter((pl.col("prompt_id") == first.get_attribute("data-prompt")) & (pl.col("iteration") == 3))
    card = first.locator(".card").first
    card.locator("summary").click()
    assert card.locator(".tree li .state").count() == len(tree)
    kept = card.locator(".tree .state", has_text="kept").count() + card.locator(".tree .path > .state").count()
    assert kept == tree["kept"].sum()
    assert card.locator(".chunks li").count() == tree["round"].max() == card.locator(".tree .path").count()
    first.locator(".card").nth(1).locator("summary").click()
    assert "best_of_n does not search." in first.inner_text()


def test_without_trees_it_says_how_to_store_some(stored, opened, tmp_path):
    folder = shutil.copytree(stored.folder, tmp_path / stored.id)
    (folder / "trace.parquet").unlink()
    page = opened(write_page(load_run(folder)))
    page.locator("article summary").first.click()
    assert "No tree was stored; run with --set evaluate.trace=8." in page.locator("article").first.inner_text()


def test_what_a_model_wrote_is_never_run(stored, opened, tmp_path):
    folder = shutil.copytree(stored.folder, tmp_path / stored.id)
    bad = "</script><!--<script><img src=x onerror='window.hacked = 1'><script>window.hacked = 1</script>"
    run = load_run(folder)
    run.completions.with_columns(response=pl.lit(bad), prompt=pl.lit(bad)).write_parquet(folder / "completions.parquet")
    page = opened(write_page(load_run(folder)))
    assert page.locator("article .answer").first.text_content() == bad
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1000])
def test_nothing_is_wider_than_the_window(stored, opened, width, scheme):
    page = opened(stored.folder / "report.html", width, scheme)
    page.locator("article summary").first.click()
    page.locator("main > details summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_equal_answers_are_stored_once(stored):
    data = page_data(stored)
    assert len(data["prompts"]) == 12 and all(len(picks) == 12 for picks in data["picks"])
    for prompt, answers in enumerate(data["answers"]):
        assert len({tuple(answer) for answer in answers}) == len(answers)
        assert {picks[prompt] for picks in data["picks"]} == set(range(len(answers)))
