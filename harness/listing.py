"""What can be run and set: `python -m harness list`, or `list --method iro`, `list --method FILE.py:Class`."""

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

from harness.core.errors import UserError
from harness.core.generator import Generator
from harness.core.registry import Registry
from harness.core.task import Task
from harness.methods import METHODS
from harness.running.config import SECTIONS, bare, description_of
from harness.running.presets import PRESETS, settings_of
from harness.sweeps.axes import AXES
from harness.tasks import TASKS


def listing(methods: str | None = None, task: str | None = None) -> str:
    """Methods, tasks and shared sections with every setting, its default and its source; or those named alone."""
    if methods is not None or task is not None:
        chosen = _chosen(METHODS, methods), _chosen(TASKS, task)
        return "\n".join(
            [*(line for name in chosen[0] for line in _method(name)), *map("\n".join, map(_task, chosen[1]))]
        )
    lines = ["METHODS (settings as --set method.name=value)"]
    for name in METHODS:
        lines += _method(name)
    lines.append("TASKS")
    for name in TASKS:
        lines += _task(name)
    lines.append("SHARED BY ALL METHODS")
    for name, section in SECTIONS.items():
        lines += _settings(name, section)
    lines.append("PRESETS (run --preset name), here for continuations")
    for name in PRESETS:
        lines.append(f"  {name}: {_flat(settings_of(name, 'continuations'))}")
    lines.append("AXES of ablate, with their own values; METHOD.SETTING with --values is one, too")
    lines += [f"  {name}: {axis.label} {list(axis.values)}" for name, axis in AXES.items()]
    return "\n".join(lines)


def _chosen(registry: Registry[Any], text: str | None) -> list[str]:
    return [] if text is None else [registry.name_of(one) for one in text.split(",")]


def _method(name: str) -> list[str]:
    try:
        method: type[Generator] = METHODS[name]
    except UserError as error:  # a plugin of another package
        return [f"  {name}: {error}"]
    return [f"  {name}: {_summary(method)} [{method.source}]", *_settings(name, method.Config)]


def _task(name: str) -> list[str]:
    task: type[Task] = TASKS[name]
    lines = [f"  {name}: {_summary(task)} [{task.source}]", *_settings(name, task.Config)]
    return lines + [f"    --profile {profile}: {_flat(sections)}" for profile, sections in task.profiles.items()]


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{s}.{k}={v}" for s, settings in sections.items() for k, v in settings.items())


def _summary(kind: type) -> str:
    """First sentence of the module that defines it."""
    text = sys.modules[kind.__module__].__doc__ or ""
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def _settings(prefix: str, kind: Any) -> list[str]:
    lines, annotations = [], get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        annotation = annotations[field.name]
        if is_dataclass(bare(annotation)):
            lines += _settings(f"{prefix}.{field.name}", bare(annotation))
            continue
        default = "required" if field.default is MISSING else field.default
        lines.append(f"    {prefix}.{field.name} = {default}    {description_of(annotation)}")
    return lines
