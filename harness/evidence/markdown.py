"""How tables and numbers are written in reports."""

from collections.abc import Mapping, Sequence
from math import isinf, isnan
from typing import Any

from harness.core.statistics.stats import Estimate


def markdown_table(rows: Sequence[Mapping[str, str | None]], unknown: str = "n/a") -> list[str]:
    """Lines of a table. None is not known: `unknown` where another row knows it, else the column is left out."""
    columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + [
        "| " + " | ".join(unknown if row[name] is None else row[name] for name in columns) + " |" for row in rows
    ]


def name_of(row: Mapping[str, Any]) -> str:
    return f"{row['method']} (iteration {row['iteration']})" if row["iteration"] else row["method"]


def number(x: float, spec: str = ".2f") -> str:
    """The number, or nothing for NaN."""
    return "" if isnan(x) else f"{x:{spec}}"


def percent(rate: Estimate) -> str:
    """'89% [86, 92]'."""
    interval = "" if isnan(rate.low) else f" [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"
    return f"{100 * rate.value:.0f}%{interval}"


def reached(where: Estimate, most: int) -> str:
    """'9.3 [7.1, 12.0]'; beyond the last point '>16'."""
    value, low, high = (f">{most}" if isinf(x) else f"{x:.1f}" for x in (where.value, where.low, where.high))
    return value if isnan(where.low) or isinf(where.low) else f"{value} [{low}, {high}]"


def share(part: Estimate, where: Estimate, beyond: str) -> str:
    """'43% [35, 56]'; `beyond` (< or >) marks the ends that are bounds, those where `where` is infinite."""
    ends = ((part.value, where.value), (part.low, where.low), (part.high, where.high))
    value, low, high = (f"{beyond if isinf(place) else ''}{100 * x:.0f}" for x, place in ends)
    is_bound = isnan(where.low) or isinf(min(where.low, where.high))
    return f"{value}%" if is_bound else f"{value}% [{low}, {high}]"


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else number(p, ".3f")


def giga(flops: float) -> str:
    return f"{flops / 1e9:,.0f}" if flops >= 1e11 else f"{flops / 1e9:.3g}"


def one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
