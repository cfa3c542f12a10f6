"""Text of anybody's, a file's or a model's, as a terminal or a page may show it."""

import json
import sys
import unicodedata
from typing import Any

_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # the direction of what follows


def printable(text: str) -> str:
    """The text with what could steer a terminal shown as its code: '\\x1b[31m'. Line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def json_line(data: Any) -> str:
    """JSON that a terminal may show: what could steer it stands as JSON's own escape, and is read as the same."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in json.dumps(data, ensure_ascii=False))


def for_stdout(text: str) -> str:
    """A text as it is for a file or a pipe; for a terminal, without what could steer it."""
    return without_controls(text) if sys.stdout.isatty() else text


def without_controls(text: str) -> str:
    """The same for files: line ends, tabs and blanks of every kind stay, and what joins letters does."""
    return "".join(repr(c)[1:-1] if _steers(c) else c for c in text)


def _steers(c: str) -> bool:
    return c not in "\n\t" and (c in _TURNS or unicodedata.category(c) in ("Cc", "Cs"))
