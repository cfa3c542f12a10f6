"""What a user's graders make of base samples, before anything is fitted: is there something that a method can gain?

found = graded(config, workspace)
found.graders["proxy"].within          # sd of scores within a prompt; 0: no choice among answers changes anything
"""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.core.errors import UserError
from harness.core.graders.grade import Grade, Grader, Item
from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.types import Completion
from harness.running.config import RunConfig
from harness.running.material import Material, chosen_in_words, material_of
from harness.running.ranks import Ranks
from harness.running.request import Workspace
from harness.tasks.data import Data

PROMPTS, EACH = 10, 4  # fit prompts that are looked at, and base samples of each
_CHUNK = 16  # tokens between looks at what has ended
_ALIKE = 1e-9  # scores that differ by less are the same


@dataclass(frozen=True)
class GradedSamples:
    """One grader on the base samples, in their order, asked twice."""

    name: str
    grades: Sequence[Grade]
    again: Sequence[Grade]
    seconds: float  # a call
    prompts: Sequence[str]  # id of each sample's prompt

    @property
    def errors(self) -> Mapping[str, int]:
        """How many have no score, by reason, most first."""
        return dict(Counter(g.error for g in self.grades if g.error is not None).most_common())

    @property
    def is_deaf(self) -> bool:
        """Nothing has a score."""
        return all(g.error is not None for g in self.grades)

    @property
    def changed(self) -> int:
        """Samples that had another score, or another error, when they were graded again."""
        return sum(not _same(one, other) for one, other in zip(self.grades, self.again, strict=True))

    @property
    def within(self) -> float:
        """Standard deviation among answers to one prompt; NaN where no prompt has two scores.

        Of few samples a prompt: the squares of their deviations from its mean over the degrees of freedom of all.
        """
        freedom = sum(len(of) - 1 for of in self._several)
        return math.sqrt(sum(float(np.var(of)) * len(of) for of in self._several) / freedom) if freedom else math.nan

    @property
    def between(self) -> float:
        """Standard deviation among the true means of prompts; NaN without two, 0 where nothing but chance is seen.

        Means of few samples differ by chance alone, by the variance within over the number of samples, which is taken
        off: the estimate of one-way random effects.
        """
        if len(self._several) < 2:
            return math.nan
        means = [np.mean(of) for of in self._several]
        by_chance = self.within**2 * float(np.mean([1 / len(of) for of in self._several]))
        return math.sqrt(max(0.0, float(np.var(means, ddof=1)) - by_chance))

    @property
    def telling(self) -> int:
        """Prompts whose samples have different scores."""
        return sum(len(of) > 1 and float(np.ptp(of)) > _ALIKE for of in self._by_prompt())

    @property
    def can_gain(self) -> bool:
        return self.telling > 0

    @property
    def _several(self) -> list[np.ndarray]:
        """The scores of each prompt that has two at least."""
        return [of for of in self._by_prompt() if len(of) > 1]

    def _by_prompt(self) -> list[np.ndarray]:
        scores = np.array([g.score for g in self.grades])
        owners = np.array(self.prompts)
        return [of[~np.isnan(of)] for of in (scores[owners == name] for name in dict.fromkeys(self.prompts))]


@dataclass(frozen=True)
class Preflight:
    """Base samples of the first fit prompts by id, and what each grader makes of them."""

    completions: Sequence[Completion]
    graders: Mapping[str, GradedSamples]  # "proxy", and "gold" where that is another one
    introduction: Sequence[str]

    @property
    def problems(self) -> list[str]:
        """Why nothing can come of a run; empty where something can."""
        found = []
        for role, of in self.graders.items():
            if of.is_deaf:
                found.append(f"the {role} scores none of {len(of.grades)} answers")
        proxy = self.graders["proxy"]
        if not proxy.is_deaf and not proxy.can_gain:
            found.append(
                "no method can gain: all answers to one prompt have the same score, so there is nothing to choose "
                "among them; let the grader tell better answers from worse ones"
            )
        return found


def graded(config: RunConfig, workspace: Workspace) -> Preflight:
    """Sample, grade, and grade again. Raises UserError for what a run would refuse."""
    material = material_of(config, workspace, Ranks())
    task = material.context.task
    if not isinstance(task, Data):
        raise UserError(f"task {config.task} has a reward of its own; give --data FILE and --grader GRADER")
    completions = _samples(material)
    graders = {"proxy": task.grader, **({} if task.has_one_grader else {"gold": task.gold_grader})}
    return Preflight(
        completions,
        {role: _graded_twice(grader, completions) for role, grader in graders.items()},
        [*material.introduction, *chosen_in_words(material)],
    )


def _samples(material: Material) -> list[Completion]:
    context, ledger = material.context, Ledger()
    prompts = material.fit_slices[0][:PROMPTS]
    handle = PolicyHandle(context.policy, context.config.settings["sampler"], ledger)
    found: list[Completion] = []
    with ledger.phase("fit"):
        for batch in context.batches(prompts, EACH):
            rows = handle.decode(batch, EACH, context.streams)
            while not rows.finished.all():
                rows.extend(_CHUNK)
            found += rows.completions()
    return context.withheld.whole(found)


def _graded_twice(grader: Grader, completions: Sequence[Completion]) -> GradedSamples:
    items = [Item.of(completion) for completion in completions]
    start = time.perf_counter()
    first = grader.grade(items)
    seconds = (time.perf_counter() - start) / len(items)
    again = grader.grade(items)
    return GradedSamples(grader.name, first, again, seconds, [completion.prompt.id for completion in completions])


def _same(one: Grade, other: Grade) -> bool:
    if one.error is not None or other.error is not None:
        return one.error == other.error
    return abs(one.score - other.score) <= _ALIKE
