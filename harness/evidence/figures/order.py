"""Which methods stand together in a figure, in what order: references, token-level, search, weights; and their names.

for row in ordered(table): family(row), row.key        # in a family the best method last, its iterations in order
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from harness.evidence.graders import ORACLE
from harness.evidence.names import display_name
from harness.evidence.row import Comparison
from harness.evidence.schema import REFERENCES

REFERENCE, TOKENS, SEARCH, WEIGHTS, OTHERS = "references", "token-level", "search", "weights trained", "others"
_FAMILIES = (REFERENCE, TOKENS, SEARCH, WEIGHTS, OTHERS)
_BY_TOKENS = ("args", "cards", "controlled_decoding")  # these where rows do not measure what they do
T = TypeVar("T")


def family(row: Comparison) -> str:
    """What a method is, by what its row says; a method whose budget rows measure is a search."""
    if row.key.method in REFERENCES:
        return REFERENCE
    if row.trains_weights:
        return WEIGHTS
    if row.budget is not None:
        return SEARCH
    return TOKENS if row.key.method in _BY_TOKENS else OTHERS


def ordered(table: Sequence[Comparison]) -> list[Comparison]:
    """The rows by family; in one, methods by their best gold, ascending as iterations do."""
    return ordered_by(table, lambda row: row, lambda row: "")


def ordered_by(items: Sequence[T], row_of: Callable[[T], Comparison], variant: Callable[[T], str]) -> list[T]:
    """The same of anything that has a row; rows of one method that differ in the variant do not mix."""
    best: dict[tuple[str, str], float] = {}
    for item in items:
        key = (row_of(item).key.method, variant(item))
        best[key] = max(best.get(key, float("-inf")), row_of(item).gold.value)

    def place(item: T) -> tuple[int, float, str, str, int]:
        row = row_of(item)
        method = row.key.method
        gold = REFERENCES.index(method) if method in REFERENCES else best[method, variant(item)]
        return _FAMILIES.index(family(row)), gold, method, variant(item), row.key.iteration

    return sorted(items, key=place)


def name_of(rows: Sequence[Comparison], with_iteration: bool) -> str:
    """Of the line that the picks of one method and iteration share, and which of them are oracles."""
    key = rows[0].key
    oracles = [row.key.final_pick for row in rows if row.is_oracle]
    whose = "" if len(oracles) == len(rows) else f"{' and '.join(oracles)}: "
    iteration = f", iteration {key.iteration}" if with_iteration else ""
    return display_name(key.method) + iteration + (f" ({whose}{ORACLE})" if oracles else "")
