"""`align --until`: looked at after every 50 held-out prompts, with intervals that hold whenever one stops."""

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.core.statistics import sequential
from harness.core.statistics.sequential import half_width
from harness.core.statistics.stats import Estimate
from harness.evidence.schema import GOLD, Row
from harness.evidence.store import load_run
from harness.evidence.table import answers_by_row
from harness.serve import align_file as job
from harness.serve import until as loop
from harness.serve.until import Look, Stopped, looks_of, until

TOY = ["--model", "toy", "--set", "sampler.max_new_tokens=4", "--set", "sampler.top_k=0", "--workers", "1",
       "--set", "iro.iterations=1", "--grader", "checks.py"]  # fmt: skip


@pytest.fixture
def files(place, unrendered) -> Path:
    rows = [{"prompt": f"question {i} about topic {i % 2}"} for i in range(500)]
    (place / "toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (place / "checks.py").write_text("def f(prompt, response): return response.count('a') - response.count('b')\n")
    return place


def align(*words: str, out: str = "aligned") -> int:
    return cli.main(["align", "--data", "toy.jsonl", *TOY, "--out", out, *words])


def report(folder: str = "aligned") -> str:
    text = Path(folder, "report.md").read_text(encoding="utf-8")
    return re.sub(r" Making this took .*", "", re.sub(rf"\b{folder}\b", "DIR", text))


@pytest.mark.slow
def test_it_stops_at_the_first_look_that_knows_enough_and_the_report_has_the_valid_interval(files, capsys):
    assert align("--until", "0.5") == 0
    said = capsys.readouterr()
    assert "until stopped after 100 of 146 held-out prompts, 46 spared" in " ".join(said.out.split())
    assert "look 2 of at most 3: 100 held-out prompts, gain +" in said.err and "look 3" not in said.err
    about = json.loads(Path("aligned/about.json").read_text(encoding="utf-8"))
    assert about["asked"]["until"] == 0.5 and about["asked"]["settings"]["evaluate"]["prompts"] == 146
    (folder,) = Path("cache/aligned/runs").glob(about["run"])
    run = load_run(folder)
    parts = answers_by_row(run)
    ours, base = (parts[key][GOLD].to_numpy() for key in (Row("iro", 1, "value"), Row("base", 0, "first")))
    gain, sd = sequential.difference(ours, base), run.record.units[GOLD].sd
    text = report()
    points = Estimate(gain.value * sd, gain.low * sd, gain.high * sd, 100).shown("+.2f")
    assert f"{points} points a prompt on 100 held-out prompts" in text.splitlines()[2]
    assert f"| 100 | {gain.shown('+.3f')} | {sequential.half_width(gain):.3f} |" in text
    assert "arXiv 2103.06476" in text and "bootstrap intervals over" not in text


@pytest.mark.slow
def test_interrupted_and_again_it_ends_with_the_same(files, capsys, monkeypatch):
    assert align("--until", "0.5", out="al-first") == 0
    calls, complete = [], job.complete

    def stopped_at_the_second_look(*given, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return complete(*given, **named)

    monkeypatch.setenv("HARNESS_CACHE", str(files / "other"))
    monkeypatch.setattr(job, "complete", stopped_at_the_second_look)
    assert align("--until", "0.5") == 130
    assert not Path("aligned").exists()
    assert align("--until", "0.5") == 0
    assert report() == report("al-first")
    before = {path: path.read_bytes() for path in Path("aligned").rglob("*") if path.is_file()}
    assert align("--until", "0.5") == 0
    assert before == {path: path.read_bytes() for path in Path("aligned").rglob("*") if path.is_file()}
    assert align("--until", "0.4") == 2
    assert "holds a model that was aligned with" in capsys.readouterr().err


@pytest.mark.slow
def test_what_does_not_suffice_says_so_and_a_limit_is_the_most(files, capsys):
    assert align("--until", "0.01", "--limit", "70") in (0, 1)
    said = " ".join(capsys.readouterr().out.split())
    assert "until all 70 held-out prompts do not suffice for +-0.01 sd: the gain is known to +-" in said
    assert [line.split(" | ")[0] for line in report().splitlines() if re.match(r"\| \d+ \| \+", line)] == [
        "| 50",
        "| 70",
    ]


def test_the_preview_is_of_all_held_out_prompts(files, capsys):
    assert align("--until", "0.05", "--dry-run") == 0
    assert "146 test prompts" in " ".join(capsys.readouterr().out.split())
    assert not Path("aligned").exists()


@pytest.mark.parametrize(
    "words, says",
    [
        (["--until", "0"], "--until 0: give the half-width to stop at"),
        (["--until", "nan"], "--until nan: give the half-width"),
        (["--until", "0.1", "--limit", "49"], "looks after every 50 held-out prompts, and there are 49"),
        (["--until", "soon"], "invalid float value: 'soon'"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(files, capsys, words, says):
    assert align(*words) == 2
    assert says in capsys.readouterr().err and not Path("aligned").exists()


def test_looks_go_on_until_one_knows_enough_and_the_rows_have_valid_intervals(planted, monkeypatch):
    """On a stored run of 60 prompts, cut to the prompts of each look."""
    ids, asked, said = sorted(planted.completions["prompt_id"].unique()), [], []

    def cut_to(place: Path):
        kept = ids[: int(place.name)]
        tables = ("completions", "scores", "pool")
        return replace(
            planted, **{name: vars(planted)[name].filter(pl.col("prompt_id").is_in(kept)) for name in tables}
        )

    monkeypatch.setattr(loop, "load_run", cut_to)
    make = lambda config, place: asked.append((config, place)) or Path(str(config))  # noqa: E731
    done = until(0.01, lambda prompts: prompts, 60, make, "iro", said.append)
    assert asked == [(50, "look 1 of at most 2"), (60, "look 2 of at most 2")] and not done.is_reached
    assert [look.gain.n for look in done.looks] == [50, 60] and said[1].startswith("look 2 of at most 2: 60 held-out")
    parts = answers_by_row(done.run)
    for row, plain in zip(done.valid, done.table, strict=True):
        assert row.gold == sequential.mean(parts[row.key][GOLD].to_numpy()) != plain.gold
        if row.against_best_of_n is not None and plain.against_best_of_n is not None:
            assert row.against_best_of_n.low < plain.against_best_of_n.low
    gain = done.looks[1].gain
    assert (
        until(half_width(done.looks[0].gain) + 1e-9, lambda n: n, 60, make, "iro", said.append).looks[-1].prompts == 50
    )
    assert planted.record.seconds == 60 and done.seconds == 120  # it said 60, those of the last look
    assert f"| 60 | {gain.shown('+.3f')} |" in done.intervals.section and "all 60 held-out prompts do not" in done.said


def test_looks_are_every_50_and_the_last_is_of_all():
    assert looks_of(0.1, 162) == [50, 100, 150, 162] and looks_of(0.1, 100) == [50, 100] and looks_of(0.1, 50) == [50]


def test_no_interval_is_never_enough():
    nothing = Look(50, Estimate(0.0, float("nan"), float("nan"), 50))
    assert not nothing.is_enough(1e9)
    said = Stopped(None, [], [], 0.1, 50, [nothing]).said
    assert "do not suffice" in said and "the gain has no interval yet" in said
