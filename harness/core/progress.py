"""Progress on stderr: a whole run, whose stages are known beforehand, and the stage in hand; done ones stay as lines.

with RunProgress([Planned("base samples", "sampling", 900.0), Planned("iro: fit", "fit", 64.0)]) as run:
    with run.stage("base samples", total=16) as stage:
        stage.skip(4)       # batches that the cache has
        stage.step()

with Progress("asking", total=100, unit="answer") as progress: ...      # a stage alone

Time left is told from the work that was done (see time_left.py); `at least` while a kind of work is still unknown. On
a terminal two bars by rich, which move at every step: there is no thread, since processes are forked meanwhile.
Elsewhere a line a stage, and one now and then.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from harness.core.time_left import Left, Planned, Standing, WorkLeft

_EVERY = 20.0  # seconds between plain lines


class RunProgress:
    """All stages of a run, or of nothing that was planned; `quiet` says nothing."""

    def __init__(self, planned: Sequence[Planned] = (), title: str = "", quiet: bool = False) -> None:
        self._planned, self._title, self._quiet = list(planned), title, quiet
        self._work = WorkLeft(planned)
        self._number = 0  # of the stage in hand
        self._found: list[int] = []  # numbers of stages in a row that the cache had whole
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bars: Bars | None = None
        if sys.stderr.isatty() and not console.is_dumb_terminal and not quiet:
            columns = TextColumn("{task.description}", markup=False), BarColumn(20), TextColumn("{task.fields[says]}")
            self._bars = Bars(*columns, console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
            if self._planned:
                self._overall = self._bars.add_task(self._title or "whole run", total=1.0, says="")
        return self

    def __exit__(self, *_: object) -> None:
        self._say_found()
        if self._bars is not None:
            self._bars.stop()

    @contextmanager
    def stage(self, name: str, total: int, unit: str = "batch") -> Iterator["Stage"]:
        """A stage of `total` units, planned or not."""
        self._number += 1
        stage = Stage(self, name, total, unit)
        try:
            yield stage
        except BaseException:
            stage.leave()
            raise
        self._finish(stage)
        stage.leave()

    def say(self, text: str) -> None:
        """A line that stays, above the bars where there are some."""
        if self._quiet:
            return
        if self._bars is not None:
            self._bars.console.print(Text(text, "dim"))
        else:
            print(text, file=sys.stderr, flush=True)

    def seconds_left(self, stage: "Stage | None" = None) -> Left | None:
        """Seconds that all of it still takes; None before anything is known."""
        return self._work.seconds(None if stage is None else stage.standing)

    def update(self, stage: "Stage") -> None:
        """Show where a stage is."""
        if self._bars is None:
            return
        done = stage.ready + stage.done
        says = f"{done}/{stage.total} {stage.units(stage.total)}"
        if stage.bar is None:
            stage.bar = self._bars.add_task(stage.name, total=stage.total, says=says)
        self._bars.update(stage.bar, completed=done, says=says)
        if self._planned:
            share, says = self._work.share_done(stage.standing), f"{self._place()}{self._time(stage)}"
            self._bars.update(self._overall, completed=share, says=says)
        self._bars.refresh()

    def say_now_and_then(self, stage: "Stage") -> None:
        """A plain line, where there are no bars."""
        if self._bars is not None or self._quiet:
            return
        self._say_found()
        left = f"{left} for all" if (left := self._time(stage)) else ""
        if not self._planned:
            rate = stage.done / stage.seconds
            left = f", {duration((stage.total - stage.ready - stage.done) / rate)} left"
        self.say(f"{self._before(stage)}{stage.ready + stage.done}/{stage.total} {stage.units(stage.total)}{left}")

    def remove(self, stage: "Stage") -> None:
        if self._bars is not None and stage.bar is not None:
            self._bars.remove_task(stage.bar)

    def _finish(self, stage: "Stage") -> None:
        self._work.finish(stage.standing)
        if not stage.done:
            self._found.append(self._number)
            return
        self._say_found()
        there = f", {stage.ready} more from the cache" if stage.ready else ""
        self.say(f"{self._before(stage)}{stage.done} {stage.units(stage.done)} in {duration(stage.seconds)}{there}")

    def _say_found(self) -> None:
        """One line for all stages in a row that were found."""
        if self._found and self._planned:
            first, last = self._found[0], self._found[-1]
            which = f"stage {first}" if first == last else f"stages {first} to {last}"
            self.say(f"{self._titled()}{which} of {self._stages()}: from the cache")
        self._found.clear()

    def _before(self, stage: "Stage") -> str:
        return f"{self._titled()}{self._place()}{', ' if self._planned else ''}{stage.name}: "

    def _place(self) -> str:
        return f"stage {self._number} of {self._stages()}" if self._planned else ""

    def _stages(self) -> int:
        return max(len(self._planned), self._number)

    def _titled(self) -> str:
        """Which run it is, before every line; on a terminal a bar says so."""
        return f"{self._title}, " if self._title and self._bars is None else ""

    def _time(self, stage: "Stage") -> str:
        left = self.seconds_left(stage)
        if left is None:
            return ""
        return f", {'about' if left.is_all else 'at least'} {duration(left.seconds)} left"


class Stage:
    """The stage in hand: `ready` were there already and say nothing about the rate, `done` were made now."""

    def __init__(self, run: RunProgress, name: str, total: int, unit: str) -> None:
        self.name, self.total, self.ready, self.done = name, total, 0, 0
        self.bar: TaskID | None = None
        self._run, self._unit = run, unit
        self._start = self._said = time.monotonic()
        run.update(self)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def standing(self) -> Standing:
        return Standing(self.name, self.total, self.ready, self.done, self.seconds)

    def units(self, count: int) -> str:
        plural = f"{self._unit}es" if self._unit.endswith("ch") else f"{self._unit}s"
        return self._unit if count == 1 else plural

    def skip(self, n: int) -> None:
        """Count what was there already."""
        self.ready += n
        self._run.update(self)

    def step(self, n: int = 1) -> None:
        self.done += n
        self._run.update(self)
        if time.monotonic() - self._said > _EVERY and self.ready + self.done < self.total:
            self._said = time.monotonic()
            self._run.say_now_and_then(self)

    def leave(self) -> None:
        self._run.remove(self)


@contextmanager
def Progress(name: str, total: int, unit: str = "batch", quiet: bool = False) -> Iterator[Stage]:
    """A stage that belongs to no run."""
    with RunProgress(quiet=quiet) as run, run.stage(name, total, unit) as stage:
        yield stage


def duration(seconds: float) -> str:
    """'12 s', '4 min', '1 h 20 min'."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
