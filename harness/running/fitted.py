"""What a run leaves for later prompts: OUT/runs/<id>/fitted/, which `harness.load` answers from. Safetensors and JSON.

    fitted/about.json            what was asked, the model's fingerprint, the proxy's units, names and origins
    fitted/iro/2/                what `save` wrote after iteration 2; of a method that fits nothing 0/, which is empty
    read_fitted(folder)          # Fitted

Written before the run is done. Git ignores it, since it can be large, and the run's command makes it again.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from harness.core.contents import files_below
from harness.core.errors import UserError
from harness.core.files import renewed
from harness.core.json_file import write_json
from harness.core.manifest import MANIFEST, problems_of, write_manifest
from harness.core.models.device import place
from harness.core.models.embedded import EMBEDDED
from harness.core.registry import Registry
from harness.core.reward import Scale
from harness.evidence.store import ids_in, read_json, read_parquet
from harness.methods import METHODS
from harness.running.config import RunConfig
from harness.running.provenance import commit_of_code
from harness.running.stages import RunContext
from harness.tasks import TASKS

FORMAT = 1  # raised when an older version cannot read it any more


@dataclass(frozen=True)
class FittedMethod:
    reference: str | None  # FILE.py:Class or module:Class where it is not shipped
    iterations: Annotated[list[int], Field(min_length=1)]  # folders there are
    reward_calls: dict[str, float]  # final pick -> calls of the proxy a prompt, in the run's answers


@dataclass(frozen=True)
class Fitted:
    """What about.json holds."""

    format: int
    version: str  # of this package
    commit: str
    run: str
    asked: dict[str, Any]  # RunConfig.asked(), with a model's folder as an absolute path
    dtype: str  # that the model was loaded in; auto: a server's affair
    fingerprint: str  # of the model
    proxy: dict[str, float]  # mean and sd over base samples, in reward units
    task: str | None  # reference, as of methods
    reward: str | None  # FILE.py:function of a reward that was given from Python and can be imported
    reward_source: str | None  # hash of its source
    facts: dict[str, Any]  # of the task
    methods: dict[str, FittedMethod]


@dataclass(frozen=True)
class _Asked:
    task: str
    model: str
    profile: str
    seed: int
    settings: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Proxy:
    mean: float
    sd: float


@dataclass(frozen=True)
class _Needed:
    """What answers need of what `Fitted` holds as plain data."""

    asked: _Asked
    proxy: _Proxy


def write_fitted(folder: Path, context: RunContext, proxy: Scale, completions: Sequence[Mapping[str, Any]]) -> None:
    """Copy what the methods of a run fitted out of the cache; `completions` are the rows of its table."""
    config = context.config
    stored = {
        (row["method"], row["iteration"]): fitted
        for row in context.usage
        if (fitted := context.artifacts.root / "fit" / row["artifact"] / "fitted").is_dir()
    }
    methods = {}
    with renewed(folder / "fitted") as part:
        part.mkdir()
        for name in config.methods:
            rows = [row for row in completions if row["method"] == name]
            iterations = sorted({row["iteration"] for row in rows})
            for iteration in iterations:
                target = part / name / str(iteration)
                if (name, iteration) in stored:
                    shutil.copytree(stored[name, iteration], target)
                else:
                    target.mkdir(parents=True)
            calls = {
                pick: float(np.mean([row["reward_calls"] for row in rows if row["final_pick"] == pick]))
                for pick in dict.fromkeys(row["final_pick"] for row in rows)
            }
            methods[name] = FittedMethod(_reference(METHODS, name), iterations, calls)
        given = context.task.reward_file or (None, None)
        about = Fitted(
            format=FORMAT,
            version=version("iro-harness"),
            commit=commit_of_code()[0],
            run=folder.name,
            asked=asked_from_anywhere(config),
            dtype=config.dtype
            if context.policy.elsewhere
            else str(place(config.device, config.dtype)[1]).removeprefix("torch."),
            fingerprint=context.policy.fingerprint,
            proxy=asdict(proxy),
            task=_reference(TASKS, config.task),
            reward=given[0],
            reward_source=given[1],
            facts=context.task.describe(),
            methods=methods,
        )
        write_about_fitted(part, about)


def write_about_fitted(folder: Path, about: Fitted) -> None:
    """The last file of such a folder, but for the list of all."""
    write_json(folder / "about.json", asdict(about))
    write_manifest(folder, (name for name in files_below(folder) if name != MANIFEST))


def fitted_problems(folder: Path) -> list[str]:
    """What of such a folder is not as it was written, a line each; nothing where there is none."""
    found = [f"{folder.name}/{line}" for line in problems_of(folder)] if (folder / MANIFEST).exists() else []
    return found or _of_another_run(folder)


def _of_another_run(folder: Path) -> list[str]:
    """Whether somebody put the folder of another run beside a run's tables: git leaves it out, so it is copied."""
    if not (folder.parent / "completions.parquet").is_file() or not (folder / "about.json").is_file():
        return []
    try:
        runs = ids_in(read_parquet(folder.parent / "completions.parquet"))
        of = read_json(folder / "about.json").get("run")
    except UserError:  # which whoever reads them says
        return []
    return [] if not runs or of in runs else [f"{folder.name}/ is of {of}, and the tables beside it of {min(runs)}"]


def read_fitted(folder: Path) -> Fitted:
    """What such a folder is. Raises UserError where it is none, of a later version, or not as it was written."""
    about = read_about_fitted(folder)
    if problems := fitted_problems(folder):
        raise UserError(f"{folder} is not as it was written: {'; '.join(problems)}; run its command again")
    return about


def read_about_fitted(folder: Path) -> Fitted:
    """What about.json says, whatever became of the rest. Raises UserError where it cannot be read."""
    path = folder / "about.json"
    data = read_json(path)
    if data.get("format") != FORMAT:
        raise UserError(
            f"{path} has format {data.get('format')!r}; this version, {version('iro-harness')}, reads {FORMAT}: run "
            "the command of its run again, or use the version that wrote it"
        )
    try:
        about: Fitted = TypeAdapter(Fitted).validate_python(data)
        TypeAdapter(_Needed).validate_python({"asked": about.asked, "proxy": about.proxy})
        return about
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {where}: {first['msg'].lower()}; run the command of its run again") from error


def stored_settings(section: str, kind: Any, values: Mapping[str, Any]) -> Any:
    """Stored settings as they were."""
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([section, *map(str, first["loc"])])
        raise UserError(f"the stored setting {where} is not one of this version: {first['msg'].lower()}") from error


def asked_from_anywhere(config: RunConfig) -> dict[str, Any]:
    """What was asked as JSON has it, with a model's folder as an absolute path."""
    asked: dict[str, Any] = json.loads(json.dumps(config.asked()))
    if config.model not in ("toy", EMBEDDED) and Path(config.model).exists():
        asked["model"] = str(Path(config.model).resolve())
    return asked


def _reference(registry: Registry[Any], name: str) -> str | None:
    origin = registry.origin(name)
    return None if origin.shipped else origin.reference
