"""The command that makes a stored run again, as its report prints it; no torch.

made_by(run.record)          # "python -m harness run --method iro --task toy --profile quick --seed 0 --limit 12 ..."

A run notes its command when it is made (`running/command.py`), with those settings alone that its profile and preset do
not give. For runs stored before that, every setting is written out: which were defaults then is not known.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from harness.core.nested import flatten
from harness.core.yaml_text import written_yaml
from harness.evidence.record import RunRecord
from harness.evidence.schema import REFERENCES

PROMPTS = "evaluate.prompts"  # what --limit sets


def made_by(record: RunRecord) -> str | None:
    """The command in one line, for a shell; None where none makes it, as for a method that was made in Python."""
    if record.command is None and record.identity is not None:
        return None
    arguments = _written_out(record) if record.command is None else record.command
    return shlex.join(["python", "-m", "harness", "run", *arguments])


def method_arguments(methods: Sequence[str], references: Mapping[str, str] | None = None) -> list[str]:
    """--method of exactly these, in this order, and --only where `run` would add others; `references` for own ones."""
    count = len(REFERENCES)  # those that `run` adds without --only
    is_usual = tuple(methods[:count]) == REFERENCES
    named = (list(methods[count:]) or [REFERENCES[-1]]) if is_usual else methods
    return [
        "--method",
        ",".join((references or {}).get(name, name) for name in named),
        *([] if is_usual else ["--only"]),
    ]


def setting_arguments(settings: Mapping[str, Any]) -> list[str]:
    """--set of each setting by its dotted name."""
    return [part for name, value in settings.items() for part in ("--set", f"{name}={written_yaml(value)}")]


def other_than_auto(device: str | None, dtype: str | None) -> list[str]:
    """--device and --dtype where they were chosen."""
    chosen = {"--device": device, "--dtype": dtype}
    return [part for name, value in chosen.items() if value not in (None, "auto") for part in (name, str(value))]


def _written_out(record: RunRecord) -> list[str]:
    config, settings = record.config, dict(flatten(record.config.settings))
    limit = settings.pop(PROMPTS, None)
    plain = {"--task": config.task, "--model": config.model, "--profile": config.profile, "--seed": config.seed}
    plain |= {"--limit": limit}
    arguments = method_arguments(config.methods)
    for name, value in plain.items():
        arguments += [] if value is None else [name, str(value)]
    return [*arguments, *other_than_auto(config.device, config.dtype), *setting_arguments(settings)]
