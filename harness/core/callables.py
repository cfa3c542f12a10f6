"""How a function that a user gives is called, and what names its code.

    signature_of(reward)    # Signature(batched=False, required=("answer",), optional=(), takes_all=False)
    source_of(reward)       # Source("reward", identity="9f86d0...", reference="FOLDER/graders.py:reward")

Nothing made with a function whose source cannot be read is ever found in the cache again.
"""

import functools
import inspect
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.identity import source_identity

_SINGLE, _BATCHED = ("prompt", "response"), ("prompts", "responses")


@dataclass(frozen=True)
class Signature:
    """What a reward takes besides its first two arguments, which are (prompt, response) or, batched, lists of both."""

    batched: bool
    required: tuple[str, ...]
    optional: tuple[str, ...]
    takes_all: bool  # it has **columns

    def columns(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of a row that the function is called with."""
        return {n: v for n, v in row.items() if self.takes_all or n in self.required or n in self.optional}


@dataclass(frozen=True)
class Source:
    name: str
    identity: str  # hash of the code and of the plain data it holds; random where that cannot be read
    reference: str | None  # FILE.py:function, where another process can import it


def signature_of(function: Callable[..., Any]) -> Signature:
    """How to call a reward, by the names of its parameters. Raises UserError where they are others."""
    wanted = "(prompt, response, **row) -> number, or (prompts, responses, **columns) -> list of numbers"
    if not callable(function):
        raise UserError(f"the reward is {function!r}; give a function {wanted}")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise UserError(f"the parameters of the reward {function!r} cannot be read; wrap it as {wanted}") from error
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    first = tuple(p.name for p in parameters[:2] if p.kind in by_place)
    if first not in (_SINGLE, _BATCHED):
        names = ", ".join(p.name for p in parameters)
        raise UserError(f"the reward takes ({names}); its first two parameters tell how to call it: {wanted}")
    named = [p for p in parameters[2:] if p.kind in (by_place[1], inspect.Parameter.KEYWORD_ONLY)]
    return Signature(
        first == _BATCHED,
        tuple(p.name for p in named if p.default is inspect.Parameter.empty),
        tuple(p.name for p in named if p.default is not inspect.Parameter.empty),
        any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters),
    )


def source_of(function: Callable[..., Any]) -> Source:
    """What names a function: its code, as that of methods is named, and the plain data it holds.

    That is its defaults, closure and the global values it names; of an object, its attributes. Where there is no file,
    or it holds what cannot be compared, one line on stderr says so.
    """
    name = _name_of(function)
    try:
        parts = _parts(function)
    except _Unreadable as error:
        print(f"the reward {name} {error}: nothing made with it is taken from the cache", file=sys.stderr)
        return Source(name, f"unreadable-{uuid.uuid4().hex[:12]}", None)
    return Source(name, digest(parts)[:20], _reference(function))


class _Unreadable(Exception):
    """Says why a function cannot be named by what it is."""


def _name_of(function: Callable[..., Any]) -> str:
    if isinstance(function, functools.partial):
        return _name_of(function.func)
    if inspect.isfunction(function) or inspect.ismethod(function) or inspect.isbuiltin(function):
        return function.__qualname__
    return type(function).__name__


def _parts(thing: Any) -> dict[str, Any]:
    """Everything that decides what a callable gives, as plain data."""
    if isinstance(thing, functools.partial):
        return {"partial": _parts(thing.func), "arguments": _plain("its arguments", [thing.args, thing.keywords])}
    if inspect.ismethod(thing):
        return {"method": _parts(thing.__func__), "object": _held(thing.__self__)}
    if not inspect.isfunction(thing):
        if inspect.isbuiltin(thing) or inspect.isclass(thing):
            raise _Unreadable("is built in, or a class")
        return {"call": _parts(type(thing).__call__), "object": _held(thing)}
    _require_file(thing)
    named = inspect.getclosurevars(thing)
    parts: dict[str, Any] = {
        "name": thing.__qualname__,
        "code": source_identity(thing),
        "defaults": _plain("its defaults", [thing.__defaults__, thing.__kwdefaults__]),
        "closure": {name: _closed_over(name, value) for name, value in sorted(named.nonlocals.items())},
    }
    used = {name: _used(value) for name, value in sorted(named.globals.items())}
    return parts | {"uses": {name: value for name, value in used.items() if value is not None}}


def _closed_over(name: str, value: Any) -> Any:
    if inspect.isfunction(value):
        return _parts(value)
    return _code(value) if inspect.isclass(value) or inspect.ismodule(value) else _plain(f"its variable {name}", value)


def _code(value: Any) -> Any:
    """What names a class, as methods are named, or a module."""
    if inspect.ismodule(value) or value.__module__ == "builtins":
        return value.__name__
    return source_identity(value)


def _held(thing: object) -> Any:
    """The attributes of an object; its class's file is that of the method that is called."""
    if inspect.ismodule(thing) or inspect.isclass(thing):
        return thing.__name__
    return _plain("its object", vars(thing))


def _used(value: Any) -> Any:
    """A global value that a function names, where it is plain data; all else is made by code, which is named above."""
    try:
        return _plain("", value)
    except _Unreadable:
        return None


def _plain(what: str, value: Any) -> Any:
    try:
        digest(value)
    except (TypeError, ValueError) as error:
        raise _Unreadable(f"holds what cannot be compared ({what}: {error})") from error
    return value


def _require_file(function: Any) -> None:
    name = inspect.getsourcefile(function)
    if name is None or not Path(name).is_file():
        raise _Unreadable("has no source file")


def _reference(function: Callable[..., Any]) -> str | None:
    """FILE.py:name of a function at the top of a module that is no script; None of all others."""
    if not inspect.isfunction(function) or function.__module__ == "__main__" or "." in function.__qualname__:
        return None
    return f"{Path(inspect.getfile(function)).resolve()}:{function.__name__}"
