"""A user's file of graders, read and never imported: its functions, their parameters, which columns they may read.

functions = functions_of(text, "grader.py")
functions["correct"].parameters                              # how it is called: forms.form_of
columns_read(functions["correct"], FORM["openai"])           # frozenset({"reference_answer"})

Rule: a column counts as read where the body names it: as a parameter, as `item["x"]` or as `item.get("x")`. Where the
body does anything else with the whole row (loops over it, hands it on), or names `locals`, `eval` and the like, or
where the function is decorated, every column counts as read. A parameter that the body never names is not read.
"""

import ast
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

from harness.core.errors import UserError
from harness.core.graders.forms import TRL_EXTRAS, Form, FormName, Parameters
from harness.core.graders.grade import Reads, joined
from harness.core.graders.tinker import NO_COLUMNS

_Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SEES_ALL = {"locals", "vars", "eval", "exec", "globals", "inspect", "__builtins__"}
_ALL: Reads = "everything"
_NONE: Reads = frozenset()

# parameter -> columns that it holds, of those whose name is not the column's
_ANSWERS = frozenset({"label", "labels", "answer", "reference_answer", "reference", "ground_truth"})
_HOLDS: dict[tuple[FormName, str], frozenset[str]] = {
    ("verl", "ground_truth"): frozenset({"ground_truth", "reward_model"}),
    ("openrlhf", "labels"): _ANSWERS,
    ("rubric_group", "answers"): frozenset({"answer", "answers"}),
    ("rubric_group", "infos"): frozenset({"info", "infos"}),
    ("rubric_group", "tasks"): frozenset({"task", "tasks"}),
}
_OWN_COLUMNS: dict[FormName, frozenset[str]] = {  # forms that get no others, whatever they name
    "openai": frozenset(),
    "rubric": frozenset({"answer", "info", "task"}),
    "rubric_group": frozenset(),
    "verifiers": frozenset(),
    "verl": frozenset({"data_source", "extra_info"}),
    "eval_protocol": frozenset(),
    "bedrock": frozenset(),
    "promptfoo": frozenset(),
}
_NO_COLUMN: dict[FormName, frozenset[str]] = {  # what comes from the prompt and the answer
    "single": frozenset({"prompt", "response"}),
    "batched": frozenset({"prompts", "responses"}),
    "openai": frozenset({"sample"}),
    "trl": frozenset({"prompts", "completions"}) | TRL_EXTRAS,
    "rubric": frozenset({"prompt", "completion", "parser"}),
    "rubric_group": frozenset({"prompts", "completions", "parser"}),
    "verifiers": frozenset({"trace"}),
    "verl": frozenset({"solution_str"}),
    "fireworks": frozenset({"messages"}),
    "bedrock": frozenset({"context"}),
    "promptfoo": frozenset({"output"}),
    "openrlhf": frozenset({"queries", "prompts"}),
}


@dataclass(frozen=True)
class Function:
    """One function at the top of a file, a method that a class marks as a reward (`Class.method`), or a class of
    Tinker's, by its check_answer."""

    name: str
    parameters: Parameters
    node: _Defined
    decorated: bool = False
    made_of: Reads | None = None  # of a class: the columns that its objects are made of


def functions_of(text: str, name: str) -> dict[str, Function]:
    """Functions by name. Raises UserError, which shows the line, where `text` is no Python."""
    try:
        tree = ast.parse(text, name)
    except SyntaxError as error:
        shown = f": {error.text.strip()}" if error.text else ""
        raise UserError(f"{name} is no Python: {error.msg} in line {error.lineno}{shown}") from error
    except ValueError as error:  # null bytes
        raise UserError(f"{name} is no Python: {error}") from error
    return {found.name: found for node in _statements(tree.body) for found in _found(node)}


def columns_read(function: Function, form: Form) -> Reads:
    """Columns of the row that a function may read, by the rule at the top of this file."""
    if function.made_of is not None:
        return function.made_of
    names = {node.id for node in ast.walk(function.node) if isinstance(node, ast.Name)}
    if names & _SEES_ALL or (function.decorated and form.name != "verifiers"):
        return _ALL
    parts = [_read_by(name, function, form, names) for name in sorted(function.parameters.names)]
    if (rest := function.parameters.rest) is not None:
        paths = _paths(function.node, rest)
        parts.append(_ALL if any(path[:1] in (("state",), ("states",)) for path in paths) else _columns(paths))
    return joined(parts)


def in_place(function: Function, names: tuple[str, ...]) -> Function:
    """The function as if its first parameters had these names, for a vendor that calls by place."""
    own = dict(zip(function.parameters.required, names, strict=False))
    node = deepcopy(function.node)
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            inner.id = own.get(inner.id, inner.id)
    required = tuple(own.get(name, name) for name in function.parameters.required)
    return replace(function, node=node, parameters=replace(function.parameters, required=required))


def texts_in(text: str) -> set[str]:
    """Short texts that a source holds, any of which may name a file that it opens."""
    found = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return {value for value in found if isinstance(value, str) and 0 < len(value) < 200 and value.isprintable()}


def _read_by(name: str, function: Function, form: Form, mentioned: set[str]) -> Reads:
    if name in _NO_COLUMN.get(form.name, ()) or name not in mentioned:
        return _NONE
    if (form.name, name) in _HOLDS:
        return _HOLDS[form.name, name]
    paths = _paths(function.node, name, objects=name == "self")
    match form.name, name:
        case ("openai", "item"):
            return _columns(paths)
        case ("promptfoo", "context"):
            return _below(paths, {"vars"}, {"prompt", "config", "provider", "logProbs", "providerResponse", "trace"})
        case ("rubric", "state"):
            return _columns([path for path in paths if path[:1] not in (("prompt",), ("completion",))])
        case ("verifiers", "self"):
            return _below(paths, {"data"}, set())
        case ("bedrock", "event") | ("rubric_group", "states") | ("eval_protocol", "row"):
            return _ALL
    return frozenset({name}) if name in _OWN_COLUMNS.get(form.name, {name}) else _NONE


def _columns(paths: list[tuple[str, ...]]) -> Reads:
    return joined([frozenset({path[0]}) if path else _ALL for path in paths])


def _below(paths: list[tuple[str, ...]], rows: set[str], others: set[str]) -> Reads:
    """Of an object that holds the row under one of its names, and under `others` nothing of it."""
    seen = [path[1:] for path in paths if not (path and path[0] in others)]
    told = all(path and path[0] in rows for path in paths if not (path and path[0] in others))
    return _columns(seen) if told else _ALL


def _called(node: ast.AST, above: Mapping[ast.AST, ast.AST]) -> bool:
    match above.get(node):
        case ast.Call(func=func):
            return func is node
    return False


def _paths(body: ast.AST, name: str, objects: bool = False) -> list[tuple[str, ...]]:
    """Of every mention of a variable the constant names it is asked for, outermost first; () where it is used whole."""
    above = {child: parent for parent in ast.walk(body) for child in ast.iter_child_nodes(parent)}
    mentions = [node for node in ast.walk(body) if isinstance(node, ast.Name) and node.id == name]
    return [tuple(_asked(node, above, objects)) for node in mentions]


def _asked(node: ast.AST, above: Mapping[ast.AST, ast.AST], objects: bool) -> Iterator[str]:
    """x["a"].get("b") -> a, b; of objects x.a.b as well, but for methods."""
    while (parent := above.get(node)) is not None:
        match parent:
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key))) if value is node:
                yield key
                node = parent
            case ast.Attribute(value=value, attr="get") if value is node:
                call = above.get(parent)
                match call:
                    case ast.Call(func=func, args=[ast.Constant(value=str(key)), *_]) if func is parent:
                        yield key
                        node = call
                    case _:
                        return
            case ast.Attribute(value=value, attr=attr) if value is node and objects and not _called(parent, above):
                yield attr
                node = parent
            case _:
                return


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs at the top of a file, inside `if` and `try` as well."""
    for node in body:
        yield node
        match node:
            case ast.If():
                yield from _statements(node.body + node.orelse)
            case ast.Try():
                handlers = [inner for handler in node.handlers for inner in handler.body]
                yield from _statements(node.body + handlers + node.orelse + node.finalbody)


def _found(node: ast.stmt) -> Iterator[Function]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield Function(node.name, _parameters(node.name, node.args), node, bool(node.decorator_list))
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as made):
            yield Function(name, _parameters(name, made.args), made)
        case ast.ClassDef():
            methods = {inner.name: inner for inner in node.body if isinstance(inner, ast.FunctionDef)}
            if "check_answer" in methods:
                parameters = Parameters(node.name, ("self", "sample_str"))
                made_of = _made_of(methods.get("__init__"))
                yield Function(node.name, parameters, methods["check_answer"], made_of=made_of)
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and _is_reward(method):
                    name = f"{node.name}.{method.name}"
                    yield Function(name, _parameters(name, method.args), method, True)


def _made_of(init: ast.FunctionDef | None) -> Reads:
    """The columns that a class of Tinker's names as parameters; all where another class, or *args, takes them."""
    if init is None or init.args.vararg is not None or init.args.kwarg is not None:
        return _ALL
    return _parameters("__init__", init.args).names - {"self"} - NO_COLUMNS


def _is_reward(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Marked by verifiers' @vf.reward, or @vf.reward(weight=...)."""
    marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in method.decorator_list]
    return any(ast.unparse(mark).rpartition(".")[2] == "reward" for mark in marks)


def _parameters(name: str, arguments: ast.arguments) -> Parameters:
    by_place = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    first_default = len(by_place) - len(arguments.defaults)
    keywords = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    required = by_place[:first_default] + [argument.arg for argument, default in keywords if default is None]
    optional = by_place[first_default:] + [argument.arg for argument, default in keywords if default is not None]
    return Parameters(name, tuple(required), tuple(optional), arguments.kwarg.arg if arguments.kwarg else None)
