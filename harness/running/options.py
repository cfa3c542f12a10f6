"""The options of a run from defaults, a --config file and the command line, in this order, as a `Request`.

read_options(arguments)                             # of a command
options_from({"task": "toy"}, [("iro.width", 3)])   # the same from Python
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import Any

from harness.core.api.use import USUAL, Budget, Use
from harness.core.errors import UserError, unknown
from harness.core.files import cache_folder
from harness.core.nested import flatten
from harness.core.results_folder import results_folder
from harness.core.yaml_text import read_yaml
from harness.evidence.run_names import checked_name
from harness.methods import METHODS
from harness.running.request import FILES, LM_EVAL, LM_EVAL_OPTIONS, Given, Request, Tuned, Workspace
from harness.tasks import TASKS

DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Request) if f.name not in ("methods", "given", "tuned")}
DEFAULTS |= {"method": ",".join(Request.methods), "workers": None, "fresh": False, "name": None}
SERVER = ("key_variable", "parallel", "timeout", "budget_usd", "budget_tokens")  # of --model openai:...
DEFAULTS |= dict.fromkeys(SERVER)
DEFAULTS |= {"out": None}  # where results_folder says
DEFAULTS |= dict.fromkeys((*FILES, *LM_EVAL_OPTIONS))

# what a --config may hold for an option; the others take text
_KINDS: dict[str, type] = dict.fromkeys(("seed", "limit", "refits", "workers", "parallel"), int)
_KINDS |= dict.fromkeys(("timeout", "budget_usd", "budget_tokens"), float)
_KINDS |= dict.fromkeys(("only", "fresh"), bool)
_TUNING = ("name", "edges", "budgets")  # what a file of `tune` says of itself
_WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Options:
    request: Request
    workspace: Workspace
    fresh: bool

    def require_for_several(self, command: str) -> None:
        """Raises UserError for `fresh` and `name`, which only `run` knows."""
        if self.workspace.name is not None:
            raise UserError(f"name: {self.workspace.name} is for `run`; leave it out of the --config of {command}")
        if self.fresh:
            raise UserError(f"fresh: true is for `run`; leave it out of the --config of {command}")


def read_options(arguments: argparse.Namespace) -> Options:
    """Options of a command that runs something. Raises UserError for what a --config cannot mean."""
    chosen = {k: v for k, v in vars(arguments).items() if k in DEFAULTS and v is not None}
    chosen |= {"out": str(chosen["out"])} if "out" in chosen else {}
    return options_from(chosen, [parse_setting(text) for text in arguments.set], arguments.config)


def options_from(asked: Mapping[str, Any], settings: Given, config: Path | None = None) -> Options:
    """Options by their names and settings by their dotted names, over those of a --config file.

    Raises UserError; for the name of a method or task that does not exist, before torch is imported.
    """
    for name, value in asked.items():
        _require_kind("the options", name, value)
    tree = {} if config is None else _read_config(config)
    for name, value in tree.items():
        if _is_option(name, value):
            _require_kind(str(config), name, value)
    named_here = {name: value for name, value in tree.items() if _is_option(name, value)} | dict(asked)
    files = _files(named_here)
    if files:
        named_here["task"] = "data"
    chosen = DEFAULTS | named_here
    benchmark = _benchmark(chosen)
    for option in (*FILES, *LM_EVAL_OPTIONS):
        chosen.pop(option)
    method = chosen.pop("method")
    methods = tuple(METHODS.name_of(one, "all") for one in (method.split(",") if isinstance(method, str) else method))
    chosen["task"] = TASKS.name_of(chosen["task"])
    given, tuned = _settings_of(tree, str(config)), None
    if tree.get("tuned") is not None:
        named = {name: tree.get(name, DEFAULTS[name]) for name in ("task", "model", "profile")}
        was = tree["tuned"]
        tuning = was if isinstance(was, Mapping) else {"name": was}  # the name alone, by an earlier version
        if "name" not in tuning or not set(tuning) <= set(_TUNING):
            raise UserError(f"tuned in {config} is {was!r}: leave it as `tune` wrote it, or out")
        named["task"] = TASKS.name_of(_own_name(named["task"]))
        same = named["task"], named["model"], named["profile"], tuple(given)
        tuned = Tuned(str(tuning["name"]), *same, tuning.get("edges", {}), tuning.get("budgets", {}))
    use = _use({name: chosen.pop(name) for name in SERVER})
    workers, out, fresh, name = (chosen.pop(option) for option in ("workers", "out", "fresh", "name"))
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: give at least 1")
    if name is not None:
        checked_name(name)
    request = Request(methods=methods, given=(*files, *benchmark, *given, *settings), tuned=tuned, **chosen)
    return Options(request, Workspace(results_folder(out), cache_folder(), workers, name, use=use), fresh)


def _use(given: Mapping[str, Any]) -> Use:
    """How a server is asked. Raises UserError for what is no number of seconds, tries, tokens or dollars."""
    named = {name: value for name, value in given.items() if value is not None}
    for name, value in named.items():
        if name != "key_variable" and not 0 < value < TIMEOUT_MAX:
            raise UserError(f"--{name.replace('_', '-')} {value}: give more than 0, and not endlessly many")
    budget = Budget(named.pop("budget_usd", inf), named.pop("budget_tokens", inf))
    variable = named.pop("key_variable", None)
    return Use(variable, replace(USUAL.patience, **named), budget)


def _is_option(name: str, value: Any) -> bool:
    """Of a key of --config; `data` with settings below it is the section of the task of that name."""
    return name in DEFAULTS and not (name in FILES and isinstance(value, Mapping))


def _files(named: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The settings that --data, --grader, --gold and --cluster stand for. Raises UserError where one needs another."""
    files = {name: named[name] for name in FILES if named.get(name) is not None}
    if not files:
        return []
    if "data" not in files:
        raise UserError(f"--{next(iter(files))} is for prompts of a file; give it with --data FILE")
    if "grader" not in files:
        raise UserError(
            f"--data {files['data']!r} needs what its answers are graded by; give --grader FILE.py:function, "
            "GRADER.json or GRADER.yaml"
        )
    if named.get("task") not in (None, "data"):
        raise UserError(f"--task {named['task']!r} and --data {files['data']!r}: a file is a task of its own; give one")
    return [(FILES[name], value) for name, value in files.items()]


def _benchmark(chosen: dict[str, Any]) -> list[tuple[str, Any]]:
    """The settings that --task lm_eval:NAME and its options stand for; `chosen` keeps the task's own name.

    Raises UserError for these options with another task.
    """
    task, name = _own_name(chosen["task"]), str(chosen["task"]).strip().partition(":")[2]
    given = {option: chosen[option] for option in LM_EVAL_OPTIONS if chosen[option] is not None}
    if task != LM_EVAL:
        if given:
            option = next(iter(given)).replace("_", "-")
            raise UserError(f"--{option} belongs to tasks of lm-eval; give it with --task lm_eval:NAME")
        return []
    chosen["task"] = LM_EVAL
    named = [(f"{LM_EVAL}.name", name)] if name else []
    return [*named, *((LM_EVAL_OPTIONS[option], value) for option, value in given.items())]


def _own_name(task: str) -> str:
    """Of --task lm_eval:NAME the task here; any other text as it stands."""
    return LM_EVAL if task.strip().partition(":")[0] == LM_EVAL else task


def parse_setting(text: str) -> tuple[str, Any]:
    """'iro.width=4' -> ('iro.width', 4); the value is YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text!r}: write it as name=value, for instance --set iro.width=4")
    return key.strip(), read_yaml(value, f"--set {text!r:.120}: the value")


def _settings_of(tree: Mapping[str, Any], where: str) -> list[tuple[str, Any]]:
    """The settings that a --config holds beside options, by their dotted names."""
    from harness.running.config import sections  # with torch, for which a mistyped name need not wait

    given = []
    for key, value in tree.items():
        if key == "tuned" or _is_option(key, value):
            continue
        if key not in ("set", *sections()):
            raise unknown(f"key in {where}", str(key), [*DEFAULTS, "set", *sections()])
        if not isinstance(value, Mapping):
            raise UserError(f"{key} in {where} is {value!r}: give names and values, such as {{name: 1}}")
        given += flatten(value if key == "set" else {key: value})
    return given


def _require_kind(where: str, name: str, value: Any) -> None:
    """Raises UserError where an option is given what the command line could not give it."""
    kind = _KINDS.get(name, str)
    several = name in ("method", "dataset_file") and isinstance(value, list) and value
    if value is None and DEFAULTS[name] is None:
        return
    kinds = (int, float) if kind is float else (kind,)
    if not all(type(one) in kinds for one in (value if several else [value])):
        raise UserError(f"{name} in {where} is {value!r}: give {_WANTED[kind]}")


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
