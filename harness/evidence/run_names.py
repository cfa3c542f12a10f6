"""Names that people give to runs: OUT/names/<name>.json says which run; the run itself knows nothing of them.

give_name(out, "first", "toy-3f2a90c1d7")
named_run(out, "first")     # "toy-3f2a90c1d7"
names_by_run(out)           # {"toy-3f2a90c1d7": ["first"]}

One file a name: two commands at once cannot take the same one, nor lose each other's, and git merges two people's.
"""

import errno
import json
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from harness.core.errors import UserError, unknown
from harness.core.files import PART, to_disk

LATEST = "latest"  # the newest finished run, where a run is asked for
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")


def checked_name(text: str) -> str:
    """The name as it was given. Raises UserError, with one that would do, where it cannot be a file's everywhere."""
    if _NAME.fullmatch(text) and text != LATEST:
        return text
    slug = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:60]
    hint = f", such as {slug!r}" if slug and slug != LATEST else ""
    what = "means the newest run" if text == LATEST else "cannot be a name"
    raise UserError(
        f"--name {text!r} {what}; give at most 60 small letters, digits, dots, - and _, the first a letter or "
        f"digit{hint}"
    )


def require_free(out: Path, name: str, run: str) -> None:
    """Raises UserError where a name means another run that is still there, or is another run's id."""
    other = named_run(out, name)
    if other is not None and other != run and (out / "runs" / other).is_dir():
        raise UserError(
            f"the name {name!r} is that of {other}; choose another for {run}, or free it with `harness name --remove "
            f"{name}`"
        )
    if name != run and (out / "runs" / name).is_dir():
        raise UserError(f"the name {name!r} is the id of another run than {run}; choose another")


def give_name(out: Path, name: str, run: str) -> Path:
    """Let a name mean a run from now on; a run may have several. Raises UserError where the name is not free."""
    checked_name(name)
    require_free(out, name, run)
    path = _path(out, name)
    if named_run(out, name) == run:
        return path
    path.unlink(missing_ok=True)  # of a run that is gone
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{name}.{secrets.token_hex(4)}{PART}"
    try:
        part.write_text(json.dumps({"run": run}) + "\n", encoding="utf-8")
        to_disk([part])
        os.link(part, path)  # whole at once, and not where another command was faster
    except FileExistsError:
        require_free(out, name, run)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        part.replace(path)  # this file system has no links
    finally:
        part.unlink(missing_ok=True)
    return path


def free_name(out: Path, name: str) -> str:
    """Let a name mean nothing any more; the run that it meant, or "damaged".

    Raises UserError for a name that nobody gave.
    """
    try:
        run = named_run(out, name)
    except UserError:
        run = "damaged"
    if run is None:
        raise unknown("name", name, _given(out))
    _path(out, name).unlink()
    return run


def named_run(out: Path, name: str) -> str | None:
    """The id of the run that a name means; None where nobody gave that name."""
    if not _NAME.fullmatch(name) or not (path := _path(out, name)).is_file():
        return None
    try:
        run = json.loads(path.read_text(encoding="utf-8"))["run"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} names no run ({error}); {_mend(name)}") from error
    if not isinstance(run, str):
        raise UserError(f"{path} names {run!r:.60} where the id of a run belongs; {_mend(name)}")
    return run


def names_by_run(out: Path, damaged: Callable[[str, str], None] = lambda name, why: None) -> dict[str, list[str]]:
    """Run id -> its names; `damaged` hears of the files that name no run, and why."""
    found: dict[str, list[str]] = {}
    for name in _given(out):
        try:
            run = named_run(out, name)
        except UserError as error:
            damaged(f"names/{name}.json", str(error))
            continue
        if run is not None:
            found.setdefault(run, []).append(name)
    return found


def _given(out: Path) -> list[str]:
    return sorted(path.stem for path in (out / "names").glob("*.json") if _NAME.fullmatch(path.stem))


def _mend(name: str) -> str:
    return f"free it with `harness name --remove {name}` and give it again"


def _path(out: Path, name: str) -> Path:
    return out / "names" / f"{name}.json"
