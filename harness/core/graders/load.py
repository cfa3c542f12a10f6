"""A grader from what a user names: FILE.py:function, FILE.py with one grader in it, OpenAI's JSON, a weighted list.

load_grader("checks.py:correct")
load_grader("grader.json", Outside(ask=ask, identity={"ask": url}))

A user's Python is read here and imported only in the worker's process, which tries that at once.
"""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.contents import file_sha256
from harness.core.errors import UserError, unknown
from harness.core.graders.forms import FORMS, Form, fitting, form_of
from harness.core.graders.function_grader import FunctionGrader, identity_of
from harness.core.graders.grade import Grader, Outside
from harness.core.graders.openai_form import read_grader
from harness.core.graders.openai_grader import openai_grader
from harness.core.graders.source import Function, columns_read, functions_of, texts_in
from harness.core.graders.weighted import weighted
from harness.core.graders.worker import Job, Limits, Worker
from harness.core.identity import file_identity
from harness.core.yaml_text import read_yaml

_FORMATS = "FILE.py:function, FILE.py, GRADER.json or GRADER.yaml"


def load_grader(named: str, outside: Outside | None = None, limits: Limits | None = None) -> Grader:
    """Raises UserError for whatever is wrong with it that can be told before an answer is graded."""
    return _loaded(named, Path(), outside or Outside(), limits or Limits())


def _loaded(named: str, folder: Path, outside: Outside, limits: Limits, nested: bool = False) -> Grader:
    """From a path below `folder`; a file that a list names is no list itself."""
    file, _, function = named.partition(".py:")
    path = folder / (f"{file}.py" if function or named.endswith(".py:") else named)
    if named.endswith(".py:"):
        raise UserError(f"the grader {named!r} names no function; write {named}NAME, or {named[:-1]}")
    if path.suffix not in (".py", ".json", ".yaml", ".yml"):
        raise UserError(f"the grader {named!r} is none of {_FORMATS}")
    if not path.is_file():
        raise UserError(f"the grader {named!r}: there is no file {path}; give {_FORMATS}")
    text = _text(path)
    if path.suffix == ".py":
        return _function_grader(path, text, function or None, limits)
    data = _json(path, text) if path.suffix == ".json" else read_yaml(text, str(path))
    if isinstance(data, list) or (isinstance(data, Mapping) and isinstance(data.get("grader"), list)):
        if nested:
            raise UserError(f"{path} is a weighted list inside another; write all graders into one list")
        return weighted(data, path.name, lambda inner: _loaded(inner, path.parent, outside, limits, nested=True))
    return openai_grader(read_grader(data, path.name), path.name, outside, limits)


def _function_grader(path: Path, text: str, name: str | None, limits: Limits) -> Grader:
    function = _chosen(functions_of(text, str(path)), name, path)
    form = form_of(function.parameters)
    _require_package(form, path)
    job = Job(
        str(path.resolve()),
        text,
        function.name,
        form.name,
        function.parameters,
        path=str(path.resolve()),
        folder=str(path.resolve().parent),
        module=path.stem,
        by_place=form.name == "eval_protocol",  # whose decorator takes no names
    )
    sources = {**file_identity(path), **_data_files(path, text)}
    grader = FunctionGrader(
        f"{path.name}:{function.name}",
        identity_of("file", sources, function.name, form.name, limits),
        columns_read(function, form),
        Worker(job, limits),
    )
    grader.start()
    return grader


def _chosen(functions: Mapping[str, Function], name: str | None, path: Path) -> Function:
    """The function that is named; without a name the only one that could be a grader."""
    there = f"functions there: {', '.join(functions) or 'none'}"
    if name is not None:
        if name in functions:
            return functions[name]
        if not functions:
            raise UserError(f"{path} has no function {name}, nor any other; define it there with def")
        raise UserError(f"{path}: {unknown('function', name, functions)}")
    public = [function for function in functions.values() if not function.name.startswith("_")]
    fits = {function.name: fitting(function.parameters) for function in public}
    able = [function for function in public if any(not form.package for form in fits[function.name])]
    candidates = able or [function for function in public if fits[function.name]]
    usual = {form.usual for form in FORMS if form.usual}
    named = [function for function in candidates if function.name in usual]
    if len(named) == 1 or len(candidates) == 1:
        return (named if len(named) == 1 else candidates)[0]
    if candidates:
        options = ", ".join(f"{path}:{function.name}" for function in candidates)
        raise UserError(f"{path} has {len(candidates)} functions that may be the grader; name one: {options}")
    if len(public) == 1:
        form_of(public[0].parameters)  # which says what the parameters are and what they could be
    raise UserError(f"{path} has no function whose parameters are those of a grader ({there}); name one: {path}:NAME")


def _require_package(form: Form, path: Path) -> None:
    if form.package and importlib.util.find_spec(form.package) is None:
        raise UserError(
            f"{path} has a grader in the form of {form.origin}, {form.shape}, which needs the package {form.package}; "
            f"install it, or write the grader as (prompt, response, **row)"
        )


def _data_files(path: Path, text: str) -> dict[str, str]:
    """Files beside the source that a text in it names, such as the words it counts."""
    found = {}
    for name in sorted(texts_in(text)):
        try:
            if (data := path.parent / name).is_file() and data.suffix != ".py":
                found[name] = file_sha256(data)
        except OSError:  # too long for a name, or not to be read
            continue
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise UserError(f"{path} is no grader: it is nested too deeply") from error
