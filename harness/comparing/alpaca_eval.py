"""AlpacaEval's files: annotations.json, whose preferences are scores, and model_outputs.json, which has answers alone.

An annotation's score is the preference for output_2, the judged side, over output_1: 0 to 1, 0.5 a draw.
"""

from collections.abc import Sequence
from math import isnan, nan
from typing import Any

from harness.comparing.json_file import number
from harness.comparing.records import TEXT, Record, Records
from harness.core.errors import UserError

ANNOTATIONS = "AlpacaEval annotations"
PREFERENCE = "preference"


def is_annotation(row: dict[str, Any]) -> bool:
    return "instruction" in row and "output_1" in row and "output_2" in row and PREFERENCE in row


def read(source: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> Records:
    """Raises UserError where several systems stand in one file, an entry is none, or a preference is off its scale."""
    for where, row in rows:
        if not is_annotation(row):
            raise UserError(f"{source}, {where} is no annotation, as the first one is: it needs instruction, output_1, "
                            f"output_2 and {PREFERENCE}; it has {', '.join(list(row)[:12]) or 'none'}")  # fmt: skip
    sides = {(str(row.get("generator_2")), str(row.get("generator_1"))) for _, row in rows}
    if len(sides) > 1:
        named = "; ".join(sorted(f"{ours} over {theirs}" for ours, theirs in sides))
        raise UserError(f"{source} judges several pairs of systems ({named}); give a file with one pair")
    ((ours, theirs),) = sides
    records = [
        Record(where, {TEXT: str(row["instruction"])}, {PREFERENCE: _score(row[PREFERENCE], source, where)},
               row["output_2"] if isinstance(row["output_2"], str) else None)
        for where, row in rows
    ]  # fmt: skip
    return Records(source, ANNOTATIONS, records, PREFERENCE, [f"preference for {ours} over {theirs}"],
                   (f"preferences over {theirs}", theirs))  # fmt: skip


def _score(preference: Any, source: str, where: str) -> float:
    """1 to 2 as 0 to 1; 0 is its older draw, null gives no verdict."""
    value = nan if preference is None else number(preference)
    if value is None or not (isnan(value) or value == 0 or 1 <= value <= 2):
        raise UserError(f"{source}, {where}: the preference is {preference!r:.40}; AlpacaEval writes 1 to 2, or null")
    return 0.5 if value == 0 else value - 1
