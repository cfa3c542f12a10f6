"""The rewards that ship with imdb: whole, small, good enough, without pickle, and damaged ones are refused."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.tasks.imdb import gold, proxy
from harness.tasks.imdb.data import load_split
from harness.tasks.imdb.gold import Gold
from harness.tasks.imdb.measured import accuracy, correlation, measured_texts
from harness.tasks.imdb.proxy import Proxy, read_trained
from harness.tasks.imdb.rewards import rewards_of, trained_folder
from harness.tasks.imdb.shipped import (
    FACTS,
    FOLDER,
    GOLD,
    PROXY,
    TRAINED_OVER,
    pinned,
    read_facts,
    shipped_gold,
    shipped_proxy,
)

ROOT = Path(__file__).parents[2]
PINNED = [4.332076, -1.138652, -0.087016, -5.054981]


def test_both_rewards_are_three_megabytes_at_most_and_nothing_else_ships():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3_000_000
    assert {path.name for path in FOLDER.iterdir()} == {PROXY, GOLD, FACTS, "manifest.json"}


def test_no_shipped_array_is_a_pickle():
    with zipfile.ZipFile(FOLDER / PROXY) as archive:
        assert sorted(archive.namelist()) == ["about.npy", "documents.npy", "terms.npy", "weights.npy"]
    with np.load(FOLDER / PROXY, allow_pickle=False) as arrays:
        assert {arrays[name].dtype.kind for name in arrays.files} <= set("iuf")
    header = (FOLDER / GOLD).read_bytes()[8:9]
    assert header == b"{"  # safetensors: a length, then JSON


def test_stored_facts_hold_what_was_promised_of_the_rewards():
    """0.745 at least, within 0.015 of each other, and 0.999 with the trained rewards on both kinds of text."""
    facts = read_facts()
    assert min(facts["proxy_accuracy"], facts["gold_accuracy"]) >= 0.745
    assert abs(facts["proxy_accuracy"] - facts["gold_accuracy"]) <= 0.015
    assert set(facts["agrees_with_trained"]) == {"snippets", "answers"}
    for found in facts["agrees_with_trained"].values():
        assert found["n"] >= 2000 and min(found["proxy"], found["gold"]) >= 0.999


def test_stored_facts_are_of_this_version_and_of_the_pinned_assets():
    """The gold's factors mean nothing over another MiniLM."""
    facts = read_facts()
    assert facts["versions"] == {"proxy": proxy.VERSION, "gold": gold.VERSION}
    assert facts["assets"] == {name: pinned(name) for name in TRAINED_OVER}


def test_the_shipped_proxy_reads_sentiment_without_assets():
    good, bad = shipped_proxy()(["a wonderful, moving and brilliant film", "a terrible, boring waste of time"])
    assert good > 1 and bad < -1


def test_scores_of_the_shipped_proxy_are_pinned():
    """They change with the data, with scikit-learn's way to cut words, and with nothing else."""
    scores = shipped_proxy()(["I loved it.", "I hated it.", "", "Über 100 films, it's the worst of the worst"])
    assert scores == pytest.approx(PINNED, abs=1e-5)


@pytest.fixture
def copy(tmp_path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "shipped")


@pytest.mark.parametrize("name", [PROXY, GOLD, FACTS])
@pytest.mark.parametrize(
    "damage, says",
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "bytes, and"),
        (lambda path: path.write_bytes(b"\0" + path.read_bytes()[1:]), "has another sha256 than was written"),
        (Path.unlink, "is missing"),
    ],
)
def test_a_damaged_file_is_named(copy, name, damage, says):
    damage(copy / name)
    with pytest.raises(UserError, match=rf"rewards that ship .* damaged .*{name} .*{says}.* install iro-harness again"):
        read_facts(copy)


def test_a_damaged_manifest_is_named(copy):
    (copy / "manifest.json").write_text('{"files": ', encoding="utf-8")
    with pytest.raises(UserError, match=r"manifest\.json is no list of files"):
        read_facts(copy)


def test_the_command_shows_what_ships(place, capsys):
    assert cli.main(["rewards"]) == 0
    said = capsys.readouterr().out
    facts = json.loads((FOLDER / FACTS).read_text(encoding="utf-8"))
    assert f"gold {gold.VERSION}: gold.safetensors, 1.4 MB" in said and f"{facts['proxy_accuracy']:.4f}" in said
    assert "python -m harness rewards --rebuild --export" in said
    assert not list(place.iterdir())  # nothing was fetched or written


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--export", "new"], "--export 'new' writes what --rebuild trains"),
        (["--rebuild", "--export", "."], "--export '.' exists, and nothing is replaced"),
    ],
)
def test_an_export_needs_a_rebuilt_pair_and_a_free_name(place, capsys, arguments, says):
    assert cli.main(["rewards", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_shipped_scores_are_those_of_the_trained_rewards():
    """0.999 on 2,000 snippets and as many stored answers, where the cache has what was trained from the reviews."""
    from harness.running.rewards import stored_answers

    cache = cache_folder()
    trained = trained_folder(cache, "asset", 0)
    paths = trained / f"proxy-{proxy.RECIPE}.parquet", trained / f"gold-{gold.RECIPE}.safetensors"
    if not all(path.exists() for path in paths):
        pytest.skip("the cache has no trained rewards; `python -m harness rewards --rebuild` makes them")
    split = load_split("asset", cache)
    measured = measured_texts(split)
    pairs = [
        (shipped_proxy(), Proxy(read_trained(paths[0], len(split.proxy)))),
        (shipped_gold(cache).score, Gold.load(paths[1], cache).score),
    ]
    for texts in (measured.texts[::5], stored_answers(ROOT / "results")):
        assert len(texts) == 2000
        for shipped, rebuilt in pairs:
            assert correlation(shipped(texts), rebuilt(texts)) >= 0.999


@pytest.mark.slow
def test_shipped_gold_is_as_accurate_as_its_facts_say():
    """On 2,000 of the 10,000 measured snippets: 0.03 is more than three standard errors of the difference."""
    cache = cache_folder()
    measured = measured_texts(load_split("asset", cache))
    scores = shipped_gold(cache).score(measured.texts[::5])
    assert accuracy(scores, measured.positive[::5]) == pytest.approx(read_facts()["gold_accuracy"], abs=0.03)


@pytest.mark.slow
def test_all_reviews_train_nothing_and_fewer_train_the_proxy_alone(tmp_path):
    """A first run waited ten minutes for rewards; the cache has assets and no rewards here, and gets none."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "assets").symlink_to(cache_folder() / "assets")
    split = load_split("asset", cache)
    whole = rewards_of(split, "asset", 0, 0, cache)
    assert {path.name for path in cache.iterdir()} <= {"assets", "hashes", ".locks"}
    assert whole.facts["reward_versions"] == {"proxy": proxy.VERSION, "gold": gold.VERSION}
    assert whole.gold.score(["a wonderful, moving film"])[0] > 0 > whole.gold.score(["a boring waste of time"])[0]
    fewer = rewards_of(split, "asset", 300, 0, cache)
    names = {path.name for path in trained_folder(cache, "asset", 0).iterdir()}
    assert names == {"proxy-2-300.parquet", "accuracy-proxy-2-300.json", "manifest.json"}
    assert (fewer.facts["proxy_reviews"], fewer.facts["gold_reviews"]) == (300, 9926)
    assert 0.55 < fewer.facts["proxy_accuracy"] < whole.facts["proxy_accuracy"] - 0.03
