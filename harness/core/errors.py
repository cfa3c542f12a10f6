"""The one exception for what a user can mend: bad settings, missing files, an unreachable hub, a broken reward."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Says what was wrong, the value seen and what to do. Printed without a traceback; exit code 2."""


class NotAnswering(UserError):
    """Somebody whom the harness asks, a model's server or a grader, gives no answer."""

    def __init__(self, message: str, reason: str, status: int | None = None, may_pass: bool = False) -> None:
        super().__init__(message)
        self.reason = reason  # alone, for who did not start the command and cannot mend it
        self.status = status  # of HTTP, where a server refused
        self.may_pass = may_pass  # too busy, out of time, no connection: another time it may answer


def unknown(kind: str, value: str, valid: Iterable[str]) -> UserError:
    """The error for a name that does not exist: lists the valid ones and suggests the nearest."""
    names = sorted(valid)
    near = get_close_matches(value, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {kind} {value!r}.{hint} Valid: {', '.join(names)}")
