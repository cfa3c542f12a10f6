"""A user's function in a process of its own: its time and memory are limited, its output is kept off the screen.

worker = Worker(job, Limits(seconds=30, memory_gib=4))
worker.call([item])        # [Outcome(1.0)], or raises Ended: it hung, exited or took too much memory, and was killed
worker.close()             # the next call starts it anew

The process and all that it started are killed together. A process that forks has a worker of its own, made when asked.
"""

import fcntl
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from harness.core.errors import UserError
from harness.core.graders.forms import FormName, Parameters
from harness.core.graders.grade import Error, Item
from harness.core.graders.returned import Outcome

_LOOK = 0.2  # seconds between looks at the memory; a process fills a few GiB in that time at most
_KEPT = 2**20  # bytes of output kept
_ROOT = str(Path(__file__).parents[3])  # where the package lies, last on the path of the process
_START = (
    "import sys; sys.path.append({root!r}); from harness.core.graders.child import main; main({requests}, {answers})"
)


@dataclass(frozen=True)
class Limits:
    """What one call may take: of one item, or of one batch where the function takes batches."""

    seconds: float = 30.0
    memory_gib: float = 4.0  # resident, of the process and all that it started
    start_seconds: float = 120.0  # imports may read large libraries from a slow disk


@dataclass(frozen=True)
class Job:
    """What a process runs: `source` under the file name `name`, with `folder` first on its path."""

    name: str
    source: str
    function: str
    form: FormName
    parameters: Parameters
    path: str | None = None
    folder: str | None = None
    module: str = "grader"
    by_place: bool = False  # arguments are given by place, whatever the parameters are called


class Ended(Exception):
    """A call that was not answered. `fresh`: the process had graded nothing before, so that this call is to blame."""

    def __init__(self, error: Error, detail: str, fresh: bool) -> None:
        super().__init__(detail)
        self.error, self.detail, self.fresh = error, detail, fresh


class Worker:
    """Starts the process when it is first needed, and again after it was killed."""

    def __init__(self, job: Job, limits: Limits) -> None:
        self.job, self.limits = job, limits
        self._lock, self._owner = threading.Lock(), os.getpid()
        self._running: _Running | None = None
        self._numbers = itertools.count()

    def __reduce__(self) -> tuple[type["Worker"], tuple[Job, Limits]]:
        return Worker, (self.job, self.limits)

    def start(self) -> None:
        """Raises UserError where the file cannot be imported, which the process tries first of all."""
        with self._own():
            self._started()

    def call(self, items: Sequence[Item]) -> list[Outcome]:
        """Outcomes in the order of items. Raises Ended."""
        with self._own():
            if self._running is not None and self._running.process.poll() is not None:
                self._close()  # it ended between two calls
            try:
                running = self._started()
            except UserError as error:
                raise Ended("python_grader_server_error", str(error), fresh=True) from error
            number, fresh = next(self._numbers), not running.used
            running.used = True
            running.cut()
            request = {"id": number, "items": [_plain_item(item) for item in items]}
            answer = self._exchange(running, request, self.limits.seconds, fresh)
            while answer.get("id") != number:
                answer = self._exchange(running, None, self.limits.seconds, fresh)
            outcomes = [Outcome(**outcome) for outcome in answer["outcomes"]]
            if any(outcome.error == "python_grader_runtime_error" for outcome in outcomes):
                outcomes = _with(running.said(), outcomes)
            if self._too_large(running):  # what it keeps must not weigh on the next call
                self._close()
            return outcomes

    def close(self) -> None:
        with self._own():
            self._close()

    def _own(self) -> threading.Lock:
        """The lock; a process that was forked from the one that started the worker forgets that one's."""
        if os.getpid() != self._owner:
            if self._running is not None:
                self._running.forget()
            self._lock, self._owner, self._running = threading.Lock(), os.getpid(), None
        return self._lock

    def _close(self) -> None:
        if self._running is not None:
            self._running.end()
            self._running = None

    def _started(self) -> "_Running":
        if self._running is not None:
            return self._running
        self._running = running = _Running()
        try:
            answer = self._exchange(running, asdict(self.job), self.limits.start_seconds, fresh=True)
        except Ended as ended:
            raise UserError(f"{self.job.name} could not be imported: {ended.detail}") from ended
        if not answer["ready"]:
            said = running.said()
            self._close()
            raise UserError(f"{self.job.name} could not be imported: {answer['why']}{said}")
        return running

    def _exchange(
        self, running: "_Running", request: dict[str, Any] | None, seconds: float, fresh: bool
    ) -> dict[str, Any]:
        """Sends a line and waits for one. Whatever else ends the wait, Ctrl-C as well, ends the process."""
        try:
            return self._waited(running, request, seconds, fresh)
        except BaseException:
            self._close()
            raise

    def _waited(
        self, running: "_Running", request: dict[str, Any] | None, seconds: float, fresh: bool
    ) -> dict[str, Any]:
        if request is not None:
            running.unsent += (json.dumps(request, default=_plain) + "\n").encode()
        until = time.monotonic() + seconds
        while True:
            told = running.exchange(0.05)
            if (line := running.line()) is not None:
                try:
                    answer = json.loads(line)
                except ValueError:
                    answer = None
                if not isinstance(answer, dict):
                    what = f"it wrote to a pipe that is not its own{running.said()}"
                    raise Ended("python_grader_runtime_error", what, fresh)
                return answer
            if not told and (code := running.process.poll()) is not None:
                raise Ended("python_grader_runtime_error", f"its process {_ending(code)}{running.said()}", fresh)
            if self._too_large(running):
                what = f"it took more than {self.limits.memory_gib:g} GiB of memory{running.said()}"
                raise Ended("python_grader_runtime_error", what, fresh)
            if time.monotonic() > until:
                what = f"no answer within {seconds:g} seconds{running.said()}"
                raise Ended("unresponsive_reward_error", what, fresh)

    def _too_large(self, running: "_Running") -> bool:
        """Whether it has too much memory; looks now and then, and then cuts what it printed as well."""
        now = time.monotonic()
        if now - running.looked < _LOOK:
            return False
        running.looked = now
        if os.fstat(running.output.fileno()).st_size > 64 * _KEPT:
            running.cut()
        return running.resident() > self.limits.memory_gib * 2**30


class _Running:
    """One process with its two pipes and the file that its output goes to."""

    def __init__(self) -> None:
        requests, self.write_end = os.pipe()
        self.read_end, answers = os.pipe()
        os.set_blocking(self.write_end, False)
        os.set_blocking(self.read_end, False)
        self.output: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # closed by _end
        fcntl.fcntl(self.output.fileno(), fcntl.F_SETFL, os.O_APPEND)  # it is cut while it is written
        code = _START.format(root=_ROOT, requests=requests, answers=answers)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            pass_fds=(requests, answers),
            start_new_session=True,  # a group of its own, which is killed as a whole
            env={**os.environ, "PYTHONHASHSEED": "0"},  # sets have one order in every process
        )
        os.close(requests)
        os.close(answers)
        self.unsent = b""
        self.used, self.looked, self._read = False, time.monotonic(), b""
        self.end = weakref.finalize(self, _end, os.getpid(), self.process, self.output, self.write_end, self.read_end)

    def exchange(self, seconds: float) -> bool:
        """Writes what can be written, reads what is there, and waits at most so long. Whether anything was read."""
        before, poll = len(self._read), select.poll()
        poll.register(self.read_end, select.POLLIN)
        if self.unsent:
            poll.register(self.write_end, select.POLLOUT)
        for number, event in poll.poll(seconds * 1000):
            if number == self.read_end and event & (select.POLLIN | select.POLLHUP):
                part = os.read(self.read_end, 2**16)
                self._read += part
                if not part:  # closed at the other end, which is about to end, or has closed all its files
                    time.sleep(0.01)
            elif number == self.write_end:
                try:
                    self.unsent = self.unsent[os.write(self.write_end, self.unsent[: 2**16]) :]
                except OSError:  # it ended
                    self.unsent = b""
        return len(self._read) > before

    def line(self) -> bytes | None:
        line, ended, rest = self._read.partition(b"\n")
        if not ended:
            return None
        self._read = rest
        return line

    def resident(self) -> int:
        """Bytes of memory of the process and all below it."""
        try:
            own = psutil.Process(self.process.pid)
            return sum(_resident(one) for one in [own, *own.children(recursive=True)])
        except psutil.Error:  # it ended meanwhile
            return 0

    def said(self) -> str:
        """The last lines that it printed in this call, for an error."""
        size = os.fstat(self.output.fileno()).st_size
        text = os.pread(self.output.fileno(), _KEPT, max(0, size - _KEPT)).decode(errors="replace")
        lines = [one_line(line) for line in text.splitlines() if line.strip()]
        return f"; it printed: {' / '.join(lines[-3:])}" if lines else ""

    def cut(self) -> None:
        os.ftruncate(self.output.fileno(), 0)

    def forget(self) -> None:
        """In a forked process: the pipes are closed here, and the process is left to the one that started it."""
        self.end.detach()
        self.process.returncode = 0  # it is no child of this process, which must not wait for it
        for number in (self.write_end, self.read_end):
            os.close(number)


def one_line(text: str) -> str:
    """Words and blanks alone: what a function prints or raises may hold anything that a terminal obeys."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:300]


def _end(owner: int, process: "subprocess.Popen[bytes]", output: IO[bytes], *pipes: int) -> None:
    """Kills a process and all that it started; in a forked process nothing, for it is not its own."""
    if os.getpid() != owner:
        return
    try:
        below = psutil.Process(process.pid).children(recursive=True)  # some may have left its group
    except psutil.Error:
        below = []
    with suppress(ProcessLookupError, PermissionError):  # all of the group have ended; macOS says the latter
        os.killpg(process.pid, signal.SIGKILL)
    for one in below:
        with suppress(psutil.Error):
            one.kill()
    process.wait()
    output.close()
    for number in pipes:
        os.close(number)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _ending(code: int) -> str:
    return f"exited with code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


def _with(said: str, outcomes: list[Outcome]) -> list[Outcome]:
    wrong = "python_grader_runtime_error"
    return [replace(one, detail=one.detail + said) if one.error == wrong else one for one in outcomes]


def _plain_item(item: Item) -> dict[str, Any]:
    prompt: Any = item.prompt
    if not isinstance(prompt, str):
        prompt = [{"role": message.role, "content": message.content} for message in prompt]
    return {"prompt": prompt, "response": item.response, "row": dict(item.row), "tokens": list(item.tokens)}


def _plain(value: Any) -> Any:
    """What JSON does not know, of rows as data sets have them."""
    match value:
        case np.ndarray() | np.generic():
            return value.tolist()
        case date():  # datetime is one, too
            return value.isoformat()
        case bytes():
            return value.decode(errors="replace")
    return str(value)
