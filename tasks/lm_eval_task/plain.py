"""A document of lm-eval as a row of a prompt: plain data, as JSON has it."""

import math
from collections.abc import Mapping
from typing import Any


def plain(document: Any) -> dict[str, Any]:
    """Its columns; what JSON has no value for is its text, and no finite number is None."""
    columns = document if isinstance(document, Mapping) else {"document": document}
    return {str(name): _plain(value) for name, value in columns.items()}


def _plain(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case Mapping():
            return {str(name): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
    return str(value)
