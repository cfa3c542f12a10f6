"""Who chose the settings of a run: its profile, `tune` on development prompts, or a hand. It stands in run.json.

settings_from(config)        # "defaults", "tune:imdb-standard-0f3a", or "chosen by hand"
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.core.as_before import files_in
from harness.running.config import MODEL_ARGS, RunConfig, resolve
from harness.running.request import Request

DEFAULTS, BY_HAND = "defaults", "chosen by hand"
_APART = ("evaluate", "batch")  # which prompts, and how work is cut: nothing that a method is helped by, nor by refits
_MODEL = (*_APART, MODEL_ARGS)  # and which model


def settings_from(config: RunConfig) -> str:
    """`tune:` is believed only where the settings are those of the file that it wrote, with nothing changed since."""
    if _settings(config, _MODEL) == _settings(_asked_with(config, ()), _MODEL):
        return DEFAULTS
    tuned = config.tuned
    if tuned is None or (tuned.task, tuned.model, tuned.profile) != (config.task, config.model, config.profile):
        return BY_HAND
    same = _settings(config) == _settings(_asked_with(config, tuned.given))
    return f"tune:{tuned.name}" if same else BY_HAND


def _asked_with(config: RunConfig, given: Sequence[tuple[str, Any]]) -> RunConfig:
    """With the user's files, which are what is worked on and no choice of settings."""
    given = [
        *given,
        *((f"{config.task}.{name}", file) for name, file in files_in(config.settings[config.task]).items()),
    ]
    same = {name: getattr(config, name) for name in ("task", "model", "profile", "seed", "device", "dtype", "methods")}
    return resolve(Request(**same, only=True, given=given))


def _settings(config: RunConfig, apart: Sequence[str] = _APART) -> dict[str, Any]:
    settings = {name: value for name, value in config.settings.items() if name not in apart}
    return settings | {"fit": replace(config.settings["fit"], refits=1)}
