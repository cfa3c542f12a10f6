"""Numbers and tables that pages take from stored runs, between markers; `python -m tests.quotes` writes them anew.

gains <!--q imdb-050d22a3a2 iro/3/value against_best_of_n-->+0.59 [+0.52, +0.68]<!--/q-->
<!--q imdb-050d22a3a2 iro/3/value-args/0/first gold-->                  # their difference, paired by prompt
<!--table imdb-050d22a3a2-->...<!--/table-->                            # a row a method
    <!--screen run --task toy-->...<!--/screen-->                           # what a command ends on, 80 columns wide
"""

import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate
from harness.evidence.accuracies import accuracies_of, percents
from harness.evidence.markdown import giga, markdown_table, percent, signed
from harness.evidence.names import display_name
from harness.evidence.refits import golds_by_fit
from harness.evidence.row import Comparison, Costs, OverRefits
from harness.evidence.schema import Row
from harness.evidence.screen import chosen_rows
from harness.evidence.store import Run, find_run, load_run
from harness.evidence.table import answers_by_row, comparison

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "results" / "README.md")
_QUOTE = re.compile(r"<!--q (\S+) (\S+) ([^\s>]+)-->(.*?)<!--/q-->", re.S)
_TABLE = re.compile(r"<!--table ([^\s>]+)-->\n(.*?)<!--/table-->", re.S)
_SCREEN = re.compile(r"<!--screen (.+?)-->\n(.*?)<!--/screen-->", re.S)


def written_anew(page: str) -> str:
    """The page with every number, table and screen as it is today."""
    return _SCREEN.sub(
        lambda m: f"<!--screen {m[1]}-->\n```\n{screen(m[1])}```\n<!--/screen-->", numbers_written_anew(page)
    )


def numbers_written_anew(page: str) -> str:
    """The page with every quote and table as the stored runs give it."""
    page = _QUOTE.sub(lambda m: f"<!--q {m[1]} {m[2]} {m[3]}-->{quote(m[1], m[2], m[3])}<!--/q-->", page)
    return _TABLE.sub(lambda m: f"<!--table {m[1]}-->\n{table(m[1])}<!--/table-->", page)


def screen(words: str) -> str:
    """What a command prints in an empty folder, with an empty cache, of code that is committed."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {**os.environ, "COLUMNS": "80", "HARNESS_CACHE": str(Path(folder) / "cache")}
        command = [sys.executable, "-P", "-m", "harness", *words.split()]
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=True)
    return done.stdout.replace("mind the code had uncommitted changes\n", "")


def quoted(page: str) -> list[str]:
    """The numbers that are quoted in running text."""
    return [m[4] for m in _QUOTE.finditer(page)]


def without_what_is_quoted(page: str) -> str:
    return _QUOTE.sub("", _TABLE.sub("", _SCREEN.sub("", page)))


def quoted_runs(page: str) -> set[str]:
    return {m[1] for pattern in (_QUOTE, _TABLE) for m in pattern.finditer(page)}


def quote(run: str, rows: str, field: str) -> str:
    """A field of a row of a run's table, or of the difference of two rows in gold, in the first fit or over all."""
    if "-" in rows:
        ours, theirs = (_key(row) for row in rows.split("-"))
        assert field in ("gold", "gold_over_refits"), f"{rows} differ in gold alone, not in {field}"
        return str(signed(_difference(_run(run), ours, theirs, over_refits=field == "gold_over_refits")))
    if field.startswith("accuracy."):
        return percents(accuracies_of(_run(run))[_key(rows)][field.removeprefix("accuracy.").replace("_", " ")]) or ""
    name, _, form = field.partition(":")
    value: Any = _rows(run)[_key(rows)]
    for part in name.split("."):
        value = getattr(value, part)
    return percent(value) if form == "percent" else _shown(name, value)


def table(run: str) -> str:
    """A row a method, the best by gold first: its last iteration and cheapest pick."""
    everything = comparison(_run(run))
    rows = chosen_rows(everything, most=len({row.key.method for row in everything}))
    cells = [
        {
            "method": display_name(row.key.method)
            + (" (weights trained)" if row.trains_weights else "")
            + (" (oracle)" if row.is_oracle else ""),
            "gold, sd [95%]": row.gold.shown(),
            "over fits": "" if row.over_refits is None else _over(row.over_refits),
            "against best-of-n [95%]": signed(row.against_best_of_n) or "",
            "GFLOPs a prompt (with fitting)": _with_fitting(row.costs),
            "reward calls": f"{row.costs.reward_calls:.0f}",
        }
        for row in rows
    ]
    return "\n".join(markdown_table(cells)) + "\n"


def _with_fitting(costs: Costs) -> str:
    assert costs.flops is not None and costs.flops_with_fitting is not None
    return f"{giga(costs.flops)} ({giga(costs.flops_with_fitting)})"


def _over(refits: OverRefits) -> str:
    return f"{refits.gold_over_refits.value:.2f} ± {refits.sd_of_refits:.2f}"


def _shown(field: str, value: Any) -> str:
    match field, value:
        case _, Estimate() if "win_rate" in field or "share" in field:
            return percent(value)
        case _, Estimate() if "against" in field:
            return str(signed(value))
        case _, float() if "flops" in field:
            return giga(value)
        case _, float():
            return f"{value:.2f}"
    return str(value)


def _key(row: str) -> Row:
    method, iteration, pick = row.split("/")
    return Row(method, int(iteration), pick)


@cache
def _run(run: str) -> Run:
    return load_run(find_run(ROOT / "results", run))


@cache
def _rows(run: str) -> dict[Row, Comparison]:
    return {row.key: row for row in comparison(_run(run))}


def _difference(run: Run, ours: Row, theirs: Row, over_refits: bool) -> Estimate:
    """Paired by prompt; over refits, prompts and fits are drawn crossed, and what is fitted once is the same in all."""
    parts = answers_by_row(run)
    golds = [golds_by_fit(run, parts, key) for key in (ours, theirs)]
    if not over_refits:
        return stats.difference(golds[0][0], golds[1][0])
    fits, prompts = max(map(len, golds)), parts[ours]["prompt_id"].to_list()
    assert {len(of) for of in golds} <= {1, fits} and prompts == parts[theirs]["prompt_id"].to_list()
    pair = [np.concatenate(list(of) * (fits // len(of))) for of in golds]
    return stats.difference_over_seeds(*pair, prompts * fits, np.repeat(np.arange(fits), len(prompts)))


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written_anew(path.read_text(encoding="utf-8")), encoding="utf-8")
