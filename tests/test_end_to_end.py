"""The real command on the real model and the real reviews, in miniature."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
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

SMALL_PAIR = [
    "--limit", "2", "--workers", "1", "--set", "iro.iterations=1", "--set", "iro.width=2",
    "--set", "iro.successors=2", "--set", "sampler.max_new_tokens=6", "--set", "fit.prompts=6",
    "--set", "fit.samples=3",
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
def test_openai_s_pair_of_files_by_the_command_of_the_readme(tmp_path):
    """The last part of the one command that the README has for an empty clone, on few prompts and short answers."""
    said = re.search(
        r"^python3 -m venv \.venv && .*-m harness (align .*)$", (ROOT / "README.md").read_text("utf-8"), re.M
    )
    assert said is not None
    words = shlex.split(said[1])
    assert words[-2:] == ["--out", "aligned"] and len(words) == 7
    seed = str(time.time_ns() % 10**9)  # a job that no cache has, so that there is a cost to say
    small = [*words[:-1], str(tmp_path / "aligned"), *SMALL_PAIR, "--seed", seed]
    first = harness(*small, "--dry-run", cache=cache_folder())
    assert first.returncode == 0, first.stderr
    assert "cost at most fitting" in (text := " ".join(first.stdout.split())) and "time about" in text
    assert not (tmp_path / "aligned").exists()
    done = harness(*small, cache=cache_folder())
    assert done.returncode in (0, 1), done.stderr  # of six prompts a gain is chance
    assert "verdict " in done.stdout and "Traceback" not in done.stderr
    report = (tmp_path / "aligned" / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# IRO on smollm2-135m-instruct\n\n**") and "600 rows" in report
    answered = harness("generate", str(tmp_path / "aligned"), "--prompt", "Where is my parcel?", cache=cache_folder())
    assert answered.returncode == 0 and answered.stdout.strip(), answered.stderr


@pytest.mark.slow
def test_the_main_job_in_miniature(tmp_path):
    cache = cache_folder()
    done = harness(*MINIATURE, "--out", str(tmp_path / "one"), "--workers", "2", cache=cache)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "one" / "runs").iterdir()
    run = load_run(folder)
    assert "\nIRO" in done.stdout and "\nbase " in done.stdout
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
