"""The small file of a proxy: every term, weights within half a step, the same bytes again."""

import numpy as np
import pytest

from harness.tasks.imdb.data import Review
from harness.tasks.imdb.proxy import Proxy, Weights, build_proxy, read_trained, write_trained
from harness.tasks.imdb.rounded_proxy import STEP, read_rounded, write_rounded

GOOD, BAD = "a truly lovely café film, loved it all", "a truly awful film, hated it all"
TEXTS = [GOOD, BAD, "lovely and awful", "neither word is in it"]


@pytest.fixture(scope="module")
def trained() -> Weights:
    reviews = [Review(str(i), f"{GOOD if i % 2 else BAD} {i % 7}", bool(i % 2)) for i in range(40)]
    return build_proxy(reviews)


def test_all_terms_come_back_with_weights_within_half_a_step(trained, tmp_path):
    write_rounded(trained, tmp_path / "proxy.npz")
    again = read_rounded(tmp_path / "proxy.npz")
    assert again.terms == trained.terms and "café" in again.terms
    assert np.abs(again.weights - trained.weights).max() <= STEP / 2 + 1e-12
    assert np.array_equal(again.idf, trained.idf) and (again.bias, again.n_documents) == (trained.bias, 360)


def test_rounded_scores_are_near_the_trained_ones(trained, tmp_path):
    """A text's vector has length one, so its score moves by half a step times the root of its terms at most."""
    write_rounded(trained, tmp_path / "proxy.npz")
    before, after = Proxy(trained)(TEXTS), Proxy(read_rounded(tmp_path / "proxy.npz"))(TEXTS)
    assert after == pytest.approx(before, abs=STEP / 2 * np.sqrt(15))
    assert after[0] > 0 > after[1]


def test_equal_weights_are_equal_bytes(trained, tmp_path):
    for name in ("one.npz", "two.npz"):
        write_rounded(trained, tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_the_trained_file_of_the_cache_holds_the_same_scores(trained, tmp_path):
    write_trained(trained, tmp_path / "proxy.parquet")
    again = read_trained(tmp_path / "proxy.parquet", 40)
    assert np.array_equal(again.documents, trained.documents) and again.n_documents == trained.n_documents
    assert np.array_equal(Proxy(again)(TEXTS), Proxy(trained)(TEXTS))


def test_numbers_of_documents_are_counts(trained):
    """Each of 40 reviews is in whole and in eight snippets, every one of which may be the whole, too."""
    counts = dict(zip(trained.terms, trained.documents.tolist(), strict=True))
    assert counts["truly"] == 360 and counts["lovely"] == counts["awful"] == 180


def test_a_weight_too_large_for_the_file_stops(trained, tmp_path):
    huge = Weights(["film"], np.array([1]), np.array([1000.0]), 0.0, 2)
    with pytest.raises(AssertionError, match=r"1000.0 is no int16"):
        write_rounded(huge, tmp_path / "proxy.npz")
    assert not list(tmp_path.iterdir())
