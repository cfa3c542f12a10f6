"""The page of a toy run in a headless browser: what it shows, how it is steered, and that answers stay text."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from harness.evidence.page import page_of, write_page
from harness.evidence.page.answers import page_data
from harness.evidence.page.figures import with_figures
from harness.evidence.page.verdict import main_row, stored_rows, verdict
from harness.evidence.report import write_report
from harness.evidence.store import Run, load_run
from harness.evidence.table import comparison

pytestmark = pytest.mark.slow


def golds(page) -> list[float]:
    """Gold of the first card of every article shown."""
    return numbers(page, "gold")


def numbers(page, name: str) -> list[float]:
    """A number of the first card of every article shown."""
    texts = page.locator(f"article .card:first-child dl div:has(dt:text-is('{name}')) dd").all_inner_texts()
    return [float(text.split()[0]) for text in texts]


def side(page, name: str, what: str):
    return page.locator(f"fieldset[data-side={name}] select[name={what}]")


def ids(page) -> list[str]:
    return page.locator("article").evaluate_all("(all) => all.map((one) => one.dataset.prompt)")


def copied(stored: Run, place: Path) -> Path:
    """As a version left it that listed nothing, so that its tables may be others."""
    folder = shutil.copytree(stored.folder, place / stored.id)
    (folder / "manifest.json").unlink()
    return folder


def test_it_opens_with_the_verdict_and_the_last_iteration_beside_best_of_n(stored, opened):
    page = opened(stored.folder / "report.html")
    row = next(one for one in comparison(stored) if one.key == ("iro", 3, "value"))
    said = page.locator("#verdict").inner_text()
    assert said.startswith("IRO (iteration 3), picked by value, is ") and said.endswith("reward calls.")
    assert f"{row.beside}: {row.against_best_of_n.shown('+.2f')} sd of gold on 12 prompts" in said
    assert page.locator("#count").inner_text() == "12 of 12 prompts" and page.locator("article").count() == 10
    first = page.locator("article").first
    assert first.locator(".card h3").all_inner_texts() == [
        "IRO, iteration 3, picked by value",
        "best-of-n, picked by proxy",
    ]
    assert first.locator(".prompt").inner_text().startswith("topic ")
    before = "document.querySelector('#browser').compareDocumentPosition(document.querySelector('#report'))"
    assert page.evaluate(before) == 4  # the browser of answers stands before the report and its figures
    page.get_by_role("button", name="Next").click()
    assert page.locator("article").count() == 2


def test_it_has_the_report_and_its_figures(stored, opened):
    page = opened(stored.folder / "report.html")
    assert page.locator("#report table").first.locator("tbody tr").count() >= 5
    assert page.evaluate("[...document.images].every((i) => i.src.startsWith('data:') && i.naturalWidth > 100)")
    assert page.locator("#report img, #report svg").count() >= 3


def test_answers_and_scores_are_those_of_the_run(stored, opened):
    page = opened(stored.folder / "report.html")
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


def test_rows_that_stand_in_no_table_are_not_offered(stored, opened):
    """`first` answered every prompt as `value` does, and could be chosen beside it."""
    in_table = {row.key for row in comparison(stored)}
    offered = {tuple(row.values()) for row in page_data(stored, stored_rows(stored.folder))["rows"]}
    assert offered == in_table
    assert ("iro", 3, "first") in {*stored.completions.select("method", "iteration", "final_pick").iter_rows()}
    page = opened(stored.folder / "report.html")
    assert side(page, "left", "pick").locator("option").all_inner_texts() == ["value", "reward"]


def test_it_sorts_filters_and_searches(stored, opened):
    page = opened(stored.folder / "report.html")
    side(page, "left", "method").select_option("base")
    assert side(page, "left", "iteration").is_disabled()
    for key, name in (("gold", "gold"), ("tokens", "tokens"), ("nll", "base NLL"), ("fooled", "proxy - gold")):
        page.get_by_label("Sort by").select_option(key)
        page.get_by_label("Order").select_option("high")
        found = numbers(page, name)
        assert found == sorted(found, reverse=True) and len(set(found)) > 1
        page.get_by_label("Order").select_option("low")
        found = numbers(page, name)
        assert found == sorted(found) and len(set(found)) > 1
    page.get_by_label("Sort by").select_option("difference")
    apart = [float(text.split()[-1]) for text in page.locator("article .difference").all_inner_texts()]
    assert apart == sorted(apart) and len(set(apart)) > 1
    page.get_by_label("Search in prompts").fill("TOPIC 1")
    shown = int(page.locator("#count").inner_text().split()[0])
    assert 0 < shown < 12 and set(page.locator("article .prompt").all_inner_texts()) == {"topic 1"}
    page.get_by_label("Search in prompts").fill("nothing says this")
    assert page.locator("#count").inner_text() == "0 of 12 prompts"


def test_all_rows_of_a_prompt_stand_in_one_column(stored, opened):
    page = opened(stored.folder / "report.html", width=1400)
    page.get_by_label("Show").select_option("all")
    assert page.locator("article").count() == 1
    cards = page.locator("article .card")
    assert cards.count() == len(comparison(stored))
    assert len({box["x"] for box in (cards.nth(i).bounding_box() for i in range(cards.count()))}) == 1
    shown = [float(text.split()[0]) for text in cards.locator("dl div:first-child dd").all_inner_texts()]
    tagged = cards.filter(has_text="highest gold").locator("dl div:first-child dd").all_inner_texts()
    assert {float(text.split()[0]) for text in tagged} == {max(shown)}


def test_the_address_holds_the_whole_state(stored, opened):
    page = opened(stored.folder / "report.html")
    page.get_by_label("Sort by").select_option("fooled")
    page.get_by_label("Order").select_option("low")
    side(page, "left", "iteration").select_option("1")
    side(page, "right", "method").select_option("base")
    page.get_by_label("only with a stored search tree").check()
    page.get_by_label("Search in prompts").fill("topic")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.locator("article summary").first.click()
    page.locator("article .chunks").first.wait_for()
    address, shown = page.url, page.locator("#browser").inner_text()
    assert "#" in address
    again = opened(stored.folder / "report.html", hash="#" + address.split("#")[1])
    assert again.locator("#browser").inner_text() == shown and again.url == address
    assert again.locator("article[aria-current]").get_attribute("data-prompt") == ids(page)[0]
    again.evaluate("location.hash = 'view=all&page=2'")  # as when somebody edits the address
    again.locator(".cards.all").wait_for()
    assert again.locator("#page-number").inner_text() == "page 2 of 12"


@pytest.mark.parametrize("hash", ["#left=nobody.1.value&sort=x&page=0&view=%3Cimg%3E", "#page=999", "#%E0%A4%A"])
def test_an_address_that_means_nothing_shows_what_there_is(stored, opened, hash):
    page = opened(stored.folder / "report.html", hash=hash)
    assert page.locator("article").count() > 0


def test_keys_go_from_prompt_to_prompt_and_into_the_search(stored, opened):
    page = opened(stored.folder / "report.html")
    first = ids(page)

    def current() -> str:
        return page.locator("article[aria-current]").get_attribute("data-prompt")

    for expected in first[:3]:
        page.keyboard.press("j")
        assert current() == expected
    page.keyboard.press("k")
    assert current() == first[1]
    for _ in range(9):
        page.keyboard.press("j")
    assert page.locator("#page-number").inner_text() == "page 2 of 2" and current() == ids(page)[0]
    page.keyboard.press("k")
    assert page.locator("#page-number").inner_text() == "page 1 of 2" and current() == first[-1]
    page.keyboard.press("/")
    page.keyboard.type("jk/")
    assert page.get_by_label("Search in prompts").input_value() == "jk/"


def test_every_control_is_reached_by_keyboard_and_named(stored, opened):
    page = opened(stored.folder / "report.html")
    names = page.locator("#browser select, #browser input").evaluate_all("(all) => all.map((e) => e.labels.length)")
    assert names and all(names)
    page.get_by_label("Show").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Sort by").input_value() == "fooled"


def test_it_says_why_an_answer_was_chosen_and_whether_that_was_right(stored, opened):
    page = opened(stored.folder / "report.html", hash="#trees=1")
    assert page.locator("article").count() == 2
    first = page.locator("article").first
    tree = stored.trace.filter((pl.col("prompt_id") == first.get_attribute("data-prompt")) & (pl.col("iteration") == 3))
    card = first.locator(".card").first
    assert card.locator(".tree li").count() == 0  # it is built when it is opened
    card.locator("summary").click()
    card.locator(".chunks").wait_for()
    assert "Here S = V1 + V2 + V3." in card.inner_text()
    assert card.locator(".tree li .state").count() == len(tree)
    kept = card.locator(".tree li > .state", has_text="kept").count() + card.locator(".tree li.path > .state").count()
    assert kept == tree["kept"].sum()
    assert card.locator(".chunks tbody tr").count() == tree["round"].max() == card.locator(".tree li.path").count()
    ends = tree.filter(pl.col("kept") & (pl.col("round") == pl.col("round").max())).unique("text")
    ends = ends.sort("score", descending=True)
    shown = [line.split("\t") for line in card.locator(".finalists tr.numbers").all_inner_texts()]
    assert len(shown) == len(ends) and all(len(line) == 1 + 3 + 2 for line in shown)
    for line, end in zip(shown, ends.iter_rows(named=True), strict=True):
        units = stored.about["units"]
        scores = [(end[m] - units[m]["mean"]) / units[m]["sd"] for m in ("proxy_reward", "gold_reward")]
        expected = [end["score"], *end["values"], *scores]
        assert all(abs(float(cell) - number) < 0.0061 for cell, number in zip(line, expected, strict=True))
    assert card.locator(".finalists .state", has_text="picked by value").count() == 1
    own = stored.completions.filter(
        (pl.col("method") == "iro") & (pl.col("iteration") == 3) & (pl.col("final_pick") == "value")
        & (pl.col("prompt_id") == first.get_attribute("data-prompt"))
    )["response"][0]  # fmt: skip
    is_best = ends.filter(pl.col("text") == own)["gold_reward"][0] >= ends["gold_reward"].max() - 1e-9
    assert ("that was right: none of them has more" in card.inner_text()) == (is_best and len(ends) > 1)
    assert first.locator(".card").nth(1).locator("summary").count() == 0  # best-of-n does not search


def test_trees_of_an_earlier_version_are_shown_with_s_alone(stored, opened, tmp_path):
    folder = copied(stored, tmp_path)
    later = ["values", "betas", "proxy_reward", "gold_reward"]
    stored.trace.drop(later).write_parquet(folder / "trace.parquet")
    page = opened(write_page(load_run(folder)), hash="#trees=1")
    page.locator("article summary").first.click()
    card = page.locator("article .card").first
    card.locator(".finalists").wait_for()
    assert "This version stored S alone" in card.inner_text()
    assert card.locator(".finalists th").all_inner_texts() == ["S", "proxy", "gold"]
    assert card.locator(".tree li").count() > 3


def test_without_trees_it_says_how_to_store_some(stored, opened, tmp_path):
    folder = copied(stored, tmp_path)
    (folder / "trace.parquet").unlink()
    page = opened(write_page(load_run(folder)))
    assert page.locator("article summary").count() == 0
    assert (
        "Its command with --fresh, or with --set evaluate.trace=9, makes some." in page.locator("#trees").inner_text()
    )


BAD = "</script><!--<script><img src=x onerror='window.hacked = 1'><script>window.hacked = 1</script>"


def test_what_a_model_wrote_is_never_run(stored, opened, tmp_path):
    folder = copied(stored, tmp_path)
    bad = pl.lit(BAD)
    stored.completions.with_columns(response=bad, prompt=bad).write_parquet(folder / "completions.parquet")
    stored.trace.with_columns(text=bad).write_parquet(folder / "trace.parquet")
    write_report(load_run(folder))  # which quotes answers as well
    page = opened(write_page(load_run(folder)), hash="#trees=1")
    assert page.locator("article .answer").first.text_content() == BAD
    page.locator("article summary").first.click()
    page.locator(".chunks, .tree .note").first.wait_for()
    page.locator("#report > details > summary").click()
    assert page.evaluate("window.hacked") is None


def test_control_characters_of_an_answer_are_shown_and_do_nothing(stored, opened, tmp_path):
    """ANSI escapes, and marks that turn the direction of the text after them."""
    folder = copied(stored, tmp_path)
    bad = pl.lit("\x1b[31mred\x07 \u202eabc\u2066 \x9b1m end")
    stored.completions.with_columns(response=bad, prompt=bad).write_parquet(folder / "completions.parquet")
    page = opened(write_page(load_run(folder)))
    for part in (".answer", ".prompt"):
        shown = page.locator(f"article {part}").first
        assert shown.text_content() == "\u241b[31mred\u2407 <U+202E>abc<U+2066> <U+009B>1m end"
        assert shown.evaluate("(one) => getComputedStyle(one).unicodeBidi") == "isolate"


DRAWN = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 99 99"
 onload="window.hacked = 1"><script>window.hacked = 1</script><style>body { display: none }</style>
 <defs><path id="m" d="M0 0"/><clipPath id="c"><rect width="9" height="9"/></clipPath></defs>
 <foreignObject><iframe src="https://example.org"/></foreignObject><image href="https://example.org/a.png"/>
 <g clip-path="url(#c)"><use xlink:href="#m"/><use xlink:href="https://example.org/x.svg#m"/></g>
 <text style="fill: currentColor">gold</text><path style="fill: url(https://example.org/p)" d="M0 0"/></svg>"""


def test_figures_take_the_colours_of_the_page_and_can_run_and_load_nothing(stored, opened, tmp_path):
    folder = copied(stored, tmp_path)
    (folder / "gold_by_method.svg").write_text(DRAWN)
    page = opened(write_page(load_run(folder)), scheme="dark")
    drawn = page.locator("svg.figure").first
    assert drawn.get_attribute("aria-label") == "gold by method"
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert drawn.locator("text").evaluate("(one) => getComputedStyle(one).fill") == ink == "rgb(230, 232, 235)"
    assert page.evaluate("window.hacked") is None and page.locator("#browser").is_visible()
    html = drawn.evaluate("(one) => one.outerHTML")
    assert "example.org" not in html and "gold_by_method-c" in html  # ids are the figure's own


def test_a_figure_that_is_not_there_is_left_out(tmp_path):
    assert with_figures('<p>a</p><img src="no.png" alt="b">', tmp_path) == "<p>a</p>"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1000])
def test_nothing_is_wider_than_the_window(stored, opened, width, scheme):
    page = opened(stored.folder / "report.html", width, scheme, "#trees=1")
    page.locator("article summary").first.click()
    page.locator(".chunks, .tree .note").first.wait_for()
    page.locator("#report > details > summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Show").select_option("all")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def luminance(colour: str) -> float:
    channels = [int(x) / 255 for x in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_on_their_ground_in_both_schemes(stored, opened, scheme):
    """A contrast of 4.5 to 1, WCAG's AA."""
    page = opened(stored.folder / "report.html", scheme=scheme)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    pairs = {("body", "body"), (".hint", "body"), (".card h3", ".card"), ("dt", ".card"), ("summary", "body")}
    for words, ground in pairs:
        ink = page.locator(words).first.evaluate("(one) => getComputedStyle(one).color")
        behind = page.locator(ground).first.evaluate("(one) => getComputedStyle(one).backgroundColor")
        low, high = sorted([luminance(ink), luminance(behind)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, words


def test_equal_answers_are_stored_once(stored):
    data = page_data(stored, stored_rows(stored.folder))
    assert len(data["prompts"]) == 12 and all(len(picks) == 12 for picks in data["picks"])
    for prompt, answers in enumerate(data["answers"]):
        assert len({tuple(answer) for answer in answers}) == len(answers)
        assert {picks[prompt] for picks in data["picks"]} == set(range(len(answers)))


def test_a_page_is_the_same_each_time(stored):
    assert page_of(stored) == page_of(load_run(stored.folder))


RUNS = Path(__file__).parents[2] / "results" / "runs"


def test_the_verdict_says_method_difference_interval_n_and_cost():
    rows = stored_rows(RUNS / "imdb-050d22a3a2")
    assert str(verdict(rows)) == (
        "IRO (iteration 3), picked by value, is better than best-of-16: +0.59 [+0.52, +0.68] sd of gold on 300 "
        "prompts, p = 0.001 (Holm), at 141 GFLOPs an answer (614 with fitting) and 0 reward calls; best-of-16 takes "
        "139 GFLOPs an answer and 16 reward calls."
    )
    assert main_row(rows, "iro").key == ("iro", 3, "value")


def test_a_difference_that_could_be_chance_is_not_called_one():
    assert "is not told apart from best-of-9: +0.12" in str(verdict(stored_rows(RUNS / "imdb-33a635cdb1")))


@pytest.mark.parametrize("folder", sorted(RUNS.iterdir()), ids=lambda folder: folder.name)
def test_every_stored_run_has_a_verdict_and_a_page(folder):
    said = str(verdict(stored_rows(folder)))
    fits = any(row.key.method == "iro" for row in stored_rows(folder))
    assert said.startswith("IRO (iteration " if fits else "base ") and " prompts" in said and "reward calls" in said
    assert page_of(load_run(folder)).count('id="verdict"') == 1
