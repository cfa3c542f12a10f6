"""What can be run and set, as data: methods and tasks, one of them with its settings, and what all of them share.

offered(METHODS)[0]         # Offered("base", "The frozen policy as it is ...", "reference", "text")
described("iro")            # Described(..., settings=[Setting("width", "4", ...), ...])
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from harness.core.api.spending import Prices
from harness.core.api.use import USUAL, Use
from harness.core.errors import UserError, unknown
from harness.core.files import cache_folder
from harness.core.generator import Generator
from harness.core.models.loading import load_policy
from harness.core.models.rows import Capability
from harness.core.models.sampling import Sampler
from harness.core.models.served.address import is_served
from harness.core.models.served.asker import Speech
from harness.core.models.served.policy import open_served
from harness.core.registry import Registry, class_of
from harness.core.task import Task
from harness.core.types import Prompt
from harness.methods import METHODS
from harness.running.config import SECTIONS
from harness.running.presets import PRESETS, settings_of
from harness.running.setting import Setting, settings_in
from harness.sweeps.axes import AXES
from harness.tasks import TASKS

SHARED = "settings"  # what `list` shows of the harness itself
TOPICS = {SHARED: "settings that all methods share", "presets": "of --preset", "axes": "of ablate"}


@dataclass(frozen=True)
class Offered:
    """A method or a task in a line; `needs`: of the policy, or the model that is its default."""

    name: str
    about: str
    source: str
    needs: str


@dataclass(frozen=True)
class Described:
    """One method or task, or one section that all share, with its settings by their names within `section`."""

    section: str
    kind: str  # method, task or section
    about: str
    settings: Sequence[Setting]
    notes: Mapping[str, str] = field(default_factory=dict)  # what else there is to say -> the words


def methods() -> list[Offered]:
    return [_method(name) for name in METHODS]


def tasks() -> list[Offered]:
    return [
        Offered(name, _brief(_summary(TASKS[name])), TASKS[name].source, f"{TASKS[name].default_model} (default)")
        for name in TASKS
    ]


@dataclass(frozen=True)
class Served:
    """What a model gives, and which methods remain with it."""

    model: str
    facts: Mapping[str, str]  # what was found -> in words
    methods: Mapping[str, str]  # name -> why it does not run; empty where it does


def of_model(model: str, use: Use = USUAL) -> Served:
    """The methods that run with a model, at their default settings. A server is probed anew.

    Raises UserError where the model cannot be loaded, or its server does not answer.
    """
    if is_served(model):
        served = open_served(model, cache_folder(), use, Speech(), Prices(), anew=True)
        facts = {"server": served.engine["server"], **served.dialect.in_words()}
        chat = Prompt("", messages=())
        why_not = {name: _why_not(name, served.capabilities, served.why_in_one_piece([chat])) for name in METHODS}
        return Served(served.name, facts, why_not)
    policy = load_policy(model, "auto", "auto", cache_folder())
    facts = {"gives": ", ".join(sorted(policy.capabilities)), "parameters": f"{policy.parameters:,}"}
    return Served(policy.name, facts, {name: _why_not(name, policy.capabilities, None) for name in METHODS})


def _why_not(name: str, gives: frozenset[Capability], in_one_piece: str | None) -> str:
    """Why a method does not run with a model; empty where it does."""
    try:
        method: type[Generator] = METHODS[name]
    except UserError as error:  # a plugin of another package
        return str(error)
    if _required(method):
        return "depends on its settings"
    config = method.Config()
    if missing := sorted(method.needs(config) - gives):
        return f"needs {' and '.join(missing)}"
    if in_one_piece is not None and len(method.prefixes(config, Sampler())) > 1:
        return f"not in chunks, for {in_one_piece}; with messages, one chunk as long as the answer runs"
    return method.unavailable("", config) or ""


def described(text: str) -> Described:
    """A method or a task by its name, or one of your own as FILE.py:Class. Raises UserError, with the nearest."""
    registry = _registry_of(text)
    name = registry.name_of(text)
    if registry is METHODS:
        method: type[Generator] = METHODS[name]
        tuned = ", ".join(dict.fromkeys(one.name for one in method.tunables))
        notes = {"source": method.source, "needs of the policy": _method(name).needs or "text", "tune varies": tuned}
        if not _required(method) and (why := method.unavailable("", method.Config())):
            notes["not here"] = why
        return Described(name, "method", _summary(method), settings_in(method.Config), notes)
    task: type[Task] = TASKS[name]
    profiles = {f"--profile {profile}": _flat(sections) for profile, sections in task.profiles.items()}
    notes = {"source": task.source, "default model": task.default_model, **profiles}
    return Described(name, "task", _summary(task), settings_in(task.Config), notes)


def shared() -> list[Described]:
    """The sections of settings that every run has."""
    return [
        Described(name, "section", _sentence(kind.__doc__ or ""), settings_in(kind)) for name, kind in SECTIONS.items()
    ]


def presets() -> dict[str, str]:
    """Name -> the settings it stands for, here of tasks whose prompts are continued."""
    return {name: _flat(settings_of(name, "continuations")) for name in PRESETS}


def axes() -> dict[str, tuple[str, str]]:
    """Axis of `ablate` -> what it is, and the values that are tried unless others are given."""
    return {name: (axis.label, ", ".join(map(str, axis.values))) for name, axis in AXES.items()}


def _method(name: str) -> Offered:
    try:
        method: type[Generator] = METHODS[name]
    except UserError as error:  # a plugin of another package
        return Offered(name, str(error), "", "")
    if _required(method):
        return Offered(name, _brief(_summary(method)), method.source, "")  # what it needs depends on what it is told
    needs = sorted(method.needs(method.Config()) - {"text"})  # which every policy gives
    return Offered(name, _brief(_summary(method)), method.source.partition(",")[0], ", ".join(needs))


def _required(method: type[Generator]) -> bool:
    """Whether it has a setting without a default."""
    return any(one.default is MISSING and one.default_factory is MISSING for one in fields(method.Config))


def _registry_of(text: str) -> Registry[Any]:
    """Whether a text names a method or a task. Raises UserError where it names neither."""
    if ":" in text:
        return TASKS if issubclass(class_of("method or task", text), Task) else METHODS
    if text in METHODS:
        return METHODS
    if text not in TASKS:
        raise unknown("method or task", text, [*METHODS, *TASKS, *TOPICS])
    return TASKS


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{s}.{k}={v}" for s, settings in sections.items() for k, v in settings.items())


def _summary(kind: type) -> str:
    """First sentence of the module that defines it."""
    return _sentence(sys.modules[kind.__module__].__doc__ or "")


def _brief(sentence: str) -> str:
    """Its first clause, without the paper, which has a column of its own."""
    return re.sub(r"\s*\([^()]*arXiv[^()]*\)", "", sentence).partition("; ")[0]


def _sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")
