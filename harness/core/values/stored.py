"""Loads a value function of any kind from the folder that its `save` wrote.

value = load_value(folder)
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.core.errors import UserError, unknown
from harness.core.values.ensemble import AveragedValue
from harness.core.values.hidden import HiddenValue
from harness.core.values.value import PrefixValue

KINDS: Mapping[str, Callable[[Path], PrefixValue]] = {"hidden": HiddenValue.load, "averaged": AveragedValue.load}


def load_value(folder: Path) -> PrefixValue:
    """Raises UserError for a kind that this version does not know; OSError or ValueError for damaged files."""
    about = json.loads((folder / "value.json").read_text(encoding="utf-8"))
    kind = about.get("kind", "hidden")  # written since there is more than one
    if kind not in KINDS:
        raise unknown(f"kind of value function in {folder}", kind, KINDS)
    return KINDS[kind](folder)


def load_hidden(folder: Path) -> HiddenValue | AveragedValue:
    """A value on hidden states, for methods that value single tokens. Raises UserError for another kind."""
    value = load_value(folder)
    if not isinstance(value, HiddenValue | AveragedValue):
        raise UserError(
            f"{folder} holds a value of kind {value.kind!r}; single tokens are valued on hidden states only"
        )
    return value
