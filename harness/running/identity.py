"""What names a run: what was asked, and the identity of everything that shapes its numbers.

    identity = identity_of(config, policy, task, methods, prompts, VERSIONS)
    run_id(config, identity)                      # "imdb-3f2a90c1d7"
    changes(stored, identity)                     # ["another model (files changed: model.safetensors)"]

A run is found done only under this id. Another one that was asked the same is named beside it, with what has changed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.as_before import hashed, without_as_before
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.generator import Generator
from harness.core.identity import is_shipped, source_identity
from harness.core.models.device import place
from harness.core.models.policy import Policy
from harness.core.task import Task
from harness.evidence.store import is_done, read_about
from harness.running.config import MODEL_ARGS, SCHEMA, RunConfig

Identity = Mapping[str, Any]
_HEX = frozenset("0123456789abcdef")
_WORDS = {  # part of an identity -> how another one is called
    "model": "another model",
    "engine": "another engine",
    "prompts": "other prompts",
    "task": "other code of the task",
    "methods": "other code of methods",
    "stages": "other versions of stages",
    "schema": "other meanings of settings",
}


def engine_of(policy: Policy, config: RunConfig) -> dict[str, str]:
    """What computes, by name and version, where and in which precision: `auto` is another one on another machine."""
    if policy.elsewhere:
        return dict(policy.engine)
    _, dtype = place(config.device, config.dtype)
    args = hashed(config.settings[MODEL_ARGS])
    return {
        **policy.engine, "device": policy.device.type, "dtype": str(dtype).removeprefix("torch."),
        **({MODEL_ARGS: json.dumps(args, sort_keys=True)} if args else {}),
    }  # fmt: skip


def task_code(task: Task) -> dict[str, Any]:
    """What names a task's prompts and rewards as far as code makes them: its source, or versions where it is ours."""
    return {"source": source_identity(type(task)), "versions": task.versions, "settings": task.key_settings}


def method_code(method: Generator) -> dict[str, Any]:
    """What names the code of a method in keys: its version, its source where it is not ours, and models it loads."""
    kind = type(method)
    source = {} if is_shipped(kind) else {"source": source_identity(kind)}
    return {"version": kind.version, **source, "inputs": method.fit_inputs()}


def identity_of(
    config: RunConfig,
    policy: Policy,
    task: Task,
    methods: Mapping[str, Generator],
    prompts: Mapping[str, list[str]],
    stages: Mapping[str, int],
) -> dict[str, Any]:
    """Everything that shapes the numbers of a run beside what was asked, in parts that people can read.

    `prompts` are `prompt_identity` of those for fitting, in the order of their iterations, and of those answered.
    """
    return {
        "model": {"fingerprint": policy.fingerprint, **policy.contents},
        "engine": engine_of(policy, config),
        "prompts": {part: digest(identities) for part, identities in prompts.items()},
        "task": task_code(task),
        "methods": {name: method_code(method) for name, method in methods.items()},
        "stages": dict(stages),
        "schema": SCHEMA,
    }


def run_id(config: RunConfig, identity: Identity) -> str:
    return f"{config.task}-{digest([config.asked(), identity])[:10]}"


def require_same(folder: Path, config: RunConfig, identity: Identity) -> None:
    """Raises UserError where a finished run in this folder is not the one that the folder's name promises."""
    about = read_about(folder)
    if digest([about.get("config"), about.get("identity")]) != digest([config.asked(), identity]):
        raise UserError(
            f"{folder} holds another run than its name says; it was renamed or edited. Move it away, and run the same "
            "command again"
        )


def made_otherwise(runs: Path, folder: Path, config: RunConfig, identity: Identity) -> str | None:
    """A line about the newest finished run that was asked the same and is another one; None where there is none."""
    asked, found = digest(config.asked()), []
    for path in sorted(runs.glob(f"{config.task}-*/run.json")):
        if path.parent.name.startswith(folder.name) or (about := _readable(path.parent)) is None:
            continue
        if digest(_asked_then(about.get("config"), config)) == asked:
            opened = [str(opening.get("time")) for opening in about.get("openings", [])]
            found.append((max(opened, default=""), path.parent.name, about))
    if not found:
        return None
    _, name, about = max(found, key=lambda one: one[:2])
    if "identity" not in about:
        return f"{name} is of a version that recorded no identity; computed anew as {folder.name}"
    what = "; ".join(changes(about["identity"], identity)) or "a code that could not be read"
    return f"{name} was made with {what}; computed anew as {folder.name}"


def changes(stored: Identity, now: Identity) -> list[str]:
    """What differs between two identities, a phrase a part: names of files, old and new versions."""
    phrases = []
    for part in dict.fromkeys([*now, *stored]):
        old, new = (_leaves(of.get(part), part) for of in (stored, now))
        if old != new:
            details = _details(old, new)
            phrases.append(f"{_WORDS.get(part, part)} ({details})" if details else _WORDS.get(part, part))
    return phrases


def _details(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Versions with both values, then names of what has only hashes: changed, added, gone."""
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name) and name != "fingerprint"]
    both = [name for name in names if name in old and name in new]
    values = [f"{name} {old[name]} -> {new[name]}" for name in both if not _is_hash(old[name])]
    kinds = {
        "changed": [name for name in both if _is_hash(old[name])],
        "added": [name for name in names if name not in old],
        "gone": [name for name in names if name not in new],
    }
    return "; ".join([*values, *(f"{kind}: {', '.join(of_kind)}" for kind, of_kind in kinds.items() if of_kind)])


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 16 and set(value) <= _HEX


def _leaves(tree: Any, name: str) -> dict[str, Any]:
    """Values by name, parts of names joined by slashes; `source` and `files` say nothing to a reader."""
    if not isinstance(tree, Mapping):
        return {name: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        below = _leaves(value, "")
        label = "" if key in ("source", "files") else str(key)
        leaves |= {"/".join(part for part in (label, inner) if part): leaf for inner, leaf in below.items()}
    return leaves


def _readable(folder: Path) -> dict[str, Any] | None:
    """run.json of a finished run; None of another one, or where it is damaged, which `report` says."""
    try:
        return read_about(folder) if is_done(folder) else None
    except UserError:
        return None


def _asked_then(stored: Any, config: RunConfig) -> Any:
    """What a stored run was asked, as it would be written now: settings that came later may be in it or not."""
    if not isinstance(stored, Mapping) or not isinstance(settings := stored.get("settings"), Mapping):
        return None
    kinds = {name: type(value) for name, value in config.settings.items()}
    plain = {
        name: without_as_before(kinds[name], value) if name in kinds and isinstance(value, Mapping) else value
        for name, value in settings.items()
    }
    return {**stored, "settings": plain}
