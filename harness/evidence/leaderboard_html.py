"""The leaderboard as a page: one row a method and final pick, or every row; each column sorts the table."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from math import isnan
from urllib.parse import quote

from harness.evidence.leaderboard_markdown import (
    NUMBERS,
    SHORT,
    cells_of,
    intro,
    settings_apart,
    settings_of,
    values_of,
    where,
)
from harness.evidence.leaderboard_row import Entry
from harness.evidence.page.markup import HERE, document, scripts, to_html

COLUMNS = (*SHORT[:-1], "proxy (sd)", "tokens", "policy tokens", "values", "other seeds", "run")
OTHERS = ("why not above", *COLUMNS, "where")
_FIRST = "One row a method and final pick, the highest gold first. The head of a column sorts by it."
_SCRIPTS = ("elements.js", "state.js", "sort.js", "board.js")


def html(
    shown: Sequence[Entry],
    rows: Sequence[Entry],
    others: Sequence[Entry],
    unfinished: Sequence[str],
    left_out: Mapping[str, str],
) -> str:
    """leaderboard.html; the figure stays a file beside it."""
    apart, first = settings_apart(rows, others), {id(entry) for entry in shown}
    parts = ['<main class="wide">', "<h1>Leaderboard</h1>", f"<p>{_FIRST}</p>"]
    if rows:
        parts.append('<label class="check"><input type="checkbox" id="every"> every iteration and all settings</label>')
    for title, section in groupby(rows, lambda entry: entry.title):
        entries = list(section)
        lines = [_line(entry, cells_of(entry, apart), id(entry) not in first) for entry in entries]
        own = settings_of([entry for entry in entries if id(entry) in first])
        items = "\n".join(f"<li><code>{escape(name)}</code>: {escape(words)}</li>" for name, words in own.items())
        parts += [f"<h2>{escape(title)}</h2>", _table(COLUMNS, lines, title)]
        parts.append(f"<details><summary>Settings of these rows</summary>\n<ul>\n{items}\n</ul></details>")
    if rows:
        parts.append('<img src="leaderboard.png" alt="gold by method">')
    if others:
        cells = [{"why not above": entry.reason, **cells_of(entry, apart), "where": where(entry)} for entry in others]
        lines = [_line(entry, of, False, OTHERS) for entry, of in zip(others, cells, strict=True)]
        table = _table(OTHERS, lines, "other runs")
        parts.append(f"<details><summary>Other runs, and why they stand in no table above</summary>\n{table}</details>")
    parts += map(to_html, intro([*rows, *others]))
    if unfinished:
        parts.append(f"<p>Not finished, and not read: {escape(', '.join(unfinished))}.</p>")
    if left_out:
        parts.append(f"<p>Left out, since they cannot be read: {escape(', '.join(left_out))}.</p>")
    style = "".join((HERE / name).read_text(encoding="utf-8") for name in ("sort.css", "board.css"))
    return document("Leaderboard", "\n".join([*parts, "</main>"]), scripts(_SCRIPTS), style)


def _table(columns: Sequence[str], lines: Sequence[str], label: str) -> str:
    heads = "".join(f'<th scope="col"{_number(name)}>{escape(name)}</th>' for name in columns)
    body = "\n".join(lines)
    table = f'<table class="sortable">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">\n{table}\n</div>'


def _line(entry: Entry, cells: Mapping[str, str], is_more: bool, columns: Sequence[str] = COLUMNS) -> str:
    """A row; one that is shown among all rows alone is marked as such."""
    values = values_of(entry)
    first, *rest = (_cell(name, cells[name], entry, values) for name in columns)
    kind = ' class="more"' if is_more else ""
    return f'<tr{kind}><th scope="row">{first[1]}</th>' + "".join(f"<td{of}>{text}</td>" for of, text in rest) + "</tr>"


def _cell(name: str, text: str, entry: Entry, values: Mapping[str, float | None]) -> tuple[str, str]:
    """Attributes and content."""
    if name == "run":
        return "", f'<a href="runs/{quote(entry.run_id)}/report.md">{escape(entry.run_id)}</a>'
    if name not in NUMBERS:
        return "", escape(text)
    value = values[name]
    known = "" if value is None or isnan(value) else f"{value:.6g}"
    return f'{_number(name)} data-value="{known}"', escape(text)


def _number(name: str) -> str:
    return ' class="number"' if name in NUMBERS else ""
