"""JSON as evaluation harnesses write it: NaN is allowed, as Python's own writer leaves it there.

list_of(path)        # the objects of a JSON list, or of JSON lines, each with its place
"""

import json
from math import inf
from pathlib import Path
from typing import Any

from harness.core.errors import UserError

LARGEST = 2**30  # bytes of a file that is read whole
_TEXTS = ("text", "input_text", "output_text")  # types of a content's parts that are read


def text_of(path: Path) -> str:
    """A file's text. Raises UserError for what is no UTF-8, too large, or cannot be read."""
    try:
        if not path.is_file() and path.exists():
            raise UserError(f"{path} is no file; give one")
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has {path.stat().st_size / 2**30:.1f} GB; give a file of at most 1 GB")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text (byte {error.start + 1}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def list_of(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a JSON list or of JSON lines, with the place of each. Raises UserError that names it."""
    text = text_of(path)
    if text.lstrip()[:1] == "[":
        rows = parsed(text, str(path))
        return [(f"entry {i}", _object(row, f"{path}, entry {i}")) for i, row in enumerate(rows, 1)]
    lines = [(f"line {n}", line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [(where, _object(parsed(line, f"{path}, {where}"), f"{path}, {where}")) for where, line in lines]


def parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UserError(f"{where} is nested too deeply to be read") from error
    except ValueError as error:
        cut = " (it may be cut off)" if not text.rstrip().endswith(("}", "]")) else ""
        raise UserError(f"{where} is no JSON: {error}{cut}; copy the file again from where it came") from error


def number(value: Any) -> float | None:
    """A score as a number: truth values count 1 and 0, what is beyond all floats is infinite; None for no number."""
    if not isinstance(value, bool | int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def said_by(messages: Any) -> str | None:
    """Messages as one text, as runs show them: the content of a single one, else a line a message.

    None for what are none.
    """
    if isinstance(messages, str):
        return messages
    if not isinstance(messages, list) or not messages:
        return None
    lines = [(_role(m), content_of(m.get("content"))) for m in messages if isinstance(m, dict)]
    if len(lines) != len(messages) or any(text is None for _, text in lines):
        return None
    return str(lines[0][1]) if len(lines) == 1 else "\n".join(f"{role}: {text}" for role, text in lines)


def _role(message: dict[str, Any]) -> Any:
    """Its role, as runs have it: developer says what system does."""
    return "system" if message.get("role") == "developer" else message.get("role")


def content_of(content: Any) -> str | None:
    """The text of a message's content, which may stand in parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") in _TEXTS]
        return "".join(map(str, parts)) if parts else None
    return content if isinstance(content, str) else None


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where} is a {type(value).__name__} ({value!r:.40}); an object with names belongs there")
    return value
