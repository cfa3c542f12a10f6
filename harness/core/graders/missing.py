"""What is said of a row that lacks a column which a function cannot be called without."""

from collections.abc import Iterable, Mapping
from typing import Any


class MissingColumn(Exception):
    """A row lacks columns; the text names them and those there are."""

    @classmethod
    def of(cls, missing: Iterable[str], row: Mapping[str, Any]) -> "MissingColumn":
        has = f"the row has {', '.join(row)}" if row else "the row has no columns"
        return cls(f"it asks for {', '.join(missing)}; {has}")
