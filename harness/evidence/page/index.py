"""All stored runs on one page: a table to filter and sort, from which each run's own page is opened; no torch.

runs = listed(Path("results"))            # what run.json and table.parquet of every folder say
index_page(runs, pages, Path("results"))  # HTML
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.core.errors import UserError
from harness.core.statistics.stats import Estimate
from harness.evidence.foreign import NO_RUN, why_no_run
from harness.evidence.page.markup import HERE, document, scripts
from harness.evidence.page.verdict import TableRow, main_row, stored_rows
from harness.evidence.record import RunRecord, read_record
from harness.evidence.run_names import names_by_run
from harness.evidence.schema import REFERENCES
from harness.evidence.store import is_done, read_about

_SCRIPTS = ("elements.js", "state.js", "sort.js", "index.js")


@dataclass(frozen=True)
class Listed:
    """A stored run, as far as a list of runs needs it."""

    folder: Path
    names: list[str]  # that people gave it
    record: RunRecord
    date: str  # of its last opening of the test slice; empty where none was recorded
    rows: list[TableRow]


@dataclass(frozen=True)
class Listing:
    runs: list[Listed]  # the newest first
    left_out: Mapping[str, str]  # name of a folder -> why it is not a run to show


def listed(out: Path) -> Listing:
    """Read OUT/runs without its large tables. Raises UserError where there is no run at all."""
    runs, left_out = list[Listed](), dict[str, str]()
    names = names_by_run(out, left_out.__setitem__)
    for folder in sorted(path for path in (out / "runs").glob("*") if path.is_dir()):
        try:
            found = _listed(folder, names.get(folder.name, []))
            json.dumps(_shown(found, None), allow_nan=False)  # as the page holds it
        except NO_RUN as error:
            left_out[folder.name] = why_no_run(error)
        else:
            runs.append(found)
    if not runs and not left_out:
        raise UserError(f"there is no run in {out / 'runs'} to show; `harness run --task toy` makes one in seconds")
    return Listing(sorted(runs, key=lambda run: (run.date, run.folder.name), reverse=True), left_out)


def index_page(listing: Listing, pages: Mapping[str, str], out_name: str) -> str:
    """The page. `pages`: id of a run -> the address of its page, beside this one."""
    data = {"runs": [_shown(run, pages.get(run.folder.name)) for run in listing.runs]}
    body = (HERE / "index.html").read_text(encoding="utf-8").replace("{{left out}}", _left_out(listing.left_out))
    style = (HERE / "sort.css").read_text(encoding="utf-8") + (HERE / "index.css").read_text(encoding="utf-8")
    return document(f"Runs in {out_name}", body, scripts(_SCRIPTS, data), style)


def _listed(folder: Path, names: list[str]) -> Listed:
    if not (folder / "run.json").is_file():
        raise UserError("it has no run.json")
    about = read_about(folder)
    if not is_done(folder):
        raise UserError("it is not finished; the command that began it goes on")
    record = read_record(folder / "run.json", about)
    if not (folder / "table.parquet").is_file():
        raise UserError(f"it has no table.parquet; `harness report {folder.name}` makes it")
    noted = about.get("openings")
    openings = [str(one.get("time", "")) for one in noted if isinstance(one, dict)] if isinstance(noted, list) else []
    date = max(openings, default="")[:16].replace("T", " ")
    return Listed(folder, names, record, date, stored_rows(folder))


def _shown(run: Listed, page: str | None) -> dict[str, Any]:
    """A run as the page has it: its facts, and for each method the row that speaks for it."""
    config, rows = run.record.config, run.rows
    methods = {method: main_row(rows, method) for method in dict.fromkeys(row.key.method for row in rows)}
    frozen = [row for row in rows if row.key.method not in REFERENCES and not row.trains_weights]
    gains = [row for row in frozen if row.against_best_of_n is not None]
    best = max(gains, key=lambda row: row.against_best_of_n.value if row.against_best_of_n else 0.0, default=None)
    evaluate = run.record.settings("evaluate")
    return {
        "id": run.folder.name,
        "names": run.names,
        "page": None if page is None else quote(page),
        "date": run.date,
        "task": run.record.task_name,
        "model": config.model or "not recorded",
        "profile": config.profile or "",
        "seed": config.seed,
        "slice": str(evaluate.get("slice", "")),
        "from": run.record.settings_from or "not recorded",
        "methods": {name: _row(row) for name, row in methods.items() if row is not None},
        "best": _row(best or main_row(rows)),
    }


def _row(row: TableRow | None) -> list[Any] | None:
    """[name, n, gold, low, high, gain over best-of-n, low, high, which best-of-n]."""
    if row is None:
        return None
    return [row.name, row.gold.n, *_ends(row.gold), *_ends(row.against_best_of_n), row.beside or ""]


def _ends(of: Estimate | None) -> list[float | None]:
    parts = (None, None, None) if of is None else (of.value, of.low, of.high)
    return [None if part is None or not isfinite(part) else round(part, 3) for part in parts]


def _left_out(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return ""
    items = "\n".join(f"<li><code>{escape(name)}</code>: {escape(why)}</li>" for name, why in left_out.items())
    return f'<section id="left-out"><h2>Left out</h2>\n<ul>\n{items}\n</ul></section>'
