"""A task of lm-eval: its documents, templates, few-shot examples and filters, its metric as gold and as reward.

python -m harness run --task lm_eval:gsm8k --method iro
python -m harness run --task lm_eval:ifeval --dataset-file train=ifeval.jsonl --reward metric:prompt_level_loose_acc

Prompts are what lm-eval sends, and scores what it makes of the same answers. Methods may ask --reward, a metric or any
grader of one's own; without, the metric that judges is the one that is optimised, and every table says so.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import AsBefore, ByContent, hashed
from harness.core.digest import digest
from harness.core.graders.grade import ERRORS, Grader
from harness.core.graders.graded_task import GradedTask, from_anywhere, grader_contents
from harness.core.graders.load import load_grader
from harness.core.graders.told import GOLD_ERROR, PROXY_ERROR, error_codes
from harness.core.graders.worker import Limits
from harness.core.outside import outside_of
from harness.core.printable import printable
from harness.core.task import GOLD, Kind, Profiles, Slice, TextCutter
from harness.core.types import Completion, Prompt
from harness.tasks.lm_eval_task.metric import MetricGrader, metric_named
from harness.tasks.lm_eval_task.opened import Asked, Opened
from harness.tasks.lm_eval_task.opening import open_task

_FILES = ("include_path", "dataset_files", "reward", "endpoint", "key_variable")  # where to find what was asked for
_METRIC = "metric:"  # before the name of one, in --reward


def _by_itself(value: str) -> str:
    return value


def _somewhere(_: tuple[str, ...] | str) -> str:
    """Where documents lie says nothing; what they are is in the identity of a run."""
    return ""


def _reward(named: str) -> str:
    return grader_contents(named) or named


_OF_ASKING = (ByContent(_somewhere), AsBefore(""))  # the identity of a grader that asks has its server


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class LmEvalConfig:
    name: Annotated[
        str, Field(description="the task's name in lm-eval (--task lm_eval:NAME)"), ByContent(_by_itself)
    ] = ""
    include_path: Annotated[
        str, Field(description="folder of task files of one's own (--include-path)"), ByContent(_somewhere)
    ] = ""
    dataset_files: Annotated[
        tuple[str, ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        Field(description="split=FILE, in place of a data set on the hub (--dataset-file)"),
        ByContent(_somewhere),
    ] = ()
    metric: Annotated[
        str,
        Field(description="that judges, as lm-eval names it; empty: the task's first (harness)"),
        ByContent(_by_itself),
    ] = ""
    reward: Annotated[
        str,
        Field(description="what methods optimise: metric:NAME or a grader; empty: the metric that judges (--reward)"),
        ByContent(_reward),
    ] = ""
    num_fewshot: Annotated[int | None, Field(ge=0, description="examples in a prompt; null: the task's (lm-eval)")] = (
        None
    )
    chat: Annotated[bool, Field(description="through the chat template, as --apply_chat_template (lm-eval)")] = False
    seconds: Annotated[float, Field(gt=0, description="that a call of a grader may take (harness)"), AsBefore(30.0)] = (
        30.0
    )
    memory_gib: Annotated[
        float, Field(gt=0, description="that a grader's process may take (harness)"), AsBefore(4.0)
    ] = 4.0
    endpoint: Annotated[
        str, Field(description="where a grader asks chat models, a URL up to /v1 (harness)"), *_OF_ASKING
    ] = ""
    key_variable: Annotated[str, Field(description="environment variable of its key (harness)"), *_OF_ASKING] = ""

    @property
    def asked(self) -> Asked:
        return Asked(self.name, self.include_path, self.dataset_files, self.num_fewshot, self.chat)


class LmEval(GradedTask):
    Config = LmEvalConfig
    config: LmEvalConfig
    source = "a task of lm-eval"
    kind: ClassVar[Kind] = "instructions"
    toy_as_well = True
    # benchmarks end answers by stop strings; where they allow a thousand tokens, a quick run takes a paragraph or two
    profiles: ClassVar[Profiles] = {
        "quick": {
            "sampler": {"max_new_tokens": 256},
            "fit": {"prompts": 32, "samples": 8},
            "evaluate": {"prompts": 32},
            "budget": {"rows": 9, "chunk": 16},
        },
        "standard": {
            "fit": {"prompts": 128, "samples": 8},
            "evaluate": {"prompts": 200},
            "budget": {"rows": 16, "chunk": 32},
        },
    }

    def __init__(self, config: LmEvalConfig, policy: TextCutter, cache: Path) -> None:
        super().__init__(config, policy, cache)
        self.opened = open_task(config.asked)
        self.metric = metric_named(config.metric, self.opened)
        gold = MetricGrader(self.opened, self.metric)
        self.graded_by(_grader(config, self.opened, cache) if config.reward else gold, gold)

    @classmethod
    def sizes(cls, config: LmEvalConfig) -> Mapping[Slice, int] | None:
        return {part: len(prompts) for part, prompts in open_task(config.asked).prompts.items()}

    @classmethod
    def generation(cls, config: LmEvalConfig, profile: Mapping[str, Any]) -> Mapping[str, Any]:
        """The stop strings and the length of the task; a profile may say less."""
        opened = open_task(config.asked)
        most = min(opened.new_tokens, profile.get("max_new_tokens", opened.new_tokens))
        return {"stop": opened.stop, "max_new_tokens": most}

    def prompts(self, part: Slice) -> list[Prompt]:
        return list(self.opened.prompts.get(part, ()))

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        """Gold, all metrics of the task as lm-eval names them, and which answers a grader could not score."""
        grades = self._gold.grades(completions)
        metrics = [grade.metrics for grade in grades]
        scores = {GOLD: self._gold(completions)}
        for name in self.opened.metrics:
            values = np.array([of.get(name, np.nan) for of in metrics], dtype=np.float32)
            if not np.isnan(values).all():
                scores[name] = values
        scores[PROXY_ERROR] = error_codes(self._proxy.grades(completions))
        if not self.has_one_grader:
            scores[GOLD_ERROR] = error_codes(grades)
        return scores

    @property
    def key_settings(self) -> dict[str, Any]:
        """What the task and its documents are, and not where they lie."""
        prompts = {part: [prompt.id for prompt in of] for part, of in self.opened.prompts.items()}
        return {
            **hashed(self.config),
            "task": self.opened.code,
            "documents": digest(prompts)[:20],
            "grader": self.grader.identity,
            "gold": self.gold_grader.identity,
        }

    @property
    def title(self) -> str:
        return self.opened.name

    @property
    def reward_file(self) -> tuple[str, str] | None:
        if not self.config.reward or self.config.reward.startswith(_METRIC):
            return None
        return from_anywhere(self.config.reward), self.grader.identity

    @property
    def columns(self) -> Collection[str]:
        return sorted({name for of in self.opened.prompts.values() for prompt in of for name in prompt.row})

    def describe(self) -> dict[str, Any]:
        opened = self.opened
        return {
            "title": self.title,
            "slices": {part: len(prompts) for part, prompts in opened.prompts.items() if prompts},
            "rows": sum(map(len, opened.prompts.values())),
            "merged_rows": opened.repeated,
            "lm_eval": version("lm_eval"),
            "num_fewshot": opened.num_fewshot,
            "is_chat": self.config.chat,
            "fitted_on": self._fitted_on,
            "shares_test": not self.opened.has_training,
            "metrics": opened.metrics,
            "grader": self.grader.name,
            "gold_grader": self.gold_grader.name,
            "reward_reads": self.reads,
            "grader_errors": list(ERRORS),
            "files": {name: getattr(self.config, name) for name in _FILES},
            **({"gold": "the same metric as the proxy: no held-out judgement"} if self.has_one_grader else {}),
        }

    @property
    def _fitted_on(self) -> str:
        return "training documents" if self.opened.has_training else "a held-out share of the test documents"

    def introduction(self, length: Callable[[Prompt], int], context: int | None, new_tokens: int) -> list[str]:
        opened, sizes = self.opened, {part: f"{len(prompts):,}" for part, prompts in self.opened.prompts.items()}
        if opened.has_training:
            shared = f"{sizes['test']} test documents; training documents: "
        else:
            shared = f"no training documents, so those of the test are shared out: {sizes['test']} to be answered, "
        most = opened.new_tokens
        limit = f" of the {most:,} that the task allows (sampler.max_new_tokens)" if new_tokens < most else ""
        spoken = "through the chat template" if self.config.chat else "as plain text (lm_eval.chat=true: as a chat)"
        judge = "the same, so nothing held out judges" if self.has_one_grader else self.gold_grader.name
        repeated = f"; {opened.repeated} left out that repeat others" if opened.repeated else ""
        stops = ", ".join(map(repr, opened.stop)) or "none"
        reads = ", ".join(self.reads) or "the answer alone"
        lines = [
            f"{opened.name} (lm-eval {version('lm_eval')}): {shared}{sizes['fit']} for fitting, "
            f"{sizes['development']} for development{repeated}",
            f"prompts with {opened.num_fewshot} examples, {spoken}; answers of up to {new_tokens:,} tokens{limit}; "
            f"stop strings: {stops}",
            f"reward: {self.grader.name}, which reads {reads}; gold: {judge}",
            "lm-eval's own command answers greedily, as base_greedy does here; base and methods sample",
        ]
        return [printable(line) for line in lines]


def _grader(config: LmEvalConfig, opened: Opened, cache: Path) -> Grader:
    """--reward: one of the task's metrics, or a grader in any form that --grader takes."""
    named = config.reward
    if named.startswith(_METRIC):
        return MetricGrader(opened, metric_named(named.removeprefix(_METRIC), opened))
    outside = outside_of(config, cache)
    return load_grader(named, outside, Limits(config.seconds, config.memory_gib))
