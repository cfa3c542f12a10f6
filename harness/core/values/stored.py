"""Loads a value function of any kind from the folder that its `save` wrote.

value = load_value(folder, policy)
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.core.errors import UserError, unknown
from harness.core.models.handle import PolicyHandle
from harness.core.values.ensemble import AveragedValue
from harness.core.values.hidden import HiddenValue
from harness.core.values.value import PrefixValue


def _text(folder: Path, policy: PolicyHandle) -> PrefixValue:
    from harness.core.values.text import TextValue  # scikit-learn, which other kinds do without

    return TextValue.load(folder, policy)


def _lm(folder: Path, policy: PolicyHandle) -> PrefixValue:
    from harness.core.values.lm import LmValue  # transformers, likewise

    return LmValue.load(folder, policy)


KINDS: Mapping[str, Callable[[Path, PolicyHandle], PrefixValue]] = {
    "hidden": lambda folder, _: HiddenValue.load(folder),
    "averaged": lambda folder, _: AveragedValue.load(folder),
    "text": _text,
    "lm": _lm,
}


def load_value(folder: Path, policy: PolicyHandle) -> PrefixValue:
    """`policy` is the one whose texts it reads.

    Raises UserError for a kind that this version does not know; OSError or ValueError for damaged files.
    """
    about = json.loads((folder / "value.json").read_text(encoding="utf-8"))
    kind = about.get("kind", "hidden")  # written since there is more than one
    if kind not in KINDS:
        raise unknown(f"kind of value function in {folder}", kind, KINDS)
    return KINDS[kind](folder, policy)


def of_states(value: PrefixValue) -> HiddenValue | AveragedValue:
    """A value on the policy's states, for methods that value single tokens. Raises UserError for another kind."""
    if not isinstance(value, HiddenValue | AveragedValue):
        raise UserError(f"this is a value of kind {value.kind!r}; single tokens are valued on hidden states only")
    return value
