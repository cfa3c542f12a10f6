"""The options of a run from defaults, a --config file and the command line, in this order, as a `Request`."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from harness.core.errors import UserError, unknown
from harness.core.files import cache_folder
from harness.core.nested import flatten
from harness.core.yaml_text import read_yaml
from harness.running.config import parse_setting, sections
from harness.running.request import Place, Request, Tuned

_DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Request) if f.name not in ("methods", "given", "tuned")}
_DEFAULTS |= {"method": ",".join(Request.methods), "workers": None, "fresh": False, "out": "results"}

# what a --config may hold for an option; the others take text
_KINDS: dict[str, type] = dict.fromkeys(("seed", "limit", "workers"), int) | dict.fromkeys(("only", "fresh"), bool)
_WANTED = {int: "a whole number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Options:
    request: Request
    place: Place
    fresh: bool

    def require_not_fresh(self, command: str) -> None:
        """Raises UserError for `fresh`, which only `run` knows."""
        if self.fresh:
            raise UserError(f"fresh: true is for `run`; leave it out of the --config of {command}")


def read_options(arguments: argparse.Namespace) -> Options:
    """Options of a command that runs something. Raises UserError for what a --config cannot mean."""
    chosen, given, tuned = dict(_DEFAULTS), [], None
    if arguments.config is not None:
        tree = _read_config(arguments.config)
        for key, value in tree.items():
            if key in _DEFAULTS:
                _require_kind(arguments.config, key, value)
                chosen[key] = value
            elif key == "tuned":
                tuned = value
            elif key not in ("set", *sections()):
                raise unknown(f"key in {arguments.config}", str(key), [*_DEFAULTS, "set", *sections()])
            elif isinstance(value, Mapping):
                given += flatten(value if key == "set" else {key: value})
            else:
                raise UserError(f"{key} in {arguments.config} is {value!r}: give names and values, such as {{name: 1}}")
        if tuned is not None:
            tuned = Tuned(str(tuned), chosen["task"], chosen["model"], chosen["profile"], tuple(given))
    chosen |= {k: v for k, v in vars(arguments).items() if k in _DEFAULTS and v is not None}
    given += [parse_setting(text) for text in arguments.set]
    workers, out = chosen.pop("workers"), Path(chosen.pop("out"))
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: give at least 1")
    method, fresh = chosen.pop("method"), chosen.pop("fresh")
    methods = tuple(method.split(",") if isinstance(method, str) else method)
    request = Request(methods=methods, given=tuple(given), tuned=tuned, **chosen)
    return Options(request, Place(out, cache_folder(), workers), fresh)


def _require_kind(path: Path, name: str, value: Any) -> None:
    """Raises UserError where a --config gives an option what the command line could not."""
    kind, several = _KINDS.get(name, str), name == "method" and isinstance(value, list) and value
    if value is None and _DEFAULTS[name] is None:
        return
    if not all(type(one) is kind for one in (value if several else [value])):
        raise UserError(f"{name} in {path} is {value!r}: give {_WANTED[kind]}")


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"--config {str(path)!r}: no such file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"--config {str(path)!r} is no UTF-8 text: {error}") from error
    tree = read_yaml(text, f"--config {str(path)!r}")
    if not isinstance(tree, dict):
        raise UserError(f"--config {str(path)!r}: expected names and values, found {type(tree).__name__}")
    return tree
