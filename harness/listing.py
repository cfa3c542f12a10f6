"""What can be run and set: `python -m harness list`."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from harness.methods import METHODS
from harness.running.config import SECTIONS
from harness.running.presets import PRESETS, settings_of
from harness.sweeps.axes import AXES
from harness.tasks import TASKS


def listing() -> str:
    """Methods, tasks and shared sections with every setting, its default and its source."""
    lines = ["METHODS (settings as --set method.name=value)"]
    for name, method in METHODS.items():
        lines += [f"  {name}: {_summary(method)} [{method.source}]", *_settings(name, method.Config)]
    lines.append("TASKS")
    for name, task in TASKS.items():
        lines += [f"  {name}: {_summary(task)} [{task.source}]", *_settings(name, task.Config)]
        for profile, sections in task.profiles.items():
            lines.append(f"    --profile {profile}: {_flat(sections)}")
    lines.append("SHARED BY ALL METHODS")
    for name, section in SECTIONS.items():
        lines += _settings(name, section)
    lines.append("PRESETS (run --preset name), here for continuations")
    for name in PRESETS:
        lines.append(f"  {name}: {_flat(settings_of(name, 'continuations'))}")
    lines.append("AXES of ablate, with their own values")
    lines += [f"  {name}: {axis.label} {list(axis.values)}" for name, axis in AXES.items()]
    return "\n".join(lines)


def _flat(sections: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{s}.{k}={v}" for s, settings in sections.items() for k, v in settings.items())


def _summary(kind: type) -> str:
    """First sentence of the module that defines it."""
    module = __import__(kind.__module__, fromlist=["__doc__"])
    return " ".join((module.__doc__ or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def _settings(prefix: str, kind: type) -> list[str]:
    lines = []
    for field in fields(kind):
        inner = getattr(field.type, "__origin__", field.type)
        if is_dataclass(inner):
            lines += _settings(f"{prefix}.{field.name}", inner)
            continue
        default = "required" if field.default is MISSING else field.default
        lines.append(f"    {prefix}.{field.name} = {default}    {_description(field.type)}")
    return lines


def _description(annotation: Any) -> str:
    notes = getattr(annotation, "__metadata__", ())
    return next((n.description for n in notes if getattr(n, "description", None)), "")
