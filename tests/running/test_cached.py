"""`harness cache`: what there is, what is damaged, and making room."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from harness import cli
from harness.core.files import PART

RUN = ["run", "--task", "toy", "--method", "iro", "--only", "--limit", "8", "--set", "fit.prompts=12", "--workers", "1",
       "--set", "iro.iterations=1"]  # fmt: skip
STAGES = {"pool", "fit", "generate", "score"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("cached")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        assert cli.main([*RUN, "--out", str(place / "results")]) == 0
    return place


@pytest.fixture
def cache(place, made, capsys) -> Path:
    """The cache of a finished run, and something of somebody else's in it."""
    shutil.copytree(made, place, dirs_exist_ok=True)
    (place / "cache" / "mine").mkdir()
    (place / "cache" / "mine" / "notes.txt").write_text("mine")
    capsys.readouterr()
    return place / "cache"


def said(capsys, *words: str, code: int = 0) -> str:
    assert cli.main(["cache", *words]) == code
    out, err = capsys.readouterr()
    return out + err


def files(cache: Path) -> set[str]:
    return {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}


def age(path: Path, days: float) -> None:
    for one in [path, *path.rglob("*")]:
        os.utime(one, (time.time() - 86_400 * days,) * 2)


def test_it_lists_kinds_with_sizes_and_what_no_run_was_made_with(cache, capsys):
    text = said(capsys)
    assert all(kind in text for kind in STAGES) and "mine" not in text and str(cache) in text
    assert said(capsys, "--unreferenced").count("trace") == 0  # younger than a day


def test_what_is_damaged_is_named_and_exit_code_1(cache, capsys):
    assert "all are as they were written" in said(capsys, "--verify")
    batch = sorted(cache.glob("score/*/batch-*.json"))[0]
    batch.write_text(batch.read_text().replace("0.", "1.", 1))
    value = next(cache.glob("fit/*/fitted/value-1/head.safetensors"))
    value.write_bytes(value.read_bytes()[:-1])
    text = said(capsys, "--verify", code=1)
    assert f"{batch.parent.relative_to(cache)}: {batch.name} has another" in text and "head.safetensors has" in text


def test_nothing_is_removed_unless_one_says_what_and_yes(cache, capsys):
    before = files(cache)
    assert "unless you say what" in said(capsys, "--clear", code=2)
    assert "give --yes" in said(capsys, "--clear", "--all", code=2)
    assert "would be removed: " in said(capsys, "--clear", "--all", "--dry-run")
    assert "unknown kind 'fits'" in said(capsys, "--clear", "--all", "--kind", "fits", code=2)
    assert "give a number from 0 on" in said(capsys, "--older", "nan", code=2)
    assert files(cache) == before


def test_what_no_run_names_goes_when_it_is_older_than_a_day(cache, capsys):
    loose = cache / "generate" / "0123456789abcdef0123"
    shutil.copytree(next((cache / "generate").iterdir()), loose)
    assert "nothing in" in said(capsys, "--clear", "--unreferenced", "--kind", "generate", "--yes")
    age(loose, 2)
    assert "removed: 1 entries (1 generate)" in said(capsys, "--clear", "--unreferenced", "--kind", "generate", "--yes")
    assert not loose.exists() and len(list((cache / "generate").iterdir())) >= 1


def test_by_age_and_by_size(cache, capsys):
    age(cache / "score", 40)
    assert "removed: " in said(capsys, "--clear", "--older", "30", "--yes")
    assert not list((cache / "score").iterdir()) and list((cache / "pool").iterdir())
    assert "nothing in" in said(capsys, "--clear", "--larger", "1000", "--yes")
    assert "removed: " in said(capsys, "--clear", "--larger", "0", "--kind", "pool", "--yes")
    assert not list((cache / "pool").iterdir()) and (cache / "mine" / "notes.txt").exists()


def test_what_is_cleared_is_made_again_to_the_same_bytes(cache, capsys, unrendered):
    def tables(out: str) -> dict[str, bytes]:
        (run,) = (cache.parent / out / "runs").iterdir()
        return {
            path.name: path.read_bytes() for path in run.glob("*.parquet") if path.stem in ("scores", "completions")
        }

    said(capsys, "--clear", "--all", "--yes")
    assert not [path for path in cache.glob("*/*/batch-*")]
    assert cli.main([*RUN, "--out", "again"]) == 0
    assert tables("again") == tables("results")


def test_answers_of_chat_models_are_kept_unless_they_are_named(cache, capsys):
    kept = cache / "chat" / "ab" / "abcd.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"reply": {}}))
    said(capsys, "--clear", "--all", "--yes")
    assert kept.exists()
    said(capsys, "--clear", "--all", "--kind", "chat", "--yes")
    assert not kept.exists()


def test_a_damaged_run_hides_what_is_of_no_run_and_nothing_else(cache, capsys):
    """One ledger that could not be read stopped the list, the check and all clearing."""
    (ledger,) = cache.parent.glob("results/runs/*/ledger.parquet")
    ledger.write_bytes(b"no")
    text = said(capsys)
    assert all(kind in text for kind in STAGES) and "what is of no run cannot be told: " in text
    assert "all are as they were written" in said(capsys, "--verify")
    before = files(cache)
    assert "ledger.parquet is not parquet" in said(capsys, "--clear", "--unreferenced", "--yes", code=2)
    assert files(cache) == before
    assert "removed: " in said(capsys, "--clear", "--kind", "trace,score", "--all", "--yes")


def test_what_a_clock_that_was_set_back_wrote_is_cleared_too(cache, capsys):
    """Files from the future were younger than no days, and `--clear --all` left them where they were."""
    age(cache, -400)
    assert "today" in said(capsys)
    assert "removed: " in said(capsys, "--clear", "--all", "--yes")
    assert not [path for kind in STAGES for path in (cache / kind).glob("*")]


def test_what_vanishes_while_it_is_looked_at_is_no_failure(cache, capsys, monkeypatch):
    """A run beside it renames files all the time; `harness cache` ended with a traceback."""
    listed = os.walk

    def gone(top, *rest, **more):
        for folder, folders, names in listed(top, *rest, **more):
            yield folder, folders, [*names, "batch-9999.json", f".batch-9999.json.abc{PART}"]

    monkeypatch.setattr("harness.running.cached.os.walk", gone)
    assert all(kind in said(capsys) for kind in STAGES)
    assert "removed: " in said(capsys, "--clear", "--all", "--kind", "unfinished", "--yes")


def test_half_written_files_of_killed_commands_are_found(cache, capsys):
    part = cache / "fit" / ".fitted.abc.part"
    part.mkdir()
    (part / "x").write_text("x")
    assert "half-written" in said(capsys)
    said(capsys, "--clear", "--kind", "unfinished", "--all", "--yes")
    assert not part.exists()
