"""Settings in sections as one list of dotted names, as `--set` writes them, and back."""

from collections.abc import Mapping
from typing import Any


def flatten(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """{'iro': {'width': 4}} -> [('iro.width', 4)]."""
    out = []
    for key, value in tree.items():
        out += flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return out


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{'dpo.beta': 0.1} -> {'dpo': {'beta': 0.1}}."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *folders, last = name.split(".")
        at = tree
        for folder in folders:
            at = at.setdefault(folder, {})
        at[last] = value
    return tree
