"""A user's prompts and a user's grader: any file of data is a task.

python -m harness run --data support.jsonl --grader checks.py:helpful
python -m harness run --data support.jsonl --grader grader.json --gold judge.json --set data.endpoint=http://...:8080/v1

The grader is the proxy that methods may ask. With --gold another one judges, which no method sees; without, one grader
is both, and every table says so. What either cannot score is NaN, counted by its reason.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import AsBefore, ByContent
from harness.core.data.asked import ORIGINS
from harness.core.data.clusters import cluster_of, require_clusters
from harness.core.data.prompts import Data as File
from harness.core.data.prompts import read_data
from harness.core.errors import UserError
from harness.core.graders.grade import ERRORS, Grade
from harness.core.graders.graded_task import GradedTask, from_anywhere, grader_contents
from harness.core.graders.load import load_grader
from harness.core.graders.told import GOLD_ERROR, PROXY_ERROR, error_codes
from harness.core.graders.worker import Limits
from harness.core.outside import outside_of
from harness.core.printable import printable
from harness.core.task import GOLD, PART, Kind, Profiles, Slice, TextCutter
from harness.core.types import Completion, Prompt


def _rows(path: str) -> str:
    return read_data(Path(path)).identity


def _grader_file(named: str) -> str:
    return grader_contents(named) or ""


def _nowhere(_: str) -> str:
    """The identity of graders that ask has the endpoint, and no key shapes a number."""
    return ""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DataConfig:
    file: Annotated[
        str, Field(description="rows with prompts: .jsonl, .json, .csv or .parquet (--data)"), ByContent(_rows)
    ] = ""
    grader: Annotated[
        str,
        Field(description="what methods optimise: FILE.py:function, JSON or YAML (--grader)"),
        ByContent(_grader_file),
    ] = ""
    gold: Annotated[
        str, Field(description="another grader, which judges; empty: the same (--gold)"), ByContent(_grader_file)
    ] = ""
    cluster: Annotated[
        str,
        Field(description="column of what belongs together, such as a customer: drawn whole for intervals (--cluster)"),
        AsBefore(""),
    ] = ""
    seconds: Annotated[float, Field(gt=0, description="that a call of a grader may take (harness)")] = 30.0
    memory_gib: Annotated[float, Field(gt=0, description="that a grader's process may take (harness)")] = 4.0
    endpoint: Annotated[
        str, Field(description="where graders ask chat models, a URL up to /v1 (harness)"), ByContent(_nowhere)
    ] = ""
    key_variable: Annotated[
        str, Field(description="environment variable of its key (harness)"), ByContent(_nowhere)
    ] = ""


class Data(GradedTask):
    Config = DataConfig
    config: DataConfig
    source = "prompts and graders in files of the user's"
    kind: ClassVar[Kind] = "instructions"
    toy_as_well = True
    # answers of a chat: 128 tokens are a paragraph, 256 two; a chunk is a sentence
    profiles: ClassVar[Profiles] = {
        "quick": {
            "sampler": {"max_new_tokens": 128},
            "fit": {"prompts": 32, "samples": 8},
            "evaluate": {"prompts": 32},
            "budget": {"rows": 9, "chunk": 16},
        },
        "standard": {
            "sampler": {"max_new_tokens": 256},
            "fit": {"prompts": 128, "samples": 8},
            "evaluate": {"prompts": 200},
            "budget": {"rows": 16, "chunk": 32},
        },
    }

    def __init__(self, config: DataConfig, policy: TextCutter, cache: Path) -> None:
        super().__init__(config, policy, cache)
        if not config.grader:
            raise UserError("the task data needs a grader; give --grader FILE.py:function, GRADER.json or GRADER.yaml")
        limits, outside = Limits(config.seconds, config.memory_gib), outside_of(config, cache)
        grader = load_grader(config.grader, outside, limits)
        self.graded_by(grader, load_grader(config.gold, outside, limits) if config.gold else grader)

    @cached_property
    def data(self) -> File:
        return _data(self.config)

    @classmethod
    def sizes(cls, config: DataConfig) -> Mapping[Slice, int] | None:
        return _data(config).sizes if config.file else None

    def prompts(self, part: Slice) -> list[Prompt]:
        return list(self.data.prompts.get(part, ()))

    def cluster(self, prompt: Prompt) -> str | None:
        return cluster_of(prompt, self.config.cluster) if self.config.cluster else None

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        """Gold, and of each grader which answers it could not score and why, which costs no further call."""
        proxy = self._proxy.grades(completions)
        scores = {GOLD: self._gold(completions), PROXY_ERROR: error_codes(proxy), **_parts("proxy", proxy)}
        if not self.has_one_grader:
            gold = self._gold.grades(completions)
            scores |= {GOLD_ERROR: error_codes(gold), **_parts("gold", gold)}
        return scores

    @property
    def key_settings(self) -> dict[str, Any]:
        """What the files hold and not where they lie."""
        gold = {} if self.has_one_grader else {"gold": self.gold_grader.identity}
        rows = {"rows": self.data.identity} if self.config.file else {}
        return {**rows, "grader": self.grader.identity, **gold}

    @property
    def reward_file(self) -> tuple[str, str]:
        return from_anywhere(self.config.grader), self.grader.identity

    @property
    def columns(self) -> Collection[str]:
        return self.data.columns

    def describe(self) -> dict[str, Any]:
        data = self.data
        return {
            "slices": data.sizes,
            "rows": data.rows,
            "merged_rows": data.merged,
            "prompt_rule": data.rule,
            "is_chat": data.is_chat,
            "grader": self.grader.name,
            "gold_grader": self.gold_grader.name,
            "reward_reads": self.reads,
            **({"cluster": self.config.cluster} if self.config.cluster else {}),
            **({"asked_at": [self.config.endpoint, self.config.key_variable]} if self.config.endpoint else {}),
            "grader_errors": list(ERRORS),
            **({"gold": "the same grader as the proxy: no held-out judgement"} if self.has_one_grader else {}),
        }

    def introduction(self, length: Callable[[Prompt], int], context: int | None, new_tokens: int) -> list[str]:
        data = self.data
        prompts = [prompt for part in data.prompts.values() for prompt in part]
        lengths = {prompt.id: length(prompt) for prompt in prompts}
        longest = max(lengths, key=lambda name: lengths[name])
        if context is not None and lengths[longest] + new_tokens > context:
            raise UserError(
                f"{data.where[longest]}: the prompt has {lengths[longest]:,} tokens, and up to {new_tokens} are to "
                f"follow, but the model reads {context:,} together; shorten it or leave it out, lower "
                "sampler.max_new_tokens, or choose a model with a longer context"
            )
        merged = f", {data.merged} that repeat another left out" if data.merged else ""
        cut = "as the file says" if data.has_splits else "by the hash of the prompt"
        parts = ", ".join(f"{count} {part}" for part, count in data.sizes.items())
        reads = ", ".join(self.reads) or "no column of the row"
        judge = "the same, so nothing held out judges" if self.has_one_grader else self.gold_grader.name
        room = "" if context is None else f" of {context:,} that the model reads"
        return [
            f"data: {data.rows} rows, the prompt is `{data.rule}` ({ORIGINS[data.rule]}){merged}; {parts}, split {cut}",
            f"prompts of {min(lengths.values())} to {lengths[longest]} tokens (median {median(lengths.values()):.0f}), "
            f"answers of up to {new_tokens}{room}",
            printable(f"grader: {self.grader.name}, which reads {reads}; gold: {judge}"),
            *self._clusters(),
            *self._missing(),
        ]

    def _clusters(self) -> list[str]:
        """A line about clusters: how many are held out, and how many of those methods are fitted on."""
        if not self.config.cluster:
            return []
        of = {part: {self.cluster(p) for p in prompts} for part, prompts in self.data.prompts.items()}
        shared = len(of["test"] & of["fit"])
        line = f"clusters: the test prompts have {len(of['test'])} values of {self.config.cluster}"
        return [printable(line + (f", {shared} of which have fit prompts as well" if shared else ""))]

    def _missing(self) -> list[str]:
        """A line for each grader that names columns which no row has: it may do without them, or score nothing."""
        columns = self.data.columns
        lines = []
        for grader in [self.grader, *([] if self.has_one_grader else [self.gold_grader])]:
            reads = () if grader.reads == "everything" else grader.reads
            if absent := sorted(name for name in reads if name not in columns and name != "reference"):
                there = ", ".join(columns) or "none"
                lines.append(
                    printable(
                        f"warning: {grader.name} reads {', '.join(absent)}, which no row has (columns: {there}); "
                        "`harness grade` shows what comes of that"
                    )
                )
        return lines


def _data(config: DataConfig) -> File:
    if not config.file:
        raise UserError("the task data needs a file of prompts; give --data FILE.jsonl, .json, .csv or .parquet")
    data = read_data(Path(config.file))
    if config.cluster:
        require_clusters(data, config.cluster)
    return data


def _parts(grader: str, grades: Sequence[Grade]) -> dict[str, np.ndarray]:
    """(n,) of each part of a score, such as the graders of a formula or of a weighted list; NaN where it has none."""
    names = dict.fromkeys(name for grade in grades for name in grade.metrics)
    return {
        f"{PART}{grader}/{name}": np.array([grade.metrics.get(name, np.nan) for grade in grades], dtype=np.float32)
        for name in names
    }
