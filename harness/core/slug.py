"""Names of anybody's as parts of paths: letters, digits, dots, - and _, never empty or hidden, and short enough.

slug("../../PWNED")                       # "_.._PWNED"
distinct_slugs(["m 1", "m_1"])            # {"m 1": "m_1-3f2a90c1", "m_1": "m_1"}
"""

import re
from collections.abc import Iterable

from harness.core.digest import digest

_LONGEST = 80  # characters, each of which may take four bytes of the 255 of a name
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # by Windows


def slug(name: str) -> str:
    """A name as a part of a path; what is cut ends with a hash, so that it stays apart from what begins alike."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip(".") or "_"
    if len(plain) > _LONGEST:
        plain = f"{plain[: _LONGEST - 9]}-{digest(name)[:8]}"
    return f"_{plain}" if _RESERVED.fullmatch(plain) else plain


def distinct_slugs(names: Iterable[str]) -> dict[str, str]:
    """A part of a path for each name, no two alike, also where a disk does not tell cases apart; in any order."""
    found: dict[str, str] = {}
    for name in sorted(set(names), key=lambda name: (slug(name) != name, name)):  # who has it already keeps it
        plain, taken = slug(name), {part.casefold() for part in found.values()}
        found[name] = plain if plain.casefold() not in taken else f"{plain[: _LONGEST - 9]}-{digest(name)[:8]}"
    return found
