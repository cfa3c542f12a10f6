"""`rewards --rebuild` on few reviews: it trains, compares, exports what loads, and leaves what ships alone."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from harness import cli
from harness.core.files import cache_folder
from harness.core.manifest import verify
from harness.running import rewards
from harness.running.rewards import Scores, agreement, facts_of, stored_answers
from harness.tasks.imdb.data import Split, load_split
from harness.tasks.imdb.gold import RECIPE, Gold
from harness.tasks.imdb.measured import Texts, accuracy, correlation
from harness.tasks.imdb.rewards import trained_folder
from harness.tasks.imdb.shipped import FOLDER, GOLD, PROXY, read_facts, shipped_gold

ROOT = Path(__file__).parents[2]


def test_facts_are_of_the_exported_pair():
    """Three of four signs right for the proxy, all for the gold; the trained pair agrees in one alone."""
    snippets = Texts(["a", "b", "c", "d"], np.array([True, True, False, False]), "4 snippets")
    exported = Scores({"snippets": np.array([1.0, -1, -1, -1])}, {"snippets": np.array([2.0, 1, -1, -2])})
    trained = Scores({"snippets": np.array([2.0, -2, -2, -2])}, {"snippets": np.array([-2.0, -1, 1, 2])})
    facts = facts_of(exported, trained, snippets, {"proxy": 5, "gold": 6})
    assert (facts["proxy_accuracy"], facts["gold_accuracy"]) == (0.75, 1.0)
    assert (facts["proxy_reviews"], facts["gold_reviews"], facts["measured_on"]) == (5, 6, "4 snippets")
    assert facts["agrees_with_trained"]["snippets"] == {
        "n": 4, "proxy": pytest.approx(1.0), "gold": pytest.approx(-1.0),
    }  # fmt: skip


def test_a_pair_agrees_with_itself_on_every_kind_of_text():
    scores = np.random.default_rng(0).normal(size=(2, 50))
    pair = Scores({"snippets": scores[0], "answers": scores[1]}, {"snippets": scores[1], "answers": scores[0]})
    found = agreement(pair, pair)
    assert list(found) == ["snippets", "answers"]
    assert all((one.n, one.proxy, one.gold) == (50, pytest.approx(1), pytest.approx(1)) for one in found.values())


def test_accuracy_counts_a_score_of_zero_as_negative():
    assert accuracy(np.array([0.0, 0.0, 1.0]), np.array([True, False, True])) == pytest.approx(2 / 3)


def test_answers_are_drawn_from_stored_runs_and_are_the_same_again(tmp_path):
    texts = stored_answers(ROOT / "results")
    assert len(texts) == len(set(texts)) == rewards.ANSWERS and texts == stored_answers(ROOT / "results")
    first = sorted((ROOT / "results" / "runs").glob("imdb-*"))[0]
    table = pl.read_parquet(first / "completions.parquet")
    known = set((table["prompt"] + table["response"]).to_list())
    assert any(text in known for text in texts)
    assert stored_answers(tmp_path) == []


@pytest.fixture(scope="module")
def filled() -> Path:
    """The cache that has the assets, asked for before `place` names another."""
    return cache_folder()


@pytest.mark.slow
def test_a_rebuilt_pair_is_compared_and_exported_and_what_ships_stays(filled, place, monkeypatch, capsys):
    """The whole command in miniature: 64 reviews for each reward, and 20 to measure them."""
    whole, cache = load_split("asset", filled), place / "cache"
    few = Split(whole.prompts[:1], whole.measure[:20], whole.proxy[:64], whole.gold[:64])
    monkeypatch.setattr(rewards, "load_split", lambda source, cache: few)
    cache.mkdir()
    (cache / "assets").symlink_to(filled / "assets")
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    monkeypatch.setenv("HARNESS_CACHE", str(cache))

    assert cli.main(["rewards", "--rebuild", "--export", "new"]) == 0
    said = capsys.readouterr().out
    assert "Rebuilt and shipped correlate at" in said and "200 snippets" in said and "Written to new" in said
    assert "answers" not in said  # OUT has no runs here
    assert verify(Path("new")) == [] and {PROXY, GOLD} < {path.name for path in Path("new").iterdir()}
    assert read_facts(Path("new"))["gold_reviews"] == 64
    trained = Gold.load(trained_folder(cache, "asset", 0) / f"gold-{RECIPE}.safetensors", cache)
    texts = [review.text[:200] for review in few.measure]
    assert correlation(shipped_gold(cache, Path("new")).score(texts), trained.score(texts)) > 0.999
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before

    assert cli.main(["rewards", "--rebuild"]) == 0  # from the cache
    assert "Nothing was replaced." in capsys.readouterr().out
