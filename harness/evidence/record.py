"""What run.json holds, as far as it is read: settings, units, prices, where a run's numbers come from.

record = read_record(folder / "run.json", json)
record.config.settings["iro"]["width"], record.units["gold_reward"].sd, record.budgets       # None: not recorded
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import polars as pl
from pydantic import Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from harness.core.errors import UserError
from harness.core.nested import flatten
from harness.core.statistics.stats import Floats
from harness.core.yaml_text import written_yaml

Scores = TypeVar("Scores", float, Floats, pl.Series, pl.Expr)
Part = TypeVar("Part")

UNKNOWN = "unknown"  # the commit of code that is in no checkout
DAMAGED = "run its command again, copy it again from where it came, or remove its folder"
_Text = Annotated[str, Strict()]
_Count = Annotated[int, Strict()]
_Truth = Annotated[bool, Strict()]
_Number = Annotated[float, Strict()]  # a whole number is one, too
_TITLE = re.compile(r"[\w.:+-]{1,80}")
_REWARDS_BEFORE = {"imdb": {"proxy": 2, "gold": 1}}  # versions at which runs were stored before facts named them


@dataclass(frozen=True)
class Unit:
    """Mean and standard deviation of a metric over the base samples, in raw units."""

    mean: _Number
    sd: _Number

    def standardised(self, raw: Scores) -> Scores:
        """Raw scores in sd of base samples above their mean."""
        return (raw - self.mean) / self.sd


@dataclass(frozen=True)
class Agreement:
    """How far proxy and gold agree on the base samples."""

    n: _Count
    correlation: _Number
    within_prompt_correlation: _Number

    @property
    def is_one_function(self) -> bool:
        """Whether they are the same but for unit and origin (to a millionth, as scores are float32)."""
        return self.correlation >= 1 - 1e-6

    @property
    def warning(self) -> str:
        """What must be said where they are one function; empty where they are not."""
        if not self.is_one_function:
            return ""
        return (
            f"Gold and proxy are one function (correlation 1 on {self.n:,} base samples): methods optimise what they "
            "are judged by, and nothing held out is in this table"
        )


@dataclass(frozen=True)
class Prices:
    """FLOPs of one policy token and one text scored by the proxy; of a prefix valued and a token read, by method."""

    policy_token: _Number
    reward_call: _Number
    value_call: Mapping[_Text, _Number] = field(default_factory=dict)
    value_token: Mapping[_Text, _Number] = field(default_factory=dict)


@dataclass(frozen=True)
class TuningBudget:
    """What a method's search on development prompts had, FLOPs and seconds as if each try had worked alone."""

    tries: _Count
    prompts: _Count
    flops: _Number | None = None
    seconds: _Number | None = None
    iterations: _Count | None = None  # that its tries had, where these were fewer than the run's


@dataclass(frozen=True)
class Tuning:
    """The tuning that chose a run's settings; `edges`: at which ends of its ranges a method's best lies."""

    name: _Text
    edges: Mapping[_Text, Sequence[_Text]] = field(default_factory=dict)
    budgets: Mapping[_Text, TuningBudget] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """What the run was asked to do; settings by section, as plain data."""

    task: _Text
    settings: Mapping[_Text, Mapping[_Text, Any]]
    model: _Text | None = None
    profile: _Text | None = None
    seed: _Count | None = None
    device: _Text | None = None
    dtype: _Text | None = None
    methods: Sequence[_Text] = ()


@dataclass(frozen=True)
class RunRecord:
    """run.json. None is what the version that stored the run did not record."""

    path: Path
    config: Config
    units: Mapping[_Text, Unit]  # by metric
    task_facts: Mapping[_Text, Any]
    identity: Mapping[_Text, Any] | None = None  # what it was made of; None: stored before that was recorded
    command: Sequence[_Text] | None = None  # arguments of `run` that ask the same: see command.py
    task_source: _Text | None = None
    commit: _Text | None = None
    dirty: _Truth | None = None  # with uncommitted changes
    seconds: _Number | None = None
    memory_gb: _Number | None = None
    agreement: Agreement | None = None
    settings_from: _Text | None = None  # who chose them: see leaderboard.py
    tuned: Tuning | None = None  # None: not tuned, or by a version that recorded less
    flops: Prices | None = None
    budgets: Mapping[_Text, _Count | None] | None = None  # method -> rows a prompt: see budgets.py
    kl_bounds: Mapping[_Text, _Number | None] = field(default_factory=dict)  # in nats, by method
    trained: Sequence[_Text] = ()  # methods that train weights
    left_out: Mapping[_Text, _Text] = field(default_factory=dict)  # method -> why
    tried: Sequence[Mapping[_Text, Any]] = ()  # layers and poolings, and how well their values rank
    finished: _Text | None = None  # when, as 2026-11-24T17:09:48Z; None: by a version that did not record it
    imported: Sequence[Mapping[_Text, Any]] = ()  # answers of other systems in it: see running/imported.py
    openings: Sequence[Mapping[_Text, Any]] = ()  # of the test slice, each with its time

    @property
    def short_commit(self) -> str:
        """The commit, and whether its code was changed, as reports say it."""
        return code_of(self.commit, self.dirty)

    @property
    def model_name(self) -> str | None:
        """The model with the arguments that it was given, if any: `org/name (revision=v2)`.

        One that a server wrote has the server's name and version: `llama-3-8b by vllm 0.33.0`.
        """
        args = ", ".join(f"{name}={written_yaml(value)}" for name, value in flatten(self.settings("model_args")))
        server = (self.identity or {}).get("engine", {}).get("server")
        name = self.config.model
        if name is not None and server is not None:
            name = f"{name.partition('#')[2]} by {server}"
        return f"{name} ({args})" if args else name

    @property
    def date(self) -> str:
        """When it was finished, else when it last opened the test slice; empty where neither was recorded."""
        return self.finished or max((str(opening.get("time", "")) for opening in self.openings), default="")

    @property
    def reward_versions(self) -> dict[str, int]:
        """Versions of the task's rewards, e.g. {"proxy": 3, "gold": 2}; empty where the task names none.

        Scores under other versions are scores by other rewards. Raises UserError where they are no whole numbers.
        """
        found = self.task_facts.get("reward_versions", _REWARDS_BEFORE.get(self.config.task, {}))
        try:
            return TypeAdapter(dict[_Text, _Count]).validate_python(found)
        except ValidationError as error:
            what = "where names and whole numbers belong"
            raise UserError(f"{self.path}: task_facts.reward_versions is {found!r:.60}, {what}; {DAMAGED}") from error

    @property
    def task_name(self) -> str:
        """What people call the task: its own name, or that of the benchmark that it stands for (`lm_eval:gsm8k`)."""
        title = self.task_facts.get("title")
        return title if isinstance(title, str) and _TITLE.fullmatch(title) else self.config.task

    @property
    def seed(self) -> int:
        return self.required("config.seed", self.config.seed)

    def standardised(self, metric: str, raw: Scores) -> Scores:
        """Raw scores of a metric in sd of base samples above their mean. Raises UserError where it has no unit."""
        return self.required(f"units.{metric}", self.units.get(metric)).standardised(raw)

    def settings(self, section: str) -> Mapping[str, Any]:
        """Of a method, or of evaluate, fit and the like; empty where the run has none."""
        return self.config.settings.get(section, {})

    def required(self, name: str, part: Part | None) -> Part:
        """A part that the caller cannot do without. Raises UserError where it was not recorded."""
        if part is None:
            raise UserError(f"{self.path} has no {name}, which is needed for this; {DAMAGED}")
        return part


def versions_in_words(versions: Mapping[str, int]) -> str:
    """proxy 3, gold 2"""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def code_of(commit: str | None, dirty: bool | None) -> str:
    """'3f2a90c1d7', '3f2a90c1d7 with uncommitted changes', 'unknown' (in no checkout) or 'not recorded'.

    Earlier versions noted an unknown commit as one with changes, of which nothing was known either.
    """
    if commit is None or commit == UNKNOWN:
        return "not recorded" if commit is None else UNKNOWN
    return commit[:10] + (" with uncommitted changes" if dirty else "")


def read_record(path: Path, about: Mapping[str, Any]) -> RunRecord:
    """The record that `about`, the JSON of `path`, holds. Raises UserError that names the file and the key at fault."""
    try:
        return TypeAdapter(RunRecord).validate_python({**about, "path": path})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        seen = "" if first["type"] == "missing" else f", and is {str(first['input'])[:60]!r}"
        raise UserError(f"{path}: {key}: {first['msg'].lower()}{seen}; {DAMAGED}") from error
