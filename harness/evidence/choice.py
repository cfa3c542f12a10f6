"""Rows and columns of a run's table by name, as `export` and whatever else shows a part of a table takes them.

chosen_rows(keys, "base,iro:last:value", run.id)     # METHOD[:ITERATION[:PICK]], by comma, in this order
chosen_columns(names, "gold,against_best_of_n")
"""

from collections.abc import Iterable, Sequence

from harness.core.errors import UserError, unknown
from harness.evidence.schema import Row

LAST = "last"  # the iteration after which nothing was fitted any more


def chosen_rows(rows: Sequence[Row], text: str | None, run: str) -> list[Row]:
    """The rows that a text names, in its order; all of them for None. Raises UserError, which lists them."""
    if text is None:
        return list(rows)
    found: list[Row] = []
    for one in text.split(","):
        matches = [row for row in rows if _takes(one.strip(), row, rows)]
        if not matches:
            raise UserError(
                f"no row of {run} is {one.strip()!r}; write METHOD, METHOD:ITERATION or METHOD:ITERATION:PICK. Its "
                f"rows: {', '.join(map(name_of, rows))}"
            )
        found += [row for row in matches if row not in found]
    return found


def chosen_columns(names: Iterable[str], text: str | None, usual: Sequence[str]) -> list[str]:
    """The columns that a text names by comma, in its order; the usual ones for None. Raises UserError for another."""
    valid = list(names)
    if text is None:
        return [name for name in usual if name in valid]
    chosen = list(dict.fromkeys(one.strip() for one in text.split(",")))
    for name in chosen:
        if name not in valid:
            raise unknown("column", name, valid)
    return chosen


def name_of(row: Row) -> str:
    """How a row is named: 'iro:2:value', or its method alone where nothing was fitted."""
    return f"{row.method}:{row.iteration}:{row.final_pick}" if row.iteration else row.method


def _takes(text: str, row: Row, rows: Sequence[Row]) -> bool:
    method, *rest = text.split(":")
    if method != row.method or len(rest) > 2:
        return False
    if rest and rest[0] == LAST:
        rest[0] = str(max(other.iteration for other in rows if other.method == method))
    have = [str(row.iteration), row.final_pick]
    return all(want in ("", has) for want, has in zip(rest, have, strict=False))
