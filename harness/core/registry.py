"""Which methods and tasks there are, by name, and where each comes from; a class is imported when it is asked for.

    METHODS["iro"]                          # imports harness.methods.iro, and torch with it
    "iro" in METHODS                        # imports nothing
    METHODS.name_of("my/longest.py:Longest")        # "longest", a name like any other from then on

Three kinds of names: shipped ones, entry points that installed packages declare (groups `harness.methods` and
`harness.tasks`), and references that a user gives, FILE.py:Class or package.module:Class.
"""

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from inspect import get_annotations, isclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar, get_origin

from harness.core.digest import digest
from harness.core.errors import UserError, unknown

T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """Where the class behind a name comes from."""

    reference: str  # what names it from any folder: its name, where that is shipped or an entry point, else FILE:Class
    path: Path | None  # the file of its source; None where it is not a file
    shipped: bool  # part of this package, so that its version identifies it


class Registry(Mapping[str, type[T]], Generic[T]):
    """Name -> class. Iteration gives shipped names, then those added, then entry points of installed packages."""

    def __init__(self, kind: str, base: str, group: str, shipped: Mapping[str, str]) -> None:
        """`kind` is the word for messages; `base`, which all classes extend, and `shipped` are "module:Class"."""
        self.kind = kind
        self._base, self._group, self._shipped = base, group, dict(shipped)
        self._added: dict[str, str] = {}  # name -> reference
        self._held: dict[str, type[T]] = {}  # made in this process
        self._imported: dict[str, type[T]] = {}  # reference -> class

    def __getitem__(self, name: str) -> type[T]:
        """The class. Raises KeyError for an unknown name, UserError for a class that cannot be used."""
        if name in self._held:
            return self._held[name]
        reference = self._references[name]
        if reference not in self._imported:
            found = _import_class(reference) if name in self._shipped else self._checked(reference)
            self._imported[reference] = found
        return self._imported[reference]

    def __contains__(self, name: object) -> bool:
        return name in self._held or name in self._references

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __len__(self) -> int:
        return len(self._references)

    def name_of(self, text: str, *others: str) -> str:
        """The name that a user's text means: a name as it stands, or a reference, which is added.

        Raises UserError, which suggests the nearest, where it is neither and none of `others`.
        """
        text = text.strip()
        if ":" in text:
            if (name := self.add(text)) in others:
                raise UserError(f"{self.kind} {text!r} would be called {name!r}, which has a meaning; rename the class")
            return name
        if text not in self and text not in others:
            hint = ", or a class of your own as FILE.py:Class" if "/" in text or text.endswith(".py") else ""
            raise UserError(f"{unknown(self.kind, text, [*self, *others])}{hint}")
        return text

    def add(self, reference: str) -> str:
        """Take up FILE.py:Class or package.module:Class; the name is the class's in snake_case. Imports nothing.

        Raises UserError for a missing file, for the name of something shipped, and for one that already means another.
        """
        canonical = _canonical(self.kind, reference)
        name = snake_case(canonical.rpartition(":")[2])
        if name in self._shipped:
            raise UserError(
                f"{self.kind} {reference!r} would be called {name!r}, as a shipped one is; rename the class"
            )
        if self._added.get(name, canonical) != canonical:
            raise UserError(
                f"{self.kind} {reference!r} and {self._added[name]!r} would both be called {name!r}; rename one class"
            )
        self._added[name] = canonical
        return name

    def hold(self, name: str, kind: type[T]) -> None:
        """Let a name mean a class made in this process, until another is held under it; it is not listed."""
        self._held[name] = kind

    def origin(self, name: str) -> Origin:
        """Where a class comes from, without importing it. Raises KeyError for an unknown name."""
        if name in self._held:
            module = sys.modules.get(self._held[name].__module__)
            file = None if module is None else vars(module).get("__file__")
            return Origin(name, None if file is None else Path(file), False)
        reference = self._references[name]
        where = reference.rpartition(":")[0]
        if where.endswith(".py"):
            return Origin(reference, Path(where), False)
        spec = _spec_of(where)
        path = None if spec is None or not spec.has_location or spec.origin is None else Path(spec.origin)
        return Origin(reference if name in self._added else name, path, name in self._shipped)

    @property
    def _references(self) -> dict[str, str]:
        return self._shipped | self._added | {n: r for n, r in self._installed.items() if n not in self._added}

    @cached_property
    def _installed(self) -> dict[str, str]:
        """Entry points of other packages; a shipped name keeps its meaning."""
        found = {point.name: point.value for point in entry_points(group=self._group)}
        return {name: found[name] for name in sorted(found) if name not in self._shipped and name.isidentifier()}

    def _checked(self, reference: str) -> type[T]:
        """A class of somebody else, once it is known to have what the harness needs."""
        base: type[T] = _import_class(self._base)
        found = _import_class(reference)
        if not issubclass(found, base):
            raise UserError(f"{self.kind} {reference!r} extends no {base.__name__}; write class {found.__name__}"
                            f"({base.__name__}), from {base.__module__}")  # fmt: skip
        declared = [name for name, hint in get_annotations(base).items() if _is_class_variable(hint)]
        held = {name for one in found.__mro__ for name in vars(one)}
        unwritten: frozenset[str] = found.__abstractmethods__  # type: ignore[attr-defined]  # every ABC has it
        if missing := [*(name for name in declared if name not in held), *sorted(unwritten)]:
            raise UserError(f"{self.kind} {reference!r} has no {', '.join(missing)}; see {base.__module__}")
        config = next(vars(one)["Config"] for one in found.__mro__ if "Config" in vars(one))
        if not (isclass(config) and is_dataclass(config)):
            raise UserError(f"{self.kind} {reference!r}: its Config is no dataclass; make it a frozen pydantic one")
        return found


def snake_case(name: str) -> str:
    """BestOfN -> best_of_n."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def class_of(kind: str, reference: str) -> type[Any]:
    """The class that FILE.py:Class or package.module:Class names, whatever it is; `kind` is the word for messages."""
    return _import_class(_canonical(kind, reference))


def import_file(path: Path) -> ModuleType:
    """The module that a file outside of any package makes, once a process; its folder is importable behind all else.

    Raises UserError with the file's own error, and the line where it arose.
    """
    name = f"{path.stem}_{digest(str(path))[:8]}"  # never that of an installed module
    if name in sys.modules:
        return sys.modules[name]
    if (folder := str(path.parent)) not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, f"{path} is a .py file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is made
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a user's file can raise anything
        del sys.modules[name]
        raise UserError(f"{path} cannot be imported: {_explained(error, path)}") from error
    return module


def require_one_checkout() -> None:
    """Raises UserError where harness and its methods or tasks would come from two checkouts."""
    own = importlib.import_module("harness").__file__
    assert own is not None, "harness is a package with an __init__.py"
    package = Path(own).resolve().parent
    for part in ("methods", "tasks"):
        spec = importlib.util.find_spec(f"harness.{part}")
        folder = None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent
        if folder not in (package / part, package.parent / part):
            raise UserError(
                f"harness is imported from {package}, harness.{part} from {folder or 'nowhere'}: run `pip install "
                f"-e .` in {package.parent}, with the same python ({sys.executable})"
            )


def _canonical(kind: str, reference: str) -> str:
    """A reference that means the same from any folder."""
    where, _, class_name = reference.strip().rpartition(":")
    if not where or not class_name.isidentifier():
        raise UserError(f"{kind} {reference!r}: write it as FILE.py:Class or package.module:Class")
    if where.endswith(".py"):
        path = Path(where).expanduser().resolve()
        if not path.is_file():
            raise UserError(f"{kind} {reference!r}: there is no file {path}")
        where = str(path)
    elif not all(part.isidentifier() for part in where.split(".")):
        raise UserError(f"{kind} {reference!r}: {where!r} is neither a .py file nor the name of a module")
    return f"{where}:{class_name}"


def _import_class(reference: str) -> type[Any]:
    where, _, name = reference.rpartition(":")
    module = import_file(Path(where)) if where.endswith(".py") else _import_module(where, reference)
    found = vars(module).get(name)
    if not isclass(found):
        classes = sorted(n for n, v in vars(module).items() if isclass(v) and v.__module__ == module.__name__)
        near = get_close_matches(name, classes, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{where} has no class {name!r}.{hint} Its classes: {', '.join(classes) or 'none'}")
    return found


def _import_module(where: str, reference: str) -> ModuleType:
    if where.startswith("harness."):
        return importlib.import_module(where)  # a fault in there is ours, with its traceback
    if _spec_of(where) is None:
        raise UserError(f"{reference!r}: there is no module {where}; install its package, or give FILE.py:Class")
    try:
        return importlib.import_module(where)
    except (Exception, SystemExit) as error:  # as in import_file
        raise UserError(f"{where} cannot be imported: {_explained(error)}") from error


def _spec_of(module: str) -> ModuleSpec | None:
    """Where a module would come from; imports the packages above it. None where there is none."""
    try:
        return importlib.util.find_spec(module)
    except ModuleNotFoundError:  # of a package above it
        return None


def _is_class_variable(hint: Any) -> bool:
    return hint is ClassVar or get_origin(hint) is ClassVar


def _explained(error: BaseException, path: Path | None = None) -> str:
    """An exception in one line: its kind, message, file and line, of the file at `path` where that is on the way."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    frames = [f for f in frames if f.filename == str(path)] or frames
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"
