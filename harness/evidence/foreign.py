"""Stored folders that this version did not write, and may not hold what they should: that is said, and no traceback.

    with foreign(run.folder):
        write_report(run)               # UserError where the folder is at fault
    with foreign(ablation, what="an ablation"):
        show_ablation(ablation)
    except NO_RUN as error: left_out[folder.name] = why_no_run(error)

What proves itself was written by this version: what goes wrong with it is a fault of the code, and shown as one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polars.exceptions import PolarsError

from harness.core.errors import UserError
from harness.core.json_file import is_proven
from harness.core.manifest import MANIFEST
from harness.evidence.proven_table import carries_proof
from harness.evidence.record import DAMAGED

_ODD = (PolarsError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError)
NO_RUN = (UserError, *_ODD)  # of what other programs wrote there


def why_no_run(error: BaseException) -> str:
    """What a list says of a folder that it leaves out."""
    if isinstance(error, UserError):
        return str(error)
    return f"it holds other things than a run does ({_shown(error)})"


@contextmanager
def foreign(*folders: Path, what: str = "a run") -> Iterator[None]:
    """For what reads runs, or `what` it is. Raises UserError where one that proves nothing holds something else."""
    try:
        yield
    except UserError:
        raise
    except _ODD as error:
        odd = [folder for folder in folders if not _proves_itself(folder)]
        if not odd:
            raise
        names = " or ".join(map(str, odd))
        raise UserError(f"{names} does not hold what {what} holds ({_shown(error)}); {DAMAGED}") from error


def _proves_itself(folder: Path) -> bool:
    if (folder / "run.json").exists():
        return (folder / MANIFEST).is_file() and is_proven(folder / "run.json")
    return is_proven(folder / "about.json") and all(carries_proof(path) for path in folder.glob("*.parquet"))


def _shown(error: BaseException) -> str:
    first = (str(error).strip() or "?").splitlines()[0][:120]
    return f"{type(error).__name__}: {first}"
