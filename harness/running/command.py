"""The arguments of `run` that make a run again: what was asked, whether by options, a preset, --config or Python.

command_of(config)     # ["--method", "iro", "--task", "toy", ..., "--set", "iro.width=3"], or None

Settings are named where they differ from what profile, preset and defaults give; `evidence/command.py` prints them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.core.as_before import files_in
from harness.core.nested import flatten
from harness.core.registry import Registry
from harness.evidence.command import PROMPTS, method_arguments, other_than_auto, setting_arguments
from harness.methods import METHODS
from harness.running.config import RunConfig, resolve
from harness.running.request import FILES, LM_EVAL, LM_EVAL_OPTIONS, Given, Request
from harness.tasks import TASKS

_ROUNDS = 3  # best_of_n.n follows from the other settings, so it is looked at once those are named


def command_of(config: RunConfig) -> list[str] | None:
    """Arguments that resolve to what `config` asks; None where none do, as for a task or method made in Python."""
    if config.task not in list(TASKS) or not set(config.methods) <= set(METHODS):
        return None
    request = Request(
        methods=config.methods,
        task=config.task,
        model=config.model,
        profile=config.profile,
        preset=config.preset,
        seed=config.seed,
        only=True,
        device=config.device,
        dtype=config.dtype,
    )
    settings = _settings(config)
    request = request.with_given((PROMPTS, settings[PROMPTS]))
    # what is worked on decides other settings, and is named in any case
    named: dict[str, Any] = {f"{config.task}.{name}": of for name, of in files_in(config.settings[config.task]).items()}
    for _ in range(_ROUNDS):
        # not what the command line will say, which has base and best_of_n back, but it resolves alike
        found = _settings(resolve(request.with_given(*_given(named))))
        missing = [name for name, value in settings.items() if value != found.get(name)]
        named |= {name: settings[name] for name in _first(missing)}
    if resolve(request.with_given(*_given(named))).asked() != config.asked():
        return None
    worked_on = _options(named, FILES) or ["--task", _reference(TASKS, config.task)]
    if config.task == LM_EVAL:
        worked_on = ["--task", f"{LM_EVAL}:{named.pop(f'{LM_EVAL}.name')}", *_options(named, LM_EVAL_OPTIONS)]
    return [
        *method_arguments(config.methods, {name: _reference(METHODS, name) for name in config.methods}),
        *worked_on,
        *([] if config.model == TASKS[config.task].default_model else ["--model", config.model]),
        *("--profile", config.profile),
        *([] if config.preset is None else ["--preset", config.preset]),
        *("--seed", str(config.seed), "--limit", str(settings[PROMPTS])),
        *other_than_auto(config.device, config.dtype),
        *setting_arguments(named),
    ]


def _settings(config: RunConfig) -> dict[str, Any]:
    return dict(flatten({section: asdict(settings) for section, settings in config.settings.items()}))


def _given(named: dict[str, Any]) -> Given:
    return list(named.items())


def _options(named: dict[str, Any], options: Mapping[str, str]) -> list[str]:
    """Settings that have options of their own, which are no longer `named` then."""
    words = []
    for option, name in options.items():
        value = named.pop(name, None)
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [f"--{option.replace('_', '-')}", one] if one else []
    return words


def _first(missing: Sequence[str]) -> Sequence[str]:
    """Of the settings that differ, those that others may follow from."""
    return [name for name in missing if name != "best_of_n.n"] or missing


def _reference(registry: Registry[Any], name: str) -> str:
    return registry.origin(name).reference
