"""A run's table as a paper wants it: chosen rows and columns as LaTeX, Markdown or CSV. It computes nothing.

part = part_of(load_run(find_run(out, "latest")), rows="best_of_n,iro:last", columns="gold,reward_calls")
latex(part), markdown(part), csv_text(part)
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from harness.core.statistics.stats import Estimate
from harness.evidence.checkers import shared_in_words
from harness.evidence.choice import chosen_columns, chosen_rows
from harness.evidence.clusters import column_of, resampled
from harness.evidence.export_columns import COLUMNS, USUAL, values_of
from harness.evidence.graders import ORACLE, oracle_columns
from harness.evidence.markdown import in_range, markdown_table, one_line
from harness.evidence.row import Comparison, flat
from harness.evidence.schema import ROW
from harness.evidence.store import Run
from harness.evidence.table import comparison

_ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
    "|": r"\textbar{}", "²": "$^2$", **{c: f"\\{c}" for c in "&%$#_{}"},
}  # fmt: skip
_SCORES = {"gold": ("gold", "against_", "share_of_best"), "proxy": ("proxy",)}  # -> how their columns begin
_P_VALUES = ("p_holm", "p_gain_holm")  # of paired differences in gold
_P_WINS = ("p_wins_holm", "p_wins_over_best_of_n_holm")


@dataclass(frozen=True)
class Part:
    """Chosen rows of a run's table and the names of chosen columns."""

    run: Run
    rows: Sequence[Comparison]
    columns: Sequence[str]


@dataclass(frozen=True)
class _Cell:
    name: str  # of the column
    text: str
    is_bold: bool


def part_of(run: Run, rows: str | None, columns: str | None) -> Part:
    """What `choice` makes of both texts. Raises UserError, which lists what there is, for an unknown row or column."""
    table = {row.key: row for row in comparison(run)}
    names = chosen_columns(COLUMNS, columns, USUAL)
    chosen = [table[key] for key in chosen_rows(list(table), rows, run.id)]
    return Part(run, chosen, names)


def csv_text(part: Part) -> str:
    """The numbers as they are in table.parquet: an estimate is five columns; a line begins with what names its row."""
    values = [values_of(row) for row in part.rows]
    lines = [
        {**row.key._asdict(), **flat({name: of[name] for name in part.columns if name not in ROW})}
        for row, of in zip(part.rows, values, strict=True)
    ]
    known = {name for line in lines for name, value in line.items() if not _is_missing(value)}
    names = [*ROW]
    if any(row.is_oracle for row in part.rows) and "is_oracle" not in part.columns:
        lines = [{**line, "is_oracle": row.is_oracle} for line, row in zip(lines, part.rows, strict=True)]
        names.append("is_oracle")
    for name in part.columns:
        parts = [f"{name}_{part}" for part in ("low", "high", "n", "p")]
        names += [] if name in ROW else [name, *(one for one in parts if one in known)]
    file = io.StringIO()
    writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if _is_missing(value) else value for name, value in line.items()} for line in lines)
    return file.getvalue()


def markdown(part: Part) -> str:
    """A table with the caption below it."""
    rows = [
        {COLUMNS[cell.name].header: f"**{cell.text}**" if cell.is_bold else one_line(cell.text) for cell in cells}
        for cells in _cells(part)
    ]
    return "\n".join([*markdown_table(rows), "", caption(part)]) + "\n"


def latex(part: Part) -> str:
    """A table environment with booktabs' rules; `\\usepackage{booktabs}` is all that it needs."""
    header = " & ".join(_escaped(COLUMNS[name].header) for name in part.columns)
    kinds = "".join("l" if COLUMNS[name].is_text else "r" for name in part.columns)
    lines = [
        " & ".join(f"\\textbf{{{_escaped(cell.text)}}}" if cell.is_bold else _escaped(cell.text) for cell in cells)
        for cells in _cells(part)
    ]
    return "\n".join([
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_escaped(caption(part))}}}",
        f"  \\label{{tab:{re.sub(r'[^A-Za-z0-9-]', '-', part.run.id)}}}",
        f"  \\begin{{tabular}}{{{kinds}}}",
        r"    \toprule",
        f"    {header} \\\\",
        r"    \midrule",
        *(f"    {line} \\\\" for line in lines),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]) + "\n"  # fmt: skip


def caption(part: Part) -> str:
    """What the table shows: task, model, n and slice, units, intervals, and how each kind of p was tested."""
    record, columns = part.run.record, set(part.columns)
    n = f"n = {in_range(row.gold.n for row in part.rows)}"
    where = f"{record.task_name}, {record.model_name or 'unknown model'}"
    said = [f"{where}: {n} {record.settings('evaluate').get('slice', '')} prompts, seed {record.config.seed}."]
    scores = [name for name, first in _SCORES.items() if any(column.startswith(first) for column in columns)]
    if scores:
        verb = "are" if len(scores) > 1 else "is"
        said.append(f"{' and '.join(scores).capitalize()} {verb} in standard deviations of base samples.")
    estimates = [value for row in part.rows for name, value in values_of(row).items() if name in columns]
    if any(isinstance(value, Estimate) for value in estimates):
        over_what = resampled(part.rows[0].clusters, column_of(record))
        said.append(f"In brackets: 95% bootstrap intervals over {over_what}.")
    if any(column.endswith("over_refits") for column in columns):
        said.append("Over refits: over prompts and refits, drawn crossed; all else is of the first fit.")
    holm = "Holm's correction over all rows of the run's table"
    if columns & set(_P_VALUES):
        said.append(f"p: two-sided bootstrap test of paired differences, {holm}.")
    if columns & set(_P_WINS):
        test = "McNemar's exact test" if part.rows[0].clusters is None else "exact sign flips of clusters"
        said.append(f"p of wins: {test}, ties left out, {holm}.")
    if columns & {"against_best_of_n", "p_holm", "share_of_best_of_n", "win_rate_over_best_of_n"}:
        said.append(_beside(part.rows))
    if any(row.is_oracle for row in part.rows):
        said.append(
            f"Rows marked {ORACLE} ask a grader while they answer, and it reads columns of the row "
            f"({', '.join(oracle_columns(record))})."
        )
    if any(COLUMNS[name].best for name in columns):
        said.append("Bold: the best of the rows that train no weights.")
    if record.agreement is not None and record.agreement.warning:
        said.append(f"{record.agreement.warning}.")
    if shared := shared_in_words(record):
        said.append(f"{shared}.")
    return " ".join(" ".join([*said, f"Run {part.run.id}, commit {record.short_commit}."]).split())


def _beside(rows: Sequence[Comparison]) -> str:
    """Which best-of-n the rows are set beside, and why some are beside none."""
    names = dict.fromkeys(row.beside for row in rows if row.beside)
    said = f"Best-of-n: {', '.join(names)}." if names else "No row is compared with best-of-n."
    if len(names) > 1:
        said = f"Best-of-n: at as many rows a prompt as the method takes, else the run's own ({', '.join(names)})."
    why = dict.fromkeys(f"{row.key.name} is not compared: {row.not_compared}." for row in rows if row.not_compared)
    return " ".join([said, *why])


def _cells(part: Part) -> list[list[_Cell]]:
    """The cells of each row; in bold, of the columns that have a best, that of the rows that train no weights."""
    values = [values_of(row) for row in part.rows]
    best = {name: _best(name, part.rows, values) for name in part.columns if COLUMNS[name].best}
    return [
        [
            _Cell(
                name,
                _shown(name, of[name]) + _mark(name, row, part.columns),
                name in best and not row.trains_weights and _is(best[name], of[name]),
            )
            for name in part.columns
        ]
        for row, of in zip(part.rows, values, strict=True)
    ]


def _mark(name: str, row: Comparison, columns: Sequence[str]) -> str:
    """Beside the pick of an oracle, or its method where no pick is shown."""
    return f" ({ORACLE})" if row.is_oracle and name == ("final_pick" if "final_pick" in columns else "method") else ""


def _shown(name: str, value: Any) -> str:
    return "" if _is_missing(value) else COLUMNS[name].shown(value) or ""


def _best(name: str, rows: Sequence[Comparison], values: Sequence[Mapping[str, Any]]) -> float | None:
    heights = [of[name].value for row, of in zip(rows, values, strict=True) if not row.trains_weights and of[name]]
    return max((height for height in heights if not isnan(height)), default=None)


def _is(best: float | None, value: Estimate | None) -> bool:
    return value is not None and value.value == best


def _is_missing(value: Any) -> bool:
    number = value.value if isinstance(value, Estimate) else value
    return number is None or (isinstance(number, float) and isnan(number))


def _escaped(text: str) -> str:
    """Text as LaTeX sets it; a minus before a number is one."""
    made = "".join(_ESCAPES.get(c, c if c.isprintable() else " ") for c in text)
    made = re.sub(r"(?<![\w}])-(?=[\d.])", "$-$", made)
    return made.replace(" - ", " $-$ ")
