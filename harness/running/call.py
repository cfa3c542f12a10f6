"""A run as a call from Python, and its tables.

run = harness.run(method="iro", task="toy", limit=12, iro={"width": 3})      # python -m harness run ...
run.completions                                                             # polars
harness.load_run("toy-3f2a")
"""

from pathlib import Path
from typing import Any

from harness.core.nested import flatten
from harness.core.results_folder import results_folder
from harness.evidence.store import Run, find_run
from harness.evidence.store import load_run as load_tables


def run(
    method: str | list[str] = "iro",
    task: str = "imdb",
    out: str | Path | None = None,
    *,
    config: str | Path | None = None,
    fresh: bool = False,
    **options: Any,
) -> Run:
    """Do a run or find it done, write its report, and load its tables.

    `options` are those of the command (model, profile, preset, seed, limit, only, device, dtype, workers), and
    settings as --set and --config have them: width=4, or iro={"width": 4}. With `config`, a file of them, method and
    task are the file's where they are left at their defaults. Raises UserError for what the command refuses.
    """
    from harness.evidence.report import write_report
    from harness.running.options import DEFAULTS, options_from

    where = None if out is None else str(out)
    named = {"method": method, "task": task, "out": where, **{k: v for k, v in options.items() if k in DEFAULTS}}
    if config is not None or "data" in options:
        named = {name: value for name, value in named.items() if value != DEFAULTS[name]}
    settings = {name: value for name, value in options.items() if name not in DEFAULTS}
    read = options_from(named | {"fresh": fresh}, flatten(settings), None if config is None else Path(config))
    from harness.running.config import resolve
    from harness.running.ranks import join_ranks
    from harness.running.run import complete

    ranks = join_ranks()
    folder = complete(resolve(read.request), read.workspace, ranks, read.fresh)
    ranks.leave()
    loaded = load_tables(folder)
    if ranks.first:
        write_report(loaded)
    return loaded


def load_run(name: str | Path, out: str | Path | None = None) -> Run:
    """The tables of a finished run by path, id or its beginning in OUT/runs, name, or `latest`; without torch."""
    return load_tables(find_run(results_folder(out), str(name)))
