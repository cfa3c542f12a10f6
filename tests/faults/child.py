"""A command in a process of its own, forked from one that has imported everything, so that a toy run takes a second.

done = call(["run", "--task", "toy"], place)        # Done(code, text)
child = begin(["run", "--task", "toy"], place)      # to be killed
"""

import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")
LIMIT = 120.0  # seconds after which a command hangs


@dataclass(frozen=True)
class Done:
    code: int  # below 0: the signal that ended it
    text: str  # stdout and stderr
    hangs: bool = False

    @property
    def is_traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.text


@dataclass(frozen=True)
class Child:
    """A process that leads a group of its own."""

    pid: int
    output: Path

    def kill(self, how: signal.Signals) -> None:
        try:
            os.killpg(self.pid, how)
        except ProcessLookupError:
            return

    def wait(self, limit: float = LIMIT) -> Done:
        deadline = time.monotonic() + limit
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                self.kill(signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return Done(-9, self._text(), hangs=True)
            time.sleep(0.01)
        return Done(os.waitstatus_to_exitcode(status), self._text())

    def _text(self) -> str:
        try:
            return self.output.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:  # killed before it could say anything
            return ""


def begin(
    arguments: Sequence[str], place: Path, before: Callable[[], None] = lambda: None, output: Path | None = None
) -> Child:
    """Start a command in `place`, which holds its cache and its results; `before` runs in the child first."""
    from harness import cli

    output = place / ".output" if output is None else output
    pid = os.fork()
    if pid:
        return Child(pid, output)
    code = 1
    try:
        os.setsid()
        os.chdir(place)
        os.environ["HARNESS_CACHE"] = str(place / "cache")
        with output.open("w") as file:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        before()
        code = cli.main(list(arguments))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)


def call(
    arguments: Sequence[str],
    place: Path,
    before: Callable[[], None] = lambda: None,
    output: Path | None = None,
    limit: float = LIMIT,
) -> Done:
    """The same to its end."""
    return begin(arguments, place, before, output).wait(limit)


def made_apart(make: Callable[[], Made]) -> Made:
    """What `make` gives, in a process of its own: libraries with threads, as polars, must not be used before a fork."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        try:
            with os.fdopen(writing, "wb") as file:
                pickle.dump(make(), file)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        content = file.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, "see above"
    made: Made = pickle.loads(content)  # our own, a moment ago
    return made


def without_drawing() -> None:
    """Import what commands need, and have figures be files without content: to draw them takes longer than the rest."""
    import harness.evidence.ablation as ablation
    import harness.evidence.report as report
    import harness.evidence.tuning as tuning
    import harness.serve.align_file
    import harness.serve.generate
    import harness.sweeps.ablate
    import harness.sweeps.tune  # noqa: F401
    from harness.core.files import whole
    from harness.core.slug import slug

    def draw_all(drawings: Mapping[str, object], folder: Path) -> None:
        for name in drawings:
            with whole(folder / f"{slug(name)}.png") as part:
                part.write_bytes(b"")

    report.draw_all = ablation.draw_all = tuning.draw_all = draw_all
