"""A setting in words, from its annotation: what `harness list iro` shows of each.

settings_in(Iro.Config)[0]  # Setting("width", "4", "integer >= 1", "prefixes kept ...", ...)
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from harness.core.yaml_text import written_yaml
from harness.running.config import bare, description_of

_KINDS: Mapping[Any, str] = {int: "integer", float: "number", str: "text", bool: "true or false"}


@dataclass(frozen=True)
class Setting:
    """`name` is dotted within its section; `default` as --set takes it; `source` is empty where nothing is named."""

    name: str
    default: str
    range: str
    meaning: str
    source: str


def settings_in(kind: Any, prefix: str = "") -> list[Setting]:
    """The settings of a section, those of its parts in their place."""
    found, annotations = [], get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        annotation, name = annotations[field.name], f"{prefix}{field.name}"
        if is_dataclass(bare(annotation)):
            found += settings_in(bare(annotation), f"{name}.")
        else:
            found.append(Setting(name, _default(field), range_of(annotation), *_meaning(description_of(annotation))))
    return found


def range_of(annotation: Any) -> str:
    """'integer >= 1', 'top | resample', 'list of: number': what a setting may be."""
    kind, bounds = bare(annotation), _bounds(annotation)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(str(part) for part in parts)
    if origin in (Union, UnionType):
        return " or ".join("null" if part is NoneType else range_of(part) for part in parts)
    if origin is tuple:
        return f"list of: {range_of(parts[0])}"
    return " ".join([_KINDS.get(kind, str(kind)), ", ".join(bounds)]).strip()


def _bounds(annotation: Any) -> list[str]:
    """What pydantic's Field says of a number: '>= 1', '> 0', '< 1'."""
    notes = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    found = []
    for note in notes:
        for limit in note.metadata if isinstance(note, FieldInfo) else ():
            match limit:
                case Ge(ge=low):
                    found.append(f">= {low:g}")
                case Gt(gt=low):
                    found.append(f"> {low:g}")
                case Le(le=high):
                    found.append(f"<= {high:g}")
                case Lt(lt=high):
                    found.append(f"< {high:g}")
    return found


def _default(field: Field[Any]) -> str:
    return "required" if field.default is MISSING else written_yaml(field.default)


def _meaning(description: str) -> Sequence[str]:
    """Meaning and source: what stands in brackets at the end of a description is where its default comes from."""
    found = re.fullmatch(r"(.*?)\s+\(([^()]*)\)", description, re.S)
    return found.groups() if found else (description, "")
