"""Names of anybody's as parts of paths: letters, digits, dots, - and _, never empty or hidden, and short enough.

slug("../../PWNED")                       # "_.._PWNED"
distinct_slugs(["m 1", "m_1"])            # {"m 1": "m_1-3f2a90c1", "m_1": "m_1"}
short_enough("imdb-3f2a-base-gold")       # as it is: a name that is made of parts, none of which may hold a slash
"""

import os
import re
from collections.abc import Iterable

from harness.core.digest import digest

_LONGEST = 80  # characters
_MOST_BYTES = 200  # of the 255 of a name; the rest is for endings and hashes
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # by Windows


def slug(name: str) -> str:
    """A name as a part of a path; what is cut ends with a hash, so that it stays apart from what begins alike."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip(".") or "_"
    if len(plain) > _LONGEST or len(plain.encode()) > _MOST_BYTES:
        plain = _cut(plain, name)
    return f"_{plain}" if _RESERVED.fullmatch(plain) else plain


def short_enough(name: str) -> str:
    """A name as it is, or as a slug where a disk may not take it with an ending."""
    return name if len(os.fsencode(name)) <= _MOST_BYTES else slug(name)


def distinct_slugs(names: Iterable[str]) -> dict[str, str]:
    """A part of a path for each name, no two alike, also where a disk does not tell cases apart; in any order."""
    found: dict[str, str] = {}
    for name in sorted(set(names), key=lambda name: (slug(name) != name, name)):  # who has it already keeps it
        plain, taken = slug(name), {part.casefold() for part in found.values()}
        found[name] = plain if plain.casefold() not in taken else _cut(plain, name)
    return found


def _cut(plain: str, name: str) -> str:
    kept = plain[: _LONGEST - 9].encode()[: _MOST_BYTES - 9].decode(errors="ignore")
    return f"{kept}-{digest(name)[:8]}"
