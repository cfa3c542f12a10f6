"""What is large or takes long: taken from the cache where it is as it was written, else made again.

    take_or_make(folder, cache, "the model", lambda: folder_problems(folder, cache), lambda: convert(folder))

A file is read in full once, and then not again while size, times and inode are those it was read at (contents.py);
`--verify` has all be read again. What an earlier version left without a manifest is believed, and gets one.
"""

import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path

from harness.core.contents import files_below, sha256_of
from harness.core.lock import LOCKS, alone
from harness.core.manifest import MANIFEST, entry_of, listed_in, problems_of, write_entries, write_manifest
from harness.core.printable import printable

_NAMED = 3  # problems that a line names


def take_or_make(path: Path, root: Path, what: str, wrong: Callable[[], list[str]], make: Callable[[], None]) -> bool:
    """Have `make` write what is not there or has something `wrong`, one process at a time; a line says what it is.

    `root` holds the locks: the cache, or OUT. False where it is as it was.
    """
    if path.exists() and not wrong():
        return False
    with alone(root / LOCKS / f"{path.parent.name}-{path.name}", what):
        if path.exists():
            if not (problems := wrong()):
                return False  # another process was faster
            said = f"{path} is damaged ({'; '.join(problems[:_NAMED])}); made again"
            print(printable(said), file=sys.stderr, flush=True)
        make()
    return True


def folder_problems(folder: Path, cache: Path, apart: Collection[str] = ()) -> list[str]:
    """What of a folder is not as it was written. What lies there besides is not looked at.

    Folders that are `apart` were put there later, and have manifests of their own.
    """
    sha256 = partial(sha256_of, cache=cache)
    if (folder / MANIFEST).exists():
        return problems_of(folder, sha256=sha256)
    names = [name for name in files_below(folder) if name.partition("/")[0] not in apart]
    if not names:
        return ["it is empty"]
    with suppress(PermissionError):
        write_manifest(folder, names, sha256=sha256)
    return []


def file_problems(path: Path, cache: Path) -> list[str]:
    """The same of one file, by the manifest of its folder, which other files share."""
    sha256 = partial(sha256_of, cache=cache)
    try:
        listed = listed_in(path.parent)
    except FileNotFoundError:
        listed = {}
    except (OSError, ValueError) as error:
        return [f"{MANIFEST} is no list of files ({error})"]
    if path.name in listed:
        return problems_of(path.parent, [path.name], sha256)
    with suppress(PermissionError):
        write_entries(path.parent, {**listed, path.name: entry_of(path, sha256=sha256)})
    return []


def list_anew(path: Path) -> None:
    """Have the manifest of a file's folder list it as it is now; of a damaged manifest nothing else is kept."""
    try:
        listed = listed_in(path.parent)
    except (OSError, ValueError):
        listed = {}
    write_entries(path.parent, {**listed, path.name: entry_of(path)})
