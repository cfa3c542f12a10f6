"""Answers that were paid for, one file each, under all that shaped it: what is answered is never asked again.

kept = Kept(cache / "served", fingerprint)
kept.find(asked)                # Piece, or None
kept.store(asked, piece)

A file carries the hash of what it says; one that does not hold, or is torn, is asked for again, and a line says so.
The server's URL is no part of it. Nor is how many answers one request brought, so that sixteen samples are found by
whoever wants eight of them, and one that was drawn for the base is the first of best-of-n's.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.json_file import read_json, write_json
from harness.core.models.served.asking import Finish, Token, Written
from harness.core.printable import printable

_HOLDS = {"text", "finish", "tokens", "read", "cached"}
_TOLD = "told"  # beside these, where log-probabilities were told


@dataclass(frozen=True)
class Piece:
    """What one row got, and what reading its prefix took, for whoever asked."""

    written: Written
    read: int
    cached: int


@dataclass(frozen=True)
class Kept:
    folder: Path
    fingerprint: str  # of the model

    def find(self, asked: Mapping[str, Any]) -> Piece | None:
        path = self._path(asked)
        if not path.exists():
            return None
        try:
            stored = read_json(path, "it is asked for again")
        except UserError as error:
            print(printable(str(error)), file=sys.stderr, flush=True)
            return None
        match stored:
            case {
                "text": str(text),
                "finish": str(finish),
                "tokens": int(tokens),
                "read": int(read),
                "cached": int(cached),
            } if finish in get_args(Finish) and stored.keys() - {_TOLD} == _HOLDS:  # else its proof has another name
                told = _told(stored.get(_TOLD))  # earlier versions asked for none
                return Piece(Written(text, finish, tokens, told), read, cached)  # type: ignore[arg-type]  # of Finish
        return None

    def store(self, asked: Mapping[str, Any], piece: Piece) -> None:
        written = piece.written
        data: dict[str, Any] = {"text": written.text, "finish": written.finish, "tokens": written.tokens}
        data |= {"read": piece.read, "cached": piece.cached}
        if written.told is not None:
            data[_TOLD] = [[token.text, token.logprob] for token in written.told]
        write_json(self._path(asked), data)

    def _path(self, asked: Mapping[str, Any]) -> Path:
        name = digest([self.fingerprint, dict(asked)])
        return self.folder / name[:2] / f"{name}.json"


def _told(stored: Any) -> tuple[Token, ...] | None:
    match stored:
        case list() if all(isinstance(one, list) and list(map(type, one)) == [str, float] for one in stored):
            return tuple(Token(text, logprob) for text, logprob in stored)
    return None
