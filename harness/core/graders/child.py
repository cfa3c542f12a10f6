"""The process in which a user's function runs: JSON lines in from one pipe, JSON lines out to another.

Started by `worker.Worker` and by nothing else. It ends, with all that the function started, when its parent does.
"""

import asyncio
import ctypes
import inspect
import io
import json
import linecache
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from types import ModuleType
from typing import Any

from harness.core.graders.arguments import Log, PlainItem, arguments, required_columns
from harness.core.graders.forms import FORM, FormName, Parameters
from harness.core.graders.missing import MissingColumn
from harness.core.graders.returned import Outcome, read, read_batch
from harness.core.graders.tinker import checks_of

_PR_SET_PDEATHSIG = 1


def main(requests: int, answers: int) -> None:
    """Reads the job from the first line, loads its function, then answers one line for each line."""
    os.set_inheritable(requests, False)
    os.set_inheritable(answers, False)
    _die_with_parent()
    os.register_at_fork(after_in_child=_die_with_parent)
    own, lines = os.getpid(), queue.SimpleQueue[str]()
    threading.Thread(target=_follow, args=(requests, lines), daemon=True).start()
    output = _Output()

    def answer(message: dict[str, Any]) -> None:
        if os.getpid() != own:  # the function forked, and this is the copy that came back as well
            os._exit(0)
        output.restore()
        os.write(answers, b"")  # raises where the function has closed it
        with os.fdopen(os.dup(answers), "wb") as file:
            file.write((json.dumps(message) + "\n").encode())

    job = json.loads(lines.get())
    try:
        function = _loaded(job)
    except BaseException as error:  # a file may raise anything, SystemExit as well
        answer({"ready": False, "why": _told(error, job["name"])})
        return
    answer({"ready": True})
    form: FormName = job["form"]
    parameters = Parameters(**job["parameters"])
    while True:
        request = json.loads(lines.get())
        items = [PlainItem(**item) for item in request["items"]]
        outcomes = _graded(function, form, parameters, items, job)
        answer({"id": request["id"], "outcomes": [asdict(outcome) for outcome in outcomes]})


def _die_with_parent() -> None:
    """On Linux the kernel ends this process with the thread that started it, however busy the function is."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _follow(requests: int, lines: "queue.SimpleQueue[str]") -> None:
    """Hands on line by line; the end of the pipe is the end of the parent, and of this process and its children."""
    with os.fdopen(requests, encoding="utf-8") as file:
        for line in file:
            lines.put(line)
    os.killpg(0, signal.SIGKILL)


class _Output:
    """stdout and stderr as they were at the start, for a function that closes or replaces them."""

    def __init__(self) -> None:
        self._kept = os.dup(1)
        os.set_inheritable(self._kept, False)

    def restore(self) -> None:
        for number, name in ((1, "stdout"), (2, "stderr")):
            try:
                getattr(sys, name).flush()
                os.fstat(number)
            except Exception:  # closed, replaced by what cannot be flushed, None
                os.dup2(self._kept, number)
                setattr(sys, name, io.TextIOWrapper(os.fdopen(number, "wb", 0, closefd=False), write_through=True))


def _loaded(job: dict[str, Any]) -> Callable[..., Any]:
    """The function of a job, from the module that its source makes."""
    name, source = job["name"], job["source"]
    module = ModuleType(job["module"] if job["module"] not in sys.modules else f"_{job['module']}_grader")
    module.__file__ = job["path"]
    sys.modules[module.__name__] = module
    sys.dont_write_bytecode = True
    if job["folder"] is not None:
        sys.path.insert(0, job["folder"])
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), module.__dict__)
    found: Any = module
    for part in job["function"].split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{job['function']} is a {type(found).__name__} and no function")
    function: Callable[..., Any] = checks_of(found) if job["form"] == "tinker" else found
    return function


def _graded(
    function: Callable[..., Any], form: FormName, parameters: Parameters, items: list[PlainItem], job: dict[str, Any]
) -> list[Outcome]:
    """One outcome an item; a batch is one call, in which rows that lack a column are left out."""
    outcomes: list[Outcome | None] = []
    for item in items:
        try:
            required_columns(form, parameters, item.row)
            outcomes.append(None)
        except MissingColumn as error:
            outcomes.append(Outcome(float("nan"), "invalid_variable_error", str(error)))
    whole = [item for item, outcome in zip(items, outcomes, strict=True) if outcome is None]
    groups = [whole] if FORM[form].batched and whole else [[item] for item in whole]
    made = iter([outcome for group in groups for outcome in _called(function, form, parameters, group, job)])
    return [outcome or next(made) for outcome in outcomes]


def _called(
    function: Callable[..., Any], form: FormName, parameters: Parameters, items: list[PlainItem], job: dict[str, Any]
) -> list[Outcome]:
    """One call; where it raises, each half of its items has its own, so that one row costs no other its score."""
    log = Log()
    try:
        given = arguments(form, parameters, items, log)
        value = function(*given.values()) if job["by_place"] else function(**given)
        if inspect.isawaitable(value):
            value = asyncio.run(_awaited(value))
        if form == "bedrock":
            outcomes = read_batch(value, 1, [given["event"][0]["id"]])
        else:
            outcomes = read_batch(value, len(items)) if FORM[form].batched else [read(value)]
    except MissingColumn as error:  # of what an object is made of
        return [Outcome(float("nan"), "invalid_variable_error", str(error))] * len(items)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are the function's as well
        if half := len(items) // 2:
            parts = (items[:half], items[half:])
            return [one for part in parts for one in _called(function, form, parameters, part, job)]
        return [Outcome(float("nan"), "python_grader_runtime_error", _told(error, job["name"]))]
    return [Outcome(one.score, one.error, one.detail, {**log.metrics, **one.metrics}) for one in outcomes]


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _told(error: BaseException, name: str) -> str:
    """Kind and first line of an exception, and the line of the user's file that it passed last."""
    try:
        text = (str(error).strip().splitlines() or [""])[0]
    except Exception:  # a user's exception may fail even at this
        text = "its text cannot be read"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    if isinstance(error, SyntaxError):
        lines = [error.lineno] if error.filename == name else lines
    where = f" (line {lines[-1]} of {os.path.basename(name)})" if lines else ""
    return f"{type(error).__name__}{f': {text}' if text else ''}{where}"
