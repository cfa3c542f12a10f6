"""What a run is asked to do: settings by section, from defaults, profile, preset, --config and --set, in this order.

Sections: sampler, fit, evaluate, batch, the task's name, and the name of each method. Everything that is asked and
shapes a number is here; with what it is made of (see identity.py) it names the run. A setting that comes later has an
`AsBefore` in its annotation, so that older runs keep their names; a test pins today's.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from itertools import chain
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as settings_dataclass
from pydantic.fields import FieldInfo

from harness.core.api.spending import Prices
from harness.core.as_before import AsBefore, hashed
from harness.core.errors import UserError, unknown
from harness.core.generator import Generator
from harness.core.models.model_settings import ModelSettings
from harness.core.models.sampling import Sampler
from harness.core.models.served.address import without_url
from harness.core.nested import flatten
from harness.evidence.command import PROMPTS
from harness.evidence.schema import REFERENCES
from harness.methods import METHODS
from harness.running.presets import PRESETS, settings_of
from harness.running.request import Request, Tuned
from harness.tasks import TASKS

SCHEMA = 1  # raised when a default changes or a setting gets another meaning: part of every run's identity
_FORBID = ConfigDict(extra="forbid")


@settings_dataclass(frozen=True, config=_FORBID)
class Fit:
    """Data for fitting, the same for every method."""

    prompts: Annotated[int, Field(ge=1, description="fit prompts of each iteration, its own slice (profile)")] = 128
    samples: Annotated[int, Field(ge=1, description="base samples a prompt in iteration 1 (profile)")] = 8
    layers: Annotated[tuple[int, ...], Field(description="layers a value may read; empty: 0.2-0.6 of the depth")] = ()
    refits: Annotated[
        int, Field(ge=1, le=100, description="times that everything is fitted, the same as --refits"), AsBefore(1)
    ] = 1


@settings_dataclass(frozen=True, config=_FORBID)
class Evaluate:
    """The prompts that methods are compared on. Settings are tried on `development`, and settled for the others."""

    slice: Annotated[
        Literal["test", "development", "reserve"],
        Field(description="which prompts; reserve: those that no run has seen, where the task keeps some (harness)"),
    ] = "test"
    prompts: Annotated[int, Field(ge=1, description="how many of them, the same as --limit (profile)")] = 64
    trace: Annotated[
        int,
        Field(ge=0, description="first prompts by id whose search trees are stored (harness)"),
        AsBefore(0),
        AsBefore(8),  # trees shape no other table, so a run keeps its name whether the default stores none or eight
    ] = 8


@settings_dataclass(frozen=True, config=_FORBID)
class Batch:
    """How work is cut into batches: shapes numbers in their last digits, so it is part of the run."""

    rows: Annotated[int, Field(ge=1, description="most rows decoded together (harness)")] = 64
    memory_gb: Annotated[float, Field(gt=0, description="most memory for the rows of a batch (harness)")] = 2.0


MODEL_ARGS = "model_args"
PRICES = "prices"
SECTIONS: dict[str, type] = {
    "sampler": Sampler, "fit": Fit, "evaluate": Evaluate, "batch": Batch, MODEL_ARGS: ModelSettings, PRICES: Prices,
}  # fmt: skip
_LATER = frozenset({MODEL_ARGS, PRICES})  # sections that came later: while all is as before, they stand in no hash


@dataclass(frozen=True)
class RunConfig:
    task: str
    model: str
    profile: str
    seed: int
    device: str
    dtype: str
    methods: tuple[str, ...]
    settings: Mapping[str, Any]  # section -> its settings object
    left_out: Mapping[str, str] = field(default_factory=dict)  # methods of `all` that cannot run here -> why
    tuned: Tuned | None = None  # the file of `tune` that --config named (see settings_source.py)
    preset: str | None = None  # that settings came from; they alone shape numbers

    def asked(self) -> dict[str, Any]:
        """Everything asked that shapes the numbers, as plain data; half of what names the run (see identity.py)."""
        settings = {
            name: plain for name, value in self.settings.items() if (plain := hashed(value)) or name not in _LATER
        }
        return {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("left_out", "tuned", "preset")
        } | {"model": without_url(self.model), "settings": settings}


def resolve(request: Request) -> RunConfig:
    """Check every name and value and fill in the rest.

    Raises UserError that names the setting, the value seen and what would be valid.
    """
    profile, preset, limit = request.profile, request.preset, request.limit
    task = TASKS.name_of(request.task)
    names = [METHODS.name_of(name, "all") for name in request.methods]
    _require_apart(task, names)
    model = request.model or TASKS[task].default_model
    every = "all" in names
    names = list(METHODS) if every else names
    if not request.only:
        names = [*REFERENCES, *names]
    names = list(dict.fromkeys(names))
    profiles = TASKS[task].profiles
    if profile not in profiles:
        raise unknown(f"profile of task {task}", profile, profiles)
    types = SECTIONS | {task: TASKS[task].Config} | {name: METHODS[name].Config for name in names}
    values: dict[str, dict[str, Any]] = {name: {} for name in types}
    if preset is not None and preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    named = settings_of(preset, TASKS[task].kind) if preset else {}
    if behind_an_api(model):
        for name in names:
            values[name].update(METHODS[name].without_states())
    budget = profiles[profile].get("budget", {})
    if budget:
        for name in names:
            values[name].update(METHODS[name].settings_at(**budget))
    for section, settings in [*profiles[profile].items(), *named.items()]:
        if section in values:
            values[section].update(settings)
    given = list(chain.from_iterable(flatten({key: value}) for key, value in request.given))
    for key, value in given:
        _assign(values, types, names, key, value)
    if limit is not None:
        if limit < 1:
            raise UserError(f"--limit {limit}: give the number of prompts, at least 1")
        values["evaluate"]["prompts"] = limit
    if request.refits is not None:
        values["fit"]["refits"] = request.refits
    asked = {key for key, _ in given} | ({PROMPTS} if limit is not None else set())
    decided = TASKS[task].generation(_validated(task, types[task], values[task]), values["sampler"])
    values["sampler"] |= {
        name: value
        for name, value in decided.items()
        if f"sampler.{name}" not in asked and name not in named.get("sampler", {})
    }
    settings = {name: _validated(name, kind, values[name]) for name, kind in types.items()}
    settings |= _fitting_the_file(task, names, settings, asked)
    left_out = {name: why for name in names if (why := METHODS[name].unavailable(model, settings[name]))}
    _require_gold_unread(task, names, settings)
    if left_out and not every:
        raise UserError("; ".join(f"{name}: {reason}" for name, reason in left_out.items()))
    names = [name for name in names if name not in left_out]
    settings = {name: value for name, value in settings.items() if name not in left_out}
    if "best_of_n" in names and "n" not in values["best_of_n"]:
        others = [METHODS[name].budget(settings[name]) for name in names if name not in REFERENCES]
        n = max((rows for rows in others if rows is not None), default=budget.get("rows"))
        if n is not None:
            settings["best_of_n"] = replace(settings["best_of_n"], n=n)
    return RunConfig(
        task,
        model,
        profile,
        request.seed,
        request.device,
        request.dtype,
        tuple(names),
        dict(sorted(settings.items())),
        left_out,
        request.tuned,
        preset,
    )


def behind_an_api(model: str) -> bool:
    """Whether a model is an endpoint (`openai:BASE_URL#MODEL`), which shows no states."""
    return model.startswith("openai:")


FEWEST = 5  # prompts that a value function is fitted on


def iterations_of(kind: type[Generator], config: Any) -> int:
    """A method's iterations, which its settings alone decide, before there is a model to make it with."""
    method = kind.__new__(kind)
    method.config = config
    return method.iterations


def _fitting_the_file(
    task: str, methods: Sequence[str], settings: Mapping[str, Any], asked: Container[str]
) -> dict[str, Any]:
    """fit and evaluate with no more prompts than a task of a user's file has, where nobody asked for more.

    All iterations share the fit prompts. Raises UserError where there are too few for them.
    """
    sizes = TASKS[task].sizes(settings[task])
    if sizes is None:
        return {}
    fit, evaluate = settings["fit"], settings["evaluate"]
    iterations = max([1, *(iterations_of(METHODS[name], settings[name]) for name in methods)])
    there = sizes.get(evaluate.slice, 0)
    if not there:
        raise UserError(
            f"the data has no {evaluate.slice} prompts, on which methods are compared; add some to its file"
        )
    if "fit.prompts" not in asked:
        each = sizes["fit"] // iterations
        if each < FEWEST:
            raise UserError(
                f"the data has {sizes['fit']} fit prompts, too few for {iterations} iteration(s) of {FEWEST} at least; "
                "add rows to its file"
                + (", or ask for fewer, as --set iro.iterations=1 does" if iterations > 1 else "")
            )
        fit = replace(fit, prompts=min(fit.prompts, each))
    if PROMPTS not in asked:
        evaluate = replace(evaluate, prompts=min(evaluate.prompts, there))
    return {"fit": fit, "evaluate": evaluate}


def _require_apart(task: str, methods: Sequence[str]) -> None:
    """Raises UserError where a name would mean two sections of settings, as only a class of somebody else's can."""
    for kind, name in [("task", task), *(("method", name) for name in methods)]:
        if name in SECTIONS or (kind == "method" and name == task):
            what = "the task of this run" if name == task else "a section of settings"
            raise UserError(f"{kind} {name!r} is called as {what} is; give its class another name")


def _require_gold_unread(task: str, methods: Sequence[str], settings: Mapping[str, Any]) -> None:
    """Raises UserError where a method reads a model that the task's gold is made of."""
    for name in methods:
        if shared := METHODS[name].models_read(settings[name]) & TASKS[task].gold_models:
            raise UserError(
                f"{name} would read {', '.join(sorted(shared))}, of which the gold of {task} is made: what it gained "
                f"there would be no evidence. Leave it out (--set {name}.value.text.embedding=none)"
            )


def _assign(
    values: dict[str, dict[str, Any]], types: Mapping[str, type], methods: Sequence[str], key: str, value: Any
) -> None:
    section, *path = key.split(".")
    if not path:
        owners = [m for m in methods if section in names_of(types[m])]
        if len(owners) != 1:
            valid = [f"{name}.{setting}" for name, kind in types.items() for setting in names_of(kind)]
            if owners:
                raise UserError(f"setting {key!r} is ambiguous: say {' or '.join(f'{o}.{key}' for o in owners)}")
            raise unknown("setting", key, valid)
        section, path = owners[0], [section]
    if section not in types:
        if section in METHODS or section in TASKS:
            raise UserError(f"setting {key!r} belongs to {section!r}, which this run does not use")
        raise unknown("section", section, types)
    kind = bare(annotation_of(".".join([section, *path]), types))
    if is_dataclass(kind):
        parts = ", ".join(f"{key}.{part}" for part in names_of(kind))
        raise UserError(f"setting {key} = {value!r}: it has parts; set those: {parts}")
    target = values[section]
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = value


def annotation_of(key: str, types: Mapping[str, type]) -> Any:
    """How a setting is annotated, by its full dotted name. Raises UserError, with the nearest, where there is none."""
    section, *path = key.split(".")
    kind: Any = types[section]
    for i, name in enumerate(path):
        if get_origin(kind) is dict:
            return Any  # whatever a library takes by that name
        if not is_dataclass(kind):
            raise UserError(f"setting {key!r}: {'.'.join([section, *path[:i]])} has no parts")
        if name not in names_of(kind):
            raise unknown("setting", key, [".".join([section, *path[:i], n]) for n in names_of(kind)])
        annotation = get_type_hints(kind, include_extras=True)[name]
        kind = bare(annotation)
    return annotation


def bare(annotation: Any) -> Any:
    """Annotated[X, ...] -> X."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def description_of(annotation: Any) -> str:
    """What its pydantic Field says of a setting; empty where it says nothing."""
    notes = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((n.description for n in notes if isinstance(n, FieldInfo) and n.description), "")


def sections() -> list[str]:
    """Every name that settings can begin with."""
    return [*SECTIONS, *TASKS, *METHODS]


def names_of(kind: Any) -> list[str]:
    """Names of the settings of a section."""
    return [f.name for f in fields(kind)]


def _validated(section: str, kind: type, values: Mapping[str, Any]) -> Any:
    try:
        made: Any = TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join([section, *map(str, first["loc"])])
        wanted = "give a list, in square brackets" if first["type"] == "tuple_type" else first["msg"].lower()
        raise UserError(f"setting {name} = {first['input']!r}: {wanted}") from error
    _require_numbers(section, values, made)
    return made


def _require_numbers(section: str, values: Mapping[str, Any], made: Any) -> None:
    """Raises UserError for what pydantic takes as a number and no setting means: true, nan, inf, more than 64 bits."""
    used = dict(flatten(asdict(made), f"{section}."))
    given = used | dict(flatten(values, f"{section}."))
    for name, value in used.items():
        for asked, number in zip(_listed(given[name]), _listed(value), strict=False):
            is_truth = isinstance(asked, bool) and not isinstance(number, bool)
            if is_truth or (isinstance(number, int | float) and not abs(number) < 2**63):
                raise UserError(f"setting {name} = {given[name]!r}: give a finite number, below 2^63")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
