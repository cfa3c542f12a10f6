"""Spreads the batches of a stage over processes. Batches do not depend on each other, so the split changes nothing.

On a CPU the processes are forked: they share the model's memory, and each computes on one thread, which does more work
than several threads waiting for each other. They end when their parent ends, also where that is killed: each waits for
the end of a pipe that the parent alone holds open. Each has a pipe of its own to the parent and shares no lock with the
others, so one that is ended in the middle of anything keeps nobody waiting.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import NoReturn

import psutil

from harness.core.errors import UserError

_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_TIDY_S = 20  # for what a process that is asked to end may still do: a file half written is removed


def choose_workers(asked: int | None, device: str, need_gb: float) -> int:
    """As asked, else one a core this process may use, but no more than free memory holds, at `need_gb` each.

    One on an accelerator, which forks cannot share. A stage with fewer batches starts fewer.
    """
    if device != "cpu":
        if asked not in (None, 1):
            raise UserError(f"--workers {asked} on {device}: only CPU work is spread over processes; leave it out")
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return asked or max(1, min(cores or 1, int(psutil.virtual_memory().available / 2**30 / need_gb)))


def run_batches(job: Callable[[int], None], batches: Sequence[int], workers: int) -> Iterator[int]:
    """Call job(i) for every i and yield each i when it is done, in any order. A child that dies raises UserError."""
    workers = min(workers, len(batches))
    if workers <= 1:
        for i in batches:
            job(i)
            yield i
        return
    ending, held = os.pipe()
    processes: dict[Connection, ForkProcess] = {}
    with os.fdopen(ending), os.fdopen(held, "w"):
        try:
            for _ in range(workers):
                _start(job, processes, ending, held)
            yield from _hand_out(batches, processes)
        finally:
            _end(processes)


def _start(job: Callable[[int], None], processes: dict[Connection, ForkProcess], ending: int, held: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_work, args=(job, theirs, ours, ending, held))
    processes[ours] = process  # before it starts: whatever happens then, it is ended
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # else Python may drop one that comes while it forks
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()


def _hand_out(batches: Sequence[int], processes: dict[Connection, ForkProcess]) -> Iterator[int]:
    """Give each process its next batch as soon as it is done with the last."""
    left = iter(batches)
    at_work = {connection: i for connection, i in zip(processes, left, strict=False)}
    for connection, i in at_work.items():
        _say(connection, i)
    while at_work:
        ready = wait(list(at_work))
        for connection in [c for c in at_work if c in ready]:
            try:
                failure = connection.recv()
            except (EOFError, ConnectionResetError):
                _died()
            if failure is not None:
                raise failure
            done = at_work.pop(connection)
            if (following := next(left, None)) is not None:
                at_work[connection] = following
                _say(connection, following)
            yield done


def _say(connection: Connection, i: int) -> None:
    try:
        connection.send(i)
    except BrokenPipeError:
        _died()


def _died() -> NoReturn:
    raise UserError(
        "a worker process died (out of memory, or killed). Finished batches are kept: run the same command "
        "again, with --workers 1 or a smaller batch.memory_gb if memory was short"
    )


def _end(processes: dict[Connection, ForkProcess]) -> None:
    """End them all and wait until they have tidied up; who does not in time is killed."""
    started = [process for process in processes.values() if process.pid]
    for process in started:
        process.terminate()
    for process in started:
        process.join(_TIDY_S)
        process.kill()
        process.join()
    for connection in processes:
        connection.close()


class _Ended(SystemExit):
    """The parent ends this process: what is half written is removed on the way out."""


def _work(job: Callable[[int], None], connection: Connection, parents: Connection, ending: int, held: int) -> None:
    """Do what the parent hands out, one batch after the other, until it ends this process."""
    try:
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group: the parent decides
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        parents.close()
        os.close(held)
        threading.Thread(target=_end_with_parent, args=(ending,), daemon=True).start()
        while True:
            i = connection.recv()
            try:
                job(i)
            except Exception as error:
                connection.send(_as_told(error))
            else:
                connection.send(None)
    except (_Ended, EOFError):
        os._exit(1)


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the second would cut the tidying short
    raise _Ended(1)


def _as_told(error: Exception) -> Exception:
    """The error as the parent raises it: with where it came from, which no pipe carries."""
    told = "".join(traceback.format_exception(error))
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:
        copy = RuntimeError(str(error))
    copy.add_note(f"in a worker process:\n{told}")
    return copy


def _end_with_parent(ending: int) -> None:
    os.read(ending, 1)  # nothing is ever written: it returns when the last who holds the other end is gone
    os._exit(1)
