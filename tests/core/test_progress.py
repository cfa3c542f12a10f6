"""Progress of a run: what is left is told from the work that was done, and what the cache had is said."""

import pytest

from harness.core import progress
from harness.core.progress import Planned, Progress, RunProgress, duration

STAGES = [
    Planned("base samples", "sampling", 100.0),
    Planned("iro: fit", "fit", 10.0),
    Planned("iro: answers", "sampling", 300.0),
]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", made)
    return made


def test_time_left_follows_from_the_work_done_of_each_kind(clock):
    with RunProgress(STAGES) as run:
        assert run.seconds_left() is None  # nothing was done: nothing is known
        with run.stage("base samples", total=4) as stage:
            assert run.seconds_left(stage) is None
            clock.now += 10
            stage.step()  # 25 units in 10 s: 75 + 300 are left, and the fit nobody knows
            assert run.seconds_left(stage) == (pytest.approx(150), False)
            clock.now += 30
            stage.step(3)
        assert run.seconds_left() == (pytest.approx(120), False)
        with run.stage("iro: fit", total=1) as stage:
            clock.now += 5
            stage.step()
        assert run.seconds_left() == (pytest.approx(120), True)
        with run.stage("iro: answers", total=3) as stage:
            clock.now += 40
            stage.step()
            assert run.seconds_left(stage) == (pytest.approx(200 * 80 / 200), True)
            clock.now += 80
            stage.step(2)
        assert run.seconds_left() == (0, True)


def test_what_the_cache_had_is_said_and_tells_nothing_of_the_rate(clock, capsys):
    with RunProgress(STAGES, title="chunk 4 (2 of 5)") as run:
        with run.stage("base samples", total=4) as stage:
            stage.skip(4)
        with run.stage("iro: fit", total=1) as stage:
            stage.skip(1)
        assert run.seconds_left() is None
        with run.stage("iro: answers", total=6) as stage:
            stage.skip(3)
            clock.now += 30  # 50 of 300 units in 30 s, 100 are left
            stage.step()
            assert run.seconds_left(stage) == (pytest.approx(60), True)
            clock.now += 30
            stage.step(2)
    assert capsys.readouterr().err.splitlines() == [
        "chunk 4 (2 of 5), stages 1 to 2 of 3: from the cache",
        "chunk 4 (2 of 5), stage 3 of 3, iro: answers: 4/6 batches, about 60 s left for all",
        "chunk 4 (2 of 5), stage 3 of 3, iro: answers: 3 batches in 60 s, 3 more from the cache",
    ]


def test_where_nobody_looks_a_line_comes_now_and_then(clock, capsys):
    with Progress("asking", total=60, unit="answer") as stage:
        for _ in range(60):
            clock.now += 1
            stage.step()
    assert capsys.readouterr().err.splitlines() == [
        "asking: 21/60 answers, 39 s left",
        "asking: 42/60 answers, 18 s left",
        "asking: 60 answers in 60 s",
    ]


def test_a_stage_that_fails_is_no_finished_stage(clock, capsys):
    with pytest.raises(ValueError), RunProgress(STAGES) as run, run.stage("base samples", 4) as stage:
        stage.step()
        raise ValueError
    assert capsys.readouterr().err == ""


def test_quiet_says_nothing(clock, capsys):
    with RunProgress(STAGES, quiet=True) as run, run.stage("base samples", 4) as stage:
        clock.now += 100
        stage.step(4)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("seconds, said", [(0.2, "0 s"), (99, "99 s"), (100, "2 min"), (5990, "1 h 40 min")])
def test_durations(seconds, said):
    assert duration(seconds) == said
