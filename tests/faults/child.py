"""A command in a process of its own, forked from one that has imported everything, so that a toy run takes a second.

done = call(["run", "--task", "toy"], place)        # Done(code, text)
child = begin(["run", "--task", "toy"], place)      # to be killed
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        return self.output.read_text(encoding="utf-8", errors="replace")


def begin(arguments: Sequence[str], place: Path, before: Callable[[], None] = lambda: None) -> Child:
    """Start a command in `place`, which holds its cache and its results; `before` runs in the child first."""
    from harness import cli

    output = place / ".output"
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
            try:
                stream.flush()
            except OSError:
                pass
        os._exit(code)


def call(
    arguments: Sequence[str], place: Path, before: Callable[[], None] = lambda: None, limit: float = LIMIT
) -> Done:
    """The same to its end."""
    return begin(arguments, place, before).wait(limit)


def without_drawing() -> None:
    """Import what commands need, and have figures be files without content: to draw them takes longer than the rest."""
    import harness.evidence.figures.files as files
    import harness.serve.align_file
    import harness.serve.generate
    import harness.sweeps.ablate
    import harness.sweeps.tune  # noqa: F401

    def save(fig: object, path: Path, formats: Sequence[str] = files.FORMATS, notes: object = None) -> list[Path]:
        written = [path.with_name(f"{path.name}.{kind}") for kind in formats]
        for file in written:
            with files.whole(file) as part:
                part.write_bytes(b"")
        return written

    files.save = save
