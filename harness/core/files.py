"""Files that exist are whole: everything is written under a temporary name and renamed; a disk may still lose them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from harness.core.errors import UserError


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
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        if path.is_dir():  # made by another process meanwhile, from the same inputs
            return
        part.rename(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


@contextmanager
def from_cache(path: Path, remove: Path) -> Iterator[None]:
    """For the line that reads `path`. Raises UserError, which says what to `remove`, where that is damaged."""
    try:
        yield
    except (OSError, EOFError, ValueError, BadZipFile) as error:
        raise UserError(
            f"{path} in the cache is damaged ({error}); remove {remove} and run the same command again, which makes it "
            "anew"
        ) from error
