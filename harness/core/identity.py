"""What names a piece of code and a prompt, so that nothing is taken from the cache that other code or texts made.

source_identity(Iro)        # {"shipped": "harness.methods.iro:Iro"}            its `version` says when it changed
file_identity(Path("grader.py"))     # {"grader.py": "9f86...", "words.py": "6030..."}
source_identity(Longest)    # {"class": "Longest", "files": {"longest.py": "9f86...", "words.py": "6030..."}}
prompt_identity(prompt, policy.prompt_tokens(prompt))
"""

import ast
import hashlib
import inspect
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.types import Prompt

SHIPPED = "harness"  # the package whose code is named by version numbers
_LIBRARIES = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")}


@cache
def source_identity(thing: type | Callable[..., Any]) -> dict[str, Any]:
    """What names the code of a class or a function.

    Of this package, its name, for versions say when it changed. Of all others a sha256 of the file and of every module
    that it imports from its own folder, or from the package that it belongs to; a class has the files of its base
    classes as well. What is loaded in other ways (data files, imports by name) is not seen. Where there is no file, a
    name that is used once: nothing is taken from the cache, and one line on stderr says so.
    """
    if is_shipped(thing):
        return {"shipped": f"{thing.__module__}:{thing.__qualname__}"}
    path = _file_of(thing)
    if path is None:
        print(
            f"the source of {thing.__qualname__} cannot be read, so that nothing made with it is taken from the "
            "cache; define it in a file to change that",
            file=sys.stderr,
        )
        return {"class": thing.__qualname__, "unreadable": uuid.uuid4().hex}
    files = _sources(path, str(thing.__module__))
    return {"class": thing.__qualname__, "files": dict(sorted(files.items())), **_bases(thing)}


def file_identity(path: Path) -> dict[str, str]:
    """Name -> sha256 of a file of Python and of the modules that it imports from its own folder, which is not run."""
    return dict(sorted(_sources(path.resolve(), path.stem).items()))


def is_shipped(thing: type | Callable[..., Any]) -> bool:
    """Whether code is part of this package: by its module's name, and by where its file lies."""
    module = str(thing.__module__)
    package = sys.modules.get(module.rpartition(".")[0])
    path = _file_of(thing)
    if module.split(".")[0] != SHIPPED or package is None or path is None:
        return False
    return any(path.is_relative_to(Path(folder).resolve()) for folder in package.__path__)


def prompt_identity(prompt: Prompt, tokens: Sequence[int]) -> str:
    """Hash of what the policy reads of a prompt, its tokens, and of what graders read: texts, reference, row."""
    row = {str(name): value for name, value in prompt.row.items()}
    messages = None if prompt.messages is None else [asdict(message) for message in prompt.messages]
    try:
        return digest([prompt.id, list(tokens), prompt.text, messages, prompt.reference, _plain(row)])
    except TypeError as error:
        raise UserError(
            f"prompt {prompt.id!r} has a row that cannot be stored ({error}); give rows of numbers, texts, lists, dicts"
        ) from error


def _plain(value: Any) -> Any:
    """Rows of data sets as plain data. Raises TypeError for what has no value that could be compared."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(name): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case np.ndarray() | np.generic():
            return _plain(value.tolist())
        case date():  # datetime is one, too
            return value.isoformat()
        case bytes():
            return hashlib.sha256(value).hexdigest()
    raise TypeError(f"{type(value).__name__} is no plain data")


def _bases(thing: type | Callable[..., Any]) -> dict[str, Any]:
    """Base class -> sha256 of its file, of those that are neither this package's nor Python's own."""
    found = {}
    for base in thing.__mro__[1:] if isinstance(thing, type) else ():
        if base.__module__.split(".")[0] in sys.stdlib_module_names or is_shipped(base):
            continue
        if path := _file_of(base):
            found[f"{base.__module__}:{base.__qualname__}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"bases": found} if found else {}


def _file_of(thing: type | Callable[..., Any]) -> Path | None:
    """The file that code was read from; None for what was typed into a notebook, or is built in."""
    try:
        name = inspect.getsourcefile(thing)
    except TypeError:  # inspect's answer where a module has no file
        return None
    return Path(name).resolve() if name is not None and Path(name).is_file() else None


def _sources(path: Path, module: str) -> dict[str, str]:
    """Name below its own folder -> sha256, of a file and of the modules it imports from there, directly or not."""
    package = _package_of(path, module)
    root = path.parents[len(package)] if package else path.parent
    own = root / package[0] if package else root  # the folder whose files are followed
    follows = package or own not in _LIBRARIES  # a single file among all libraries is followed nowhere
    found: dict[str, str] = {}
    waiting = [path, *(root.joinpath(*package[: i + 1], "__init__.py") for i in range(len(package)))]
    while waiting:
        file = waiting.pop()
        name = file.relative_to(root).as_posix()
        if name in found or not file.is_file() or not file.is_relative_to(own):
            continue
        content = file.read_bytes()
        found[name] = hashlib.sha256(content).hexdigest()
        waiting += _imported(file, content, [file.parent, root]) if follows else []
    return found


def _package_of(path: Path, module: str) -> list[str]:
    """Names of the packages a file lies in, outermost first; empty for a file that was loaded by itself."""
    names = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    return names if names and list(path.parent.parts[-len(names) :]) == names else []


def _imported(file: Path, content: bytes, roots: Sequence[Path]) -> list[Path]:
    """Files that the imports of a source may lead to, wherever in it they stand; this package's are left out."""
    try:
        tree = ast.parse(content, str(file))
    except (SyntaxError, ValueError):  # a file that is never really imported
        return []
    found: list[Path] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [".".join(part for part in (node.module, alias.name) if part) for alias in node.names]
            if 0 < node.level <= len(file.parents):
                found += [path for name in names for path in _files_of(file.parents[node.level - 1], name.split("."))]
                continue
        else:
            continue
        outside = [name.split(".") for name in names if name.split(".")[0] != SHIPPED]
        found += [path for start in roots for parts in outside for path in _files_of(start, parts)]
    return found


def _files_of(start: Path, parts: Sequence[str]) -> Iterator[Path]:
    """a.b.c -> a/__init__.py, a/b/__init__.py, a/b/c.py below `start`; the last part may be no module but a name."""
    folder = start
    for part in parts:
        if folder != start:
            yield folder / "__init__.py"
        if (module := folder / f"{part}.py").is_file():
            yield module
            return
        folder = folder / part
    yield folder / "__init__.py"
