"""A stored run as one page to look at: what it found, every answer and search tree, its report; no torch.

python -m harness report imdb-3f2a --html       # writes report.html into the run's folder; it needs no other file
python -m harness view imdb-3f2a                # the same, and opens it
"""

import re
from html import escape
from pathlib import Path

from harness.core.files import whole
from harness.evidence.checkers import shared_in_words
from harness.evidence.command import made_by
from harness.evidence.page.answers import page_data
from harness.evidence.page.figures import with_figures
from harness.evidence.page.markup import HERE, document, scripts, to_html
from harness.evidence.page.verdict import TableRow, others, stored_rows, verdict
from harness.evidence.store import Run

_SCRIPTS = ("elements.js", "state.js", "tree.js", "page.js")  # in the order in which they need each other


def write_page(run: Run) -> Path:
    """Write report.html from report.md, table.parquet, the figures and the tables in the run's folder; its path."""
    path = run.folder / "report.html"
    with whole(path) as part:
        part.write_text(page_of(run), encoding="utf-8")
    return path


def page_of(run: Run, home: str = "") -> str:
    """The page; `home` is where it links to as the page of all runs, if there is one."""
    table = stored_rows(run.folder)
    top, *rest = re.split(r"(?m)^(?=## )", (run.folder / "report.md").read_text(encoding="utf-8"))
    _, *blocks = top.split("\n\n")  # the heading, which the page has
    blocks = [block for block in blocks if not block.startswith("Made by `")]  # likewise
    first, more = (with_figures(to_html(part), run.folder) for part in ("\n\n".join(blocks), "".join(rest)))
    body = "\n".join(
        [
            "<main>",
            _head(run, table, home),
            (HERE / "browser.html").read_text(encoding="utf-8"),
            f'<section id="report" aria-labelledby="report-title">\n<h2 id="report-title">Report</h2>\n{first}',
            f"<details><summary>The rest of the report</summary>\n{more}\n</details>\n</section>",
            "</main>",
        ]
    )
    style = (HERE / "page.css").read_text(encoding="utf-8")
    return document(run.id, body, scripts(_SCRIPTS, page_data(run, table)), style)


def _head(run: Run, table: list[TableRow], home: str) -> str:
    config, command = run.record.config, made_by(run.record)
    asked = f"{run.record.task_name}, {config.model}, profile {config.profile}, seed {config.seed}"
    lines = [f'<p class="home"><a href="{escape(home)}">All runs</a></p>'] if home else []
    said = verdict(table)
    sentence = f"<strong>{escape(said.found)}</strong>, {escape(said.cost)}."
    lines += [f"<h1>{escape(run.id)}</h1>", f'<p id="verdict" class="verdict">{sentence}</p>']
    lines += [f"<p>{escape(shared)}.</p>"] if (shared := shared_in_words(run.record)) else []
    lines += [f"<p>{escape(more)}</p>"] if (more := others(table)) else []
    lines.append(f'<p class="facts">{escape(asked)}; commit {escape(run.record.short_commit)}.</p>')
    if command is not None:
        lines.append(f'<details class="command"><summary>The command</summary><pre>{escape(command)}</pre></details>')
    return "<header>\n" + "\n".join(lines) + "\n</header>"
