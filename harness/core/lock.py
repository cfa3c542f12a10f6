"""One process at a time: whoever comes second waits, says for whom, and then finds the work done.

    with alone(out / LOCKS / run_id, f"run {run_id}"):
        ...                                 # look again whether it is done: another process may have been faster

The system holds the lock (flock, by the library filelock) and frees it when its process ends, however that ends. Host,
process and start of who holds it lie beside it, for the message alone. Lock files stay where they are, and git ignores
them: a file that is removed while others wait for it would be two locks.
"""

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.core.files import stored_text, whole
from harness.core.printable import printable
from harness.core.slug import short_enough

LOCKS = ".locks"  # a folder of lock files, in OUT and in the cache
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_POLL = 0.2  # seconds


@contextmanager
def alone(name: Path, what: str) -> Iterator[None]:
    """Let nobody else into a block of the same `name`, whose parent is a folder of locks. `what` is what it makes.

    On a disk that has no locks everybody is let in, and a line says so.
    """
    name = name.with_name(short_enough(name.name))
    name.parent.mkdir(parents=True, exist_ok=True)
    _keep_out_of_git(name.parent)
    lock, holder = FileLock(name.with_name(f"{name.name}.lock")), name.with_name(f"{name.name}.json")
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _say(f"{what} is being made by {_who(holder)}; this command waits, and then finds it done")
            lock.acquire(poll_interval=_POLL)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _say(f"{name.parent} lies on a disk without locks: let no two commands make {what} at once")
        yield
        return
    try:
        with whole(holder) as part:
            part.write_text(json.dumps(_self()) + "\n", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _self() -> dict[str, object]:
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": started}


def _who(holder: Path) -> str:
    """'process 4711 on host since 2026-11-25T23:01:12Z'."""
    try:
        said = json.loads(stored_text(holder))
        return f"process {said['pid']} on {said['host']} since {said['started']}"
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # it has just begun, or just ended
        return "another process"


def _keep_out_of_git(folder: Path) -> None:
    ignored = folder / ".gitignore"
    if not ignored.exists():
        with whole(ignored) as part:
            part.write_text("*\n", encoding="utf-8")


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)
