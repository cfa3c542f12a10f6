"""What somebody asks of a run, before anything is checked or filled in; `config.resolve` makes settings of it.

The command line, `ablate`, `tune` and the Python interface all make a `Request`, and change one by `replace`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.core.api.use import USUAL, Use

Given = Sequence[tuple[str, Any]]  # settings by dotted name, later ones win
FILES = {  # option -> setting of the task data
    "data": "data.file", "grader": "data.grader", "gold": "data.gold", "cluster": "data.cluster",
}  # fmt: skip
LM_EVAL = "lm_eval"  # the task whose name is --task lm_eval:NAME
LM_EVAL_OPTIONS = {  # option -> its setting
    "include_path": "lm_eval.include_path",
    "dataset_file": "lm_eval.dataset_files",
    "reward": "lm_eval.reward",
}
NAMING_FILES = {option: of for option, of in (FILES | LM_EVAL_OPTIONS).items() if option != "cluster"}  # a column
NO_TREES = ("evaluate.trace", 0)  # where nobody looks at the searches of a run


@dataclass(frozen=True)
class Tuned:
    """What a file says that `tune` wrote: the folder of the tuning, and what was tuned to what."""

    name: str
    task: str
    model: str | None
    profile: str
    given: Given
    edges: Mapping[str, Sequence[str]] = field(default_factory=dict)  # method -> where its best may not be the best
    budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # method -> tries, prompts, flops, seconds


@dataclass(frozen=True)
class Request:
    """Names and settings as they were given. The defaults are those of the command line."""

    methods: Sequence[str] = ("iro",)
    task: str = "imdb"
    model: str | None = None  # None: the task's own
    profile: str = "quick"
    preset: str | None = None
    seed: int = 0
    limit: int | None = None  # prompts evaluated; None: the profile's
    refits: int | None = None  # times that everything is fitted; None: as set, once by default
    only: bool = False  # leave base and best_of_n out unless named
    device: str = "auto"
    dtype: str = "auto"
    given: Given = ()
    tuned: Tuned | None = None

    def with_given(self, *given: tuple[str, Any]) -> "Request":
        """The same with further settings, which win over those that are there."""
        return replace(self, given=(*self.given, *given))


@dataclass(frozen=True)
class Workspace:
    """Where a run is stored and how it is spread: nothing of it changes a number."""

    out: Path
    cache: Path
    workers: int | None = None  # None: as many as cores and memory allow
    name: str | None = None  # that the run is given (see evidence/run_names.py)
    said: set[str] = field(default_factory=set, compare=False)  # lines that several runs of a command say once
    use: Use = USUAL  # of a server, where the model is one's
