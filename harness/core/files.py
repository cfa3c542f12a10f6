"""Files that exist are whole: everything is written under a temporary name and renamed; a disk may still lose them.

    with whole(path) as part: part.write_text(...)        # a file, or a folder that nobody else has made meanwhile
    with renewed(folder) as part: ...                     # a folder, in the place of the one that is there
    to_disk(paths)                                        # what must outlive a power cut
    put_parquet(table, path)                              # of polars
    stored_text(path)                                     # of a file, and never of a pipe, which may never end

What the cache holds is not forced to the disk: it is proven when it is read (manifest.py), and made again where it is
torn.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from safetensors import SafetensorError

from harness.core.errors import UserError

if TYPE_CHECKING:  # slow to import
    import polars as pl

PART = ".part"  # at the end of temporary names, which begin with a dot
_DAMAGE = (
    OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError, BadZipFile, SafetensorError,
)  # fmt: skip
_LONGEST = 40  # characters of a name in its temporary one: 255 bytes is all that most disks take


def cache_folder() -> Path:
    """HARNESS_CACHE, else a folder in the user's cache. Raises UserError where there is neither, nor a home folder."""
    for variable, below in (("HARNESS_CACHE", ""), ("XDG_CACHE_HOME", "iro-harness")):
        if chosen := os.environ.get(variable):
            return Path(chosen) / below
    try:
        return Path.home() / ".cache" / "iro-harness"
    except RuntimeError as error:  # as in a container whose user has no entry
        raise UserError(
            "this needs a cache and there is no home folder to keep it in; set HARNESS_CACHE to a folder"
        ) from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` for a file or a folder, which takes its name when the block ends well."""
    with _beside(path) as part:
        yield part
        if path.is_dir() and part.is_dir():  # made by another process meanwhile, from the same inputs
            return
        part.rename(path)


@contextmanager
def renewed(folder: Path) -> Iterator[Path]:
    """The same for a folder that takes the place of the one that is there, whatever that holds."""
    with _beside(folder) as part:
        yield part
        with _beside(folder) as old:
            with suppress(FileNotFoundError):
                folder.rename(old)
            try:
                part.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster, with the same
                    raise


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name beside `path` that nobody else has; what has it at the end is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(6)}{PART}")
    try:
        yield part
    finally:
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def removed_whole(path: Path) -> None:
    """Remove a file or a folder, which is under no name that anybody looks for before it is half gone."""
    with _beside(path) as old, suppress(FileNotFoundError):
        path.rename(old)


def to_disk(paths: Iterable[Path]) -> None:
    """Have the system write these files, and the names of them, so that a power cut leaves them whole."""
    written = list(paths)
    for path in [*written, *dict.fromkeys(path.parent for path in written)]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # no such thing there, as on some shares
                raise
        finally:
            os.close(handle)


def stored_text(path: Path, errors: str = "strict") -> str:
    """The text of a stored file. Raises ValueError for a pipe or a device, where one would wait for ever."""
    require_ends(path)
    return path.read_text(encoding="utf-8", errors=errors)


def require_ends(path: Path) -> None:
    """Raises ValueError where there is neither a file nor a folder, so that reading it may never end."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError("it is no file but a pipe or a device")


def put_parquet(table: "pl.DataFrame", path: Path) -> None:
    """Write a table's file, as its own method would, to the byte.

    By way of memory: where the disk is full as polars ends a file, it says "transport error", and not why.
    """
    content = BytesIO()
    table.write_parquet(content)
    path.write_bytes(content.getvalue())


@contextmanager
def from_cache(path: Path, remove: Path) -> Iterator[None]:
    """For the line that reads `path`. Raises UserError, which says what to `remove`, where that is damaged."""
    with read_whole(f"{path} in the cache", f"remove {remove} and run the same command again, which makes it anew"):
        yield


@contextmanager
def read_whole(what: str, mend: str) -> Iterator[None]:
    """For the lines that read files of the harness's. Raises UserError, which ends with `mend`, for damaged ones."""
    try:
        yield
    except PermissionError:
        raise  # there is nothing wrong with it
    except _DAMAGE as error:
        raise UserError(f"{what} is damaged ({type(error).__name__}: {error}); {mend}") from error
