"""How tables and numbers are written in reports."""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import floor, isfinite, isinf, isnan, log10, nan
from statistics import median

from harness.core.printable import without_controls
from harness.core.statistics.stats import Estimate

_MOST_DECIMALS = 6


def markdown_table(rows: Sequence[Mapping[str, str | None]], unknown: str = "n/a") -> list[str]:
    """Lines of a table. None is not known: `unknown` where another row knows it, else the column is left out."""
    columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    lines = [table_line(columns), "|" + "---|" * len(columns)]
    return lines + [table_line([unknown if row[name] is None else str(row[name]) for name in columns]) for row in rows]


def table_line(cells: Iterable[str]) -> str:
    """A line of a table, whose cells may hold anybody's text: it can end neither its cell nor its line."""
    return "| " + " | ".join(map(one_line, cells)) + " |"


def signed(difference: Estimate | None) -> str | None:
    """'+0.38 [+0.30, +0.46]'."""
    return None if difference is None else difference.shown("+.2f")


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


def over(ratio: float | None, unit: str) -> str:
    """'9% of FLOPs', what a row costs over what it is set beside; nothing where the two are at equal rows."""
    if ratio is not None and isnan(ratio):
        return "not known"
    return "" if ratio is None else f"{100 * ratio:.0f}% of {unit}"


def digits_of(estimates: Iterable[Estimate | None]) -> str:
    """How numbers in a grader's own points are written: `digits_for` half of their intervals, the middle one."""
    halves = [(of.high - of.low) / 2 for of in estimates if of is not None and of.high > of.low]
    return digits_for(median(halves) if halves else nan)


def digits_for(spread: float) -> str:
    """A format that shows `spread` to two digits, wherever the numbers lie: '.1f' for 4.5, '.0f' for 240.

    Three digits of the numbers themselves would make 2664 and 2656, which 240 tells apart, one 2.66e+03.
    """
    decimals = 1 - floor(log10(spread)) if isfinite(spread) and spread > 0 else _MOST_DECIMALS + 1
    return f",.{max(0, decimals)}f" if decimals <= _MOST_DECIMALS else ".4g"


def in_range(counts: Iterable[int]) -> str:
    """'32', or '28 to 32' where rows differ, as some have answers without a score."""
    found = sorted(set(counts))
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"


def p_value(p: float | None) -> str:
    """Nothing where nothing was tested."""
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else number(p, ".3f")


def nats(value: float) -> str | None:
    """Two decimals; None where no model told."""
    return None if isnan(value) else f"{value:.2f}"


def counted(value: float) -> str | None:
    """One decimal; None where nobody counted."""
    return None if isnan(value) else f"{value:.1f}"


def per_thousand(usd: float) -> str:
    """Dollars a prompt as dollars a thousand prompts, which have fewer zeros."""
    return dollars(1000 * usd)


def dollars(usd: float) -> str:
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.2g}"


def giga(flops: float) -> str:
    return f"{flops / 1e9:,.0f}" if flops >= 1e11 else f"{flops / 1e9:.3g}"


def one_line(text: str) -> str:
    """The text without line ends, what could steer a terminal as its code, and bars so that they end no cell."""
    return re.sub(r"(?<!\\)\|", r"\\|", without_controls(" ".join(text.split())))


def plain(text: str) -> str:
    """Anybody's text in a paragraph: in one line, and neither markup nor HTML."""
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", without_controls(" ".join(text.split())))
