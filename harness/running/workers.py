"""Spreads the batches of a stage over processes. Batches do not depend on each other, so the split changes nothing.

On a CPU the processes are forked: they share the model's memory, and each computes on one thread, which does more work
than several threads waiting for each other. They end when their parent ends, also where that is killed: each waits for
the end of a pipe that the parent alone holds open.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import psutil

from harness.core.errors import UserError

_job: Callable[[int], None]  # inherited by the forked children
_is_ending = False


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
    global _job
    _job = job
    context = multiprocessing.get_context("fork")
    ending, held = os.pipe()
    with (
        os.fdopen(ending),
        os.fdopen(held, "w"),
        ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(ending, held)) as pool,
    ):
        try:
            futures = {pool.submit(_call, i): i for i in batches}
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process died (out of memory, or killed). Finished batches are kept: run the same command "
                "again, with --workers 1 or a smaller batch.memory_gb if memory was short"
            ) from error
        except BaseException:
            for process in list(pool._processes.values()):
                process.terminate()
            pool.shutdown(cancel_futures=True)  # waits until they have tidied up
            raise


class _Ended(SystemExit):
    """The parent ends this process: what is half written is removed on the way out."""


def _call(i: int) -> None:
    try:
        _job(i)
    except _Ended:
        os._exit(1)  # the pool would take it for the batch's own failure, and go on with the next


def _end(*_: object) -> None:
    global _is_ending
    if not _is_ending:  # the pool asks as well, when the first of its processes is gone
        _is_ending = True
        raise _Ended(1)


def _begin(ending: int, held: int) -> None:
    """Ctrl-C reaches the whole process group, and the parent decides; without a parent there is nobody to work for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    os.close(held)
    threading.Thread(target=_end_with_parent, args=(ending,), daemon=True).start()


def _end_with_parent(ending: int) -> None:
    os.read(ending, 1)  # nothing is ever written: it returns when the last who holds the other end is gone
    os._exit(1)
