"""The real command on the real model and the real reviews, in miniature."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from harness.core.files import cache_folder
from harness.evidence.store import load_run

ROOT = Path(__file__).parents[1]
MINIATURE = [
    "run", "--method", "iro", "--limit", "6", "--seed", "3", "--set", "iro.iterations=2", "--set", "iro.width=2",
    "--set", "iro.successors=2", "--set", "sampler.max_new_tokens=16", "--set", "fit.prompts=12",
    "--set", "fit.samples=4", "--set", "imdb.reward_reviews=500",
]  # fmt: skip


def harness(*arguments: str, cache: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=ROOT,
        env={**os.environ, "HARNESS_CACHE": str(cache)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_main_job_in_miniature(tmp_path):
    cache = cache_folder()
    done = harness(*MINIATURE, "--out", str(tmp_path / "one"), "--workers", "2", cache=cache)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "one" / "runs").iterdir()
    run = load_run(folder)
    assert "\nIRO, iter. 2, value" in done.stdout and "\nbase " in done.stdout
    completions = run.completions
    assert completions["prompt_id"].n_unique() == 6
    assert completions["n_tokens"].max() <= 16
    rows = completions.group_by("method", "iteration", "final_pick").len()
    assert (rows["len"] == 6).all() and len(
        rows
    ) == 3 + 2 * 3  # base, base (greedy), best-of-n; picks of two iterations
    facts = run.about["task_facts"]
    assert 0.6 < facts["proxy_accuracy"] < 0.8 and 0.6 < facts["gold_accuracy"] < 0.8
    nll = run.scores.filter((pl.col("metric") == "base_nll") & (pl.col("method") == "base"))["value"]
    assert 0.5 < nll.mean() < 6

    # one worker, nothing of the first run's samples in the cache: the same bytes
    other = tmp_path / "cache"
    other.mkdir()
    for name in ("assets", "models", "rewards"):
        os.symlink(cache / name, other / name)
    again = harness(*MINIATURE, "--out", str(tmp_path / "two"), "--workers", "1", cache=other)
    assert again.returncode == 0, again.stderr
    (second,) = (tmp_path / "two" / "runs").iterdir()
    for name in ("completions", "scores", "fits", "pool"):
        assert (folder / f"{name}.parquet").read_bytes() == (second / f"{name}.parquet").read_bytes(), name
    shutil.rmtree(other)
