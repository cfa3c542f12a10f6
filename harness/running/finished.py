"""Whether a run is finished and as it was written, so that it is found done; else what is wrong with it.

holds(folder)                # True: it is shown, and never written again
problems_of_run(folder)      # of one that was finished once: the same command makes it again
"""

from pathlib import Path

from harness.core.errors import UserError
from harness.evidence.record import read_record
from harness.evidence.store import TABLES, is_done, read_about, table_problems
from harness.running.fitted import fitted_problems


def holds(folder: Path) -> bool:
    """Whether a finished run lies there, with all that it wrote."""
    try:
        return is_done(folder) and not problems_of_run(folder)
    except UserError:
        return False


def problems_of_run(folder: Path) -> list[str]:
    """What is wrong with a run that was finished, a line each; nothing with one that is not there, or only begun."""
    try:
        if not is_done(folder):
            return []
        read_record(folder / "run.json", read_about(folder))
    except UserError as error:
        return [str(error)]
    missing = [f"{name}.parquet is missing" for name in TABLES if not (folder / f"{name}.parquet").is_file()]
    return list(dict.fromkeys([*missing, *table_problems(folder), *fitted_problems(folder / "fitted")]))
