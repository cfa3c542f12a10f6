"""Which settings enter a hash: all, but for later ones at the value that means "as before there was this setting".

workers: Annotated[int, Field(ge=0, description="..."), AsBefore(0)] = 0
hashed(Config(workers=0))          # {}                 the run keeps the id it had before
hashed(Config(workers=2))          # {"workers": 2}

A setting that names a file enters by what the file holds, so that moving it changes nothing:

file: Annotated[str, ByContent(sha256_of)] = ""
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

_HASH = re.compile(r"[0-9a-f]{20}(:\w+)?")  # of a file, in place of its path, and a function in it


@dataclass(frozen=True)
class AsBefore:
    """Stands in the annotation of a setting that came later: at `value` a run is what it was without the setting."""

    value: Any


@dataclass(frozen=True)
class ByContent:
    """Stands in the annotation of a setting that names a file, or what else is worked on: `content` gives what is
    hashed in place of its value."""

    content: Callable[[Any], Any]


def hashed(settings: Any) -> dict[str, Any]:
    """The settings object as plain data, without what its annotations leave out. Every key of stored work uses it."""
    contents = {name: note.content(value) for name, (note, value) in _files(settings).items()}
    return without_as_before(type(settings), {**asdict(settings), **contents})


def files_in(settings: Any) -> dict[str, Any]:
    """The settings that name what is worked on, such as files, as they were given."""
    return {name: value for name, (_, value) in _files(settings).items()}


def named_by_content(kind: type) -> list[str]:
    """Settings of this kind that stand in stored runs by what their files hold."""
    hints = get_type_hints(kind, include_extras=True)
    return [name for name, hint in hints.items() if any(isinstance(note, ByContent) for note in _parts(hint)[1])]


def is_content(stored: Any) -> bool:
    """Whether this stands in a stored run for a file, or a folder, which has to be given again to be worked on."""
    return isinstance(stored, str) and _HASH.fullmatch(stored) is not None


def _files(settings: Any) -> dict[str, tuple[ByContent, Any]]:
    hints = get_type_hints(type(settings), include_extras=True)
    notes = {name: [note for note in _parts(hint)[1] if isinstance(note, ByContent)] for name, hint in hints.items()}
    return {name: (of[0], getattr(settings, name)) for name, of in notes.items() if of and getattr(settings, name)}


def without_as_before(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data of settings of this kind, such as run.json has it, without settings at their `AsBefore` value."""
    hints = get_type_hints(kind, include_extras=True)
    kept = {}
    for name, value in data.items():
        bare, notes = _parts(hints.get(name))
        if any(isinstance(note, AsBefore) and _plain(note.value) == _plain(value) for note in notes):
            continue
        nested = isinstance(bare, type) and is_dataclass(bare) and isinstance(value, Mapping)
        kept[name] = without_as_before(bare, value) if nested else value
    return kept


def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Annotated[X, a, b] -> X, (a, b); anything else has no notes."""
    if get_origin(hint) is Annotated:
        bare, *notes = get_args(hint)
        return bare, tuple(notes)
    return hint, ()


def _plain(value: Any) -> Any:
    """JSON has no tuples, so that a stored list equals the tuple that it was."""
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
