"""The stages of a run before any is done: what they are called, their batches, and what each takes at most.

stages = plan(context, methods, fit_slices, test)
[stage.label for stage in stages]           # in the order in which the run does them
total(stages).policy_tokens

What an answer takes is asked of the method (`Generator.answer_at_most`), for prompts of the mean length; texts that end
early take less. None is what cannot be said beforehand: CARDS, what training weights reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol

from harness.core.generator import Generator
from harness.core.ledger import Phase
from harness.core.time_left import Planned
from harness.core.types import Prompt, Work
from harness.running.config import RunConfig
from harness.running.fits import charged_as
from harness.running.scoring import SCORED_TOGETHER
from harness.running.stages import RunContext, label_of

Kind = Literal["sampling", "fit", "scores"]


@dataclass(frozen=True)
class Counts:
    """Work of stages, adding up field by field."""

    policy_tokens: int = 0  # read in prompts, and sampled
    value_calls: int = 0  # prefixes valued
    value_tokens: int = 0  # read by models that guide
    reward_calls: int = 0  # texts that the proxy scores
    gold_calls: int = 0
    read_tokens: int = 0  # of answers under the base, for its log-likelihood
    fitted_texts: int = 0  # that fits rest on
    sent_tokens: int = 0  # of a server: prompts, and what was written of answers, in every request that goes on
    written_tokens: int = 0  # likewise: what its answers hold

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def share(self, part: float) -> "Counts":
        """Of a part of the work, rounded."""
        return Counts(**{f.name: round(getattr(self, f.name) * part) for f in fields(self)})

    def times(self, n: int) -> "Counts":
        return Counts(**{f.name: getattr(self, f.name) * n for f in fields(self)})


@dataclass(frozen=True)
class PlannedStage:
    label: str  # as the stage says when it is done
    kind: Kind
    method: str
    phase: Phase
    prompts: int
    batches: int
    counts: Counts | None  # at most, in all; None: not to be said beforehand
    at_least: Counts = field(default_factory=Counts)  # where `counts` is None

    @property
    def planned(self) -> Planned:
        """Of its progress: tokens, texts."""
        counts = self.counts or self.at_least
        if self.kind == "sampling":
            return Planned(self.label, "sampling", counts.policy_tokens + counts.value_tokens)
        return Planned(self.label, self.kind, counts.fitted_texts if self.kind == "fit" else counts.gold_calls)


class Part(Protocol):
    """Prompts as plans see them: how many, and how long."""

    @property
    def count(self) -> int: ...

    @property
    def tokens(self) -> int:
        """Of all of them."""

    def batches(self, rows: int, memory_factor: int = 1) -> int:
        """How many batches so many rows a prompt make."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether a server answers them."""

    def asked(self, prefixes: Sequence[int], rows: int) -> Counts:
        """What a server is asked for `rows` a prompt that go on from so many prefixes, round by round; else nothing."""


class _Rendered:
    """Prompts as the policy reads them."""

    def __init__(self, context: RunContext, prompts: Sequence[Prompt]) -> None:
        self._context, self._prompts, self.count = context, prompts, len(prompts)
        self.tokens = sum(context.policy.prompt_length(prompt) for prompt in prompts)

    def batches(self, rows: int, memory_factor: int = 1) -> int:
        return len(self._context.batches(self._prompts, rows, memory_factor))

    @property
    def is_elsewhere(self) -> bool:
        return self._context.policy.elsewhere

    def asked(self, prefixes: Sequence[int], rows: int) -> Counts:
        policy, length = self._context.policy, self._context.config.settings["sampler"].max_new_tokens
        if not policy.elsewhere:
            return Counts()
        sent = 0
        for i, count in enumerate(prefixes):
            requests = count * policy.requests_for(max(1, rows // count))
            sent += requests * (_mean(self) + i * length // len(prefixes))
        return Counts(sent_tokens=sent, written_tokens=rows * length).times(self.count)


def _mean(part: Part) -> int:
    return round(part.tokens / part.count)


def _counts(part: Part, work: Work | None, asked: Counts | None = None) -> Counts | None:
    """What all of them take, given what one of the mean length does, and what a server is asked in all."""
    if work is None:
        return None
    one = Counts(work.policy_tokens, work.value_calls, work.value_tokens, work.reward_calls)
    return one.times(part.count) + (asked or Counts())


def plan(
    context: RunContext,
    methods: Mapping[str, Generator],
    fit_slices: Sequence[Sequence[Prompt]],
    test: Sequence[Prompt],
) -> list[PlannedStage]:
    """All stages of a run in their order."""
    parts, answered = [_Rendered(context, prompts) for prompts in fit_slices], _Rendered(context, test)
    return stages_of(context.config, methods, parts, answered, context.task.gold_reads_base)


def stages_of(
    config: RunConfig, methods: Mapping[str, Generator], parts: Sequence[Part], answered: Part, gold_reads_base: bool
) -> list[PlannedStage]:
    """All stages of a run in their order, given how many prompts each part has and how long they are."""
    settings = config.settings
    samples, length = settings["fit"].samples, settings["sampler"].max_new_tokens
    first = parts[0]
    texts = first.count * samples
    read = length if gold_reads_base else None
    pool = Counts(first.tokens + texts * length, reward_calls=texts) + first.asked([1], samples)
    stages = [
        PlannedStage(
            "base samples of fit prompts", "sampling", "harness", "fit", first.count, first.batches(samples), pool
        ),
        _scores("base samples: scores", "harness", first.count, _scored(first, samples, read)),
    ]
    for refit in range(settings["fit"].refits):
        for name, method in methods.items():
            if refit and method.iterations == 0:
                continue
            stages += _of_method(config, name, method, refit, parts, answered, read)
    return stages


def total(stages: Sequence[PlannedStage]) -> Counts:
    """Of all whose work can be said beforehand."""
    return sum((stage.counts for stage in stages if stage.counts is not None), Counts())


def _of_method(
    run: RunConfig,
    name: str,
    method: Generator,
    refit: int,
    parts: Sequence[Part],
    test: Part,
    read: int | None,
) -> list[PlannedStage]:
    config, sampler, kind = method.config, run.settings["sampler"], type(method)
    samples, charged = run.settings["fit"].samples, charged_as(name, refit)
    stages = []
    for iteration in range(min(1, method.iterations), method.iterations + 1):
        part = parts[max(0, iteration - 1)]
        of_rollouts = kind.rollouts_at_most(config, iteration, sampler, _mean(part)) if iteration > 1 else None
        if iteration > 1:
            fitting = kind.fit_config(config, iteration)
            asked = part.asked(kind.prefixes(fitting, sampler), kind.rows_per_prompt(fitting))
            rollouts = _counts(part, of_rollouts, asked)
            rows = part.batches(kind.rows_per_prompt(kind.fit_config(config, iteration)), kind.memory_factor(config))
            stages.append(
                PlannedStage(
                    f"{charged} iteration {iteration}: rollouts", "sampling", name, "fit", part.count, rows, rollouts,
                    _counts(part, Work(_mean(part) + sampler.max_new_tokens)) or Counts(),
                )
            )  # fmt: skip
        if iteration:
            texts = part.count * (samples if of_rollouts is None else max(1, of_rollouts.reward_calls))
            of_fit = None if kind.trains_weights or kind.fitted_as else Counts(fitted_texts=texts)
            label = f"{charged} iteration {iteration}: fit"
            stages.append(PlannedStage(label, "fit", name, "fit", part.count, 1, of_fit, Counts(fitted_texts=texts)))
        label = label_of(charged, iteration)
        asked = test.asked(kind.prefixes(config, sampler), kind.rows_per_prompt(config))
        answers = _counts(test, kind.answer_at_most(config, iteration, sampler, _mean(test)), asked)
        batches = test.batches(kind.rows_per_prompt(config), kind.memory_factor(config))
        fewest = _counts(test, Work(_mean(test) + sampler.max_new_tokens)) or Counts()
        stages.append(
            PlannedStage(f"{label}: answers", "sampling", name, "generate", test.count, batches, answers, fewest)
        )
        one_each = Counts(gold_calls=test.count, reward_calls=test.count)
        nll = 0 if refit else test.tokens + test.count * sampler.max_new_tokens
        stages.append(_scores(f"{label}: scores", name, test.count, one_each + Counts(read_tokens=nll)))
        if name == "best_of_n":
            all_samples = _scored(test, kind.rows_per_prompt(config), read)
            stages.append(_scores("best_of_n: scores of all samples", name, test.count, all_samples))
        if not refit and method.searches and (traced := run.settings["evaluate"].trace):
            kept = Counts() if test.is_elsewhere else None  # a server's answers are found again
            stages.append(PlannedStage(f"{label}: search trees", "sampling", name, "generate", traced, 1, kept, fewest))
    return stages


def _scored(part: Part, samples: int, read: int | None) -> Counts:
    """Of so many samples of each prompt; a gold that reads the base's log-likelihood may read all, `read` long."""
    texts = part.count * samples
    tokens = 0 if read is None else samples * part.tokens + texts * read
    return Counts(reward_calls=texts, gold_calls=texts, read_tokens=tokens)


def _scores(label: str, method: str, prompts: int, counts: Counts) -> PlannedStage:
    batches = -(-counts.gold_calls // SCORED_TOGETHER)
    return PlannedStage(label, "scores", method, "score", prompts, batches, counts)
