"""IRO, Iterative Reweight-then-Optimize (arXiv 2506.17828; compare IVO, 2503.02368).

Iteration i samples completions of the policy guided by V_1 .. V_{i-1}, has them rewarded, and fits V_i to their final
reward by regression on every prefix. At test time the search is guided by S = sum_i V_i / beta_i. Where we depart from
the published code, and why, is said in `core/search.py` and `core/value.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.fitting import ValueSettings, fit_value
from harness.core.generator import Generator
from harness.core.reward import argmax
from harness.core.sampling import Sampler
from harness.core.search import Search, guided_search, kl_bound
from harness.core.types import Answer, Candidate, FitReport, Prompt
from harness.core.value import HiddenValue


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config(Search):
    iterations: Annotated[int, Field(ge=0, description="value functions fitted (paper: 3)")] = 3
    beta: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        BeforeValidator(lambda value: [value] if isinstance(value, int | float) else value),
        Field(min_length=1, description="beta_i; the last one holds for later iterations; `top`: only ratios matter"),
    ] = (1.0,)
    keep: Annotated[
        Literal["argmax", "random", "all", "rows"],
        Field(description="training data of a search: best finalist by proxy (published), one, all, or all last rows"),
    ] = "rows"
    rollout_width: Annotated[int, Field(ge=0, description="width of training searches; 0: as at test (harness)")] = 0
    rollout_successors: Annotated[int, Field(ge=0, description="successors of training searches, likewise")] = 0
    warm_start: Annotated[bool, Field(description="fit V_i as a correction of V_{i-1}, on its layer (harness)")] = False
    value: Annotated[ValueSettings, Field(description="how a value head is fitted")] = ValueSettings()


class Iro(Generator):
    Config = Config
    source = "arXiv 2506.17828"
    tries = ({}, {"chunk": 4}, {"beta": [1.0, 0.5]}, {"keep": "all"}, {"warm_start": True})

    def __init__(self, config, policy, reward, streams) -> None:
        super().__init__(config, policy, reward, streams)
        self.values: list[HiddenValue] = []

    @classmethod
    def rows_per_prompt(cls, config: Config) -> int:
        return config.width * config.successors

    @classmethod
    def fit_config(cls, config: Config) -> Config:
        width, successors = config.rollout_width or config.width, config.rollout_successors or config.successors
        return replace(config, iterations=0, width=width, successors=successors, rollout_width=0, rollout_successors=0)

    @classmethod
    def kl_bound(cls, config: Config, sampler: Sampler) -> float | None:
        return kl_bound(config, sampler.max_new_tokens)

    @property
    def iterations(self) -> int:
        return self.config.iterations

    @property
    def searches(self) -> bool:
        return True

    def rollout(self, iteration: int, prompts: Sequence[Prompt], record: tuple[int, ...]) -> list[Candidate]:
        answers = self._search(prompts, self.fit_config(self.config), record)
        return [candidate for answer in answers for candidate in self._kept(answer)]

    def fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        start = self.values[-1] if self.values and self.config.warm_start else None
        fitted = fit_value(rollouts, self.config.value, self.streams.generator(f"fit value {iteration}"), start)
        self.values.append(fitted.value)
        return fitted.report

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        return self._search(prompts, self.config)

    def save(self, folder: Path) -> None:
        for i, value in enumerate(self.values, 1):
            value.save(folder / f"value-{i}")

    def load(self, folder: Path) -> "Iro":
        self.values = [HiddenValue.load(path) for path in sorted(folder.glob("value-*"), key=_number)]
        return self

    def _search(self, prompts: Sequence[Prompt], search: Search, record: tuple[int, ...] = ()) -> list[Answer]:
        betas = [self.config.beta[min(i, len(self.config.beta) - 1)] for i in range(len(self.values))]
        select_finished = not (record and self.config.keep == "rows")
        return guided_search(
            self.policy, self.values, betas, prompts, search, self.streams, self.reward, record, select_finished,
            self.trace,
        )  # fmt: skip

    def _kept(self, answer: Answer) -> list[Candidate]:
        """The finalists that become training data, by `keep`. Each distinct text counts once."""
        distinct = list({c.completion.tokens: c for c in reversed(answer.finalists)}.values())[::-1]
        match self.config.keep:
            case "argmax":
                return [distinct[argmax(np.array([c.reward for c in distinct]))]]
            case "random":
                place = self.streams.generator("keep", answer.prompt.id).integers(len(distinct))
                return [distinct[int(place)]]
            case "all" | "rows":
                return distinct


def _number(path: Path) -> int:
    return int(path.name.removeprefix("value-"))
