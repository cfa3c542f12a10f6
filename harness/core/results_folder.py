"""Where results lie when --out does not say: in the project, whichever of its folders a command is called in.

results_folder()        # results; ../results in a folder below the one that has them
"""

import os
from pathlib import Path

_ROOTS = ("pyproject.toml", ".git")  # what a project's own folder holds


def results_folder(given: str | Path | None = None) -> Path:
    """`given`, or ./results where there is one, else that of the nearest folder above, else ./results all the same.

    Above, only what is a folder of results counts: it holds runs/, or it lies beside pyproject.toml or .git. Nothing
    beyond the project's own folder is looked at, so that one project never writes into the results of another.
    """
    if given is not None:
        return Path(given)
    try:
        here = Path.cwd()
    except FileNotFoundError:  # somebody removed the folder meanwhile
        return Path("results")
    for folder in (here, *here.parents):
        found, is_root = folder / "results", any((folder / name).exists() for name in _ROOTS)
        if found.is_dir() and (folder == here or is_root or (found / "runs").is_dir()):
            return Path(os.path.relpath(found))
        if is_root:
            break
    return Path("results")
