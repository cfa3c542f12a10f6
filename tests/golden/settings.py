"""Every setting of today with its default: what a hash holds must keep its meaning, or say that it has another.

python -m tests.golden.renew             # writes settings.json after SCHEMA was raised or a setting was added
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints
from unittest.mock import ANY

from harness.core.as_before import AsBefore
from harness.core.nested import flatten
from harness.methods import METHODS
from harness.running.config import SCHEMA, SECTIONS
from harness.tasks import TASKS

STORED = Path(__file__).with_name("settings.json")


def kinds() -> dict[str, type]:
    """Section -> the class of its settings."""
    shipped = [  # what a test has registered from a file of its own is not pinned
        (name, kind.Config) for of in (TASKS, METHODS) for name, kind in of.items() if of.origin(name).shipped
    ]
    return {**SECTIONS, **dict(shipped)}


def today() -> dict[str, Any]:
    """SCHEMA, and section -> setting -> default."""
    sections = {name: dict(flatten(asdict(kind()))) for name, kind in kinds().items()}
    return json.loads(json.dumps({"schema": SCHEMA, "sections": sections}))


def problems(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What would change the meaning of a stored hash without saying so, a line each."""
    found = []
    for section, pinned in stored["sections"].items():
        settings = now["sections"].get(section)
        if settings is None:
            found.append(f"section {section} is gone")
            continue
        for name in settings.keys() - pinned.keys():
            if not as_before(kinds()[section], name):
                found.append(f"{section}.{name} is new: write AsBefore(value) into its annotation, or raise SCHEMA")
        for name, default in pinned.items():
            if name not in settings:
                found.append(f"{section}.{name} is gone: raise SCHEMA")
            elif as_before(kinds()[section], name, default) and as_before(kinds()[section], name, settings[name]):
                continue  # both are left out of hashes, as neither shapes a number
            elif settings[name] != default or type(settings[name]) is not type(default):
                found.append(f"{section}.{name} is {settings[name]!r} by default and was {default!r}: raise SCHEMA")
    return [] if now["schema"] > stored["schema"] else sorted(found)


def as_before(kind: type, dotted: str, value: Any = ANY) -> bool:
    """Whether a setting, or one that it is a part of, is left out of hashes at some value, or at this one."""
    name, _, rest = dotted.partition(".")
    hint = get_type_hints(kind, include_extras=True)[name]
    if any(isinstance(note, AsBefore) and value == note.value for note in get_args(hint)[1:]):
        return True
    bare = next(field.type for field in fields(kind) if field.name == name)
    return bool(rest) and as_before(get_args(bare)[0] if get_args(bare) else bare, rest, value)
