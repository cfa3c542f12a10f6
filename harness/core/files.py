"""Files that exist are whole: everything is written under a temporary name and renamed; a disk may still lose them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from harness.core.errors import UserError


def cache_folder() -> Path:
    """HARNESS_CACHE, else a folder in the user's cache."""
    if chosen := os.environ.get("HARNESS_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iro-harness"


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
