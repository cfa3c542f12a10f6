"""Stored runs that this version did not write, and may not hold what a run holds: that is said, and is no traceback.

    with foreign(run.folder):
        write_report(run)               # UserError where the folder is at fault
    except NO_RUN as error: left_out[folder.name] = why_no_run(error)

A run that proves itself was written by this version: what goes wrong with it is a fault of the code, and shown as one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polars.exceptions import PolarsError

from harness.core.errors import UserError
from harness.core.json_file import is_proven
from harness.core.manifest import MANIFEST
from harness.evidence.record import DAMAGED

_ODD = (PolarsError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError)
NO_RUN = (UserError, *_ODD)  # of what other programs wrote there


def why_no_run(error: BaseException) -> str:
    """What a list says of a folder that it leaves out."""
    if isinstance(error, UserError):
        return str(error)
    return f"it holds other things than a run does ({_shown(error)})"


@contextmanager
def foreign(*folders: Path) -> Iterator[None]:
    """For what reads runs. Raises UserError where one that proves nothing does not hold what a run holds."""
    try:
        yield
    except UserError:
        raise
    except _ODD as error:
        odd = [folder for folder in folders if not _proves_itself(folder)]
        if not odd:
            raise
        names = " or ".join(map(str, odd))
        raise UserError(f"{names} does not hold what a run holds ({_shown(error)}); {DAMAGED}") from error


def _proves_itself(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and is_proven(folder / "run.json")


def _shown(error: BaseException) -> str:
    first = (str(error).strip() or "?").splitlines()[0][:120]
    return f"{type(error).__name__}: {first}"
