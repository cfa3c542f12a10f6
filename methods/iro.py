"""IRO, Iterative Reweight-then-Optimize (arXiv 2506.17828; compare IVO, 2503.02368).

Iteration i samples completions of the policy guided by V_1 .. V_{i-1}, has them rewarded, and fits V_i to their final
reward by regression on every prefix. At test time the search is guided by S = sum_i V_i / beta_i. Where we depart from
the published code, and why, is said in `core/search/search.py` and `core/values/hidden.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.errors import UserError
from harness.core.generator import Generator
from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Capability
from harness.core.models.sampling import Sampler
from harness.core.reward import RewardHandle, argmax
from harness.core.search.search import Finish, Guide, guided_search, kl_bound, search_at_most, shape_of
from harness.core.search.selection import Search, resample
from harness.core.streams import Streams
from harness.core.tuning import Choice, Chunk, Log, Shape, When
from harness.core.types import Answer, Candidate, FitReport, Prompt, Work
from harness.core.values import kinds
from harness.core.values.fitting import ValueSettings
from harness.core.values.hidden import HiddenValue
from harness.core.values.stored import load_value
from harness.core.values.value import PrefixValue


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class IroConfig(Search):
    iterations: Annotated[int, Field(ge=0, description="value functions fitted (paper: 3)")] = 3
    beta: Annotated[
        tuple[Annotated[float, Field(ge=1e-6)], ...],  # a millionth of an sd: what is smaller overflows the weights
        BeforeValidator(lambda value: [value] if isinstance(value, int | float | str) else value),
        Field(min_length=1, description="beta_i; the last one holds for later iterations; `top`: only ratios matter"),
    ] = (1.0,)
    keep: Annotated[
        Literal["argmax", "random", "all", "rows", "reweight"],
        Field(
            description="training data: of a search the best finalist by proxy (published), one, all, or all last "
            "rows; or, without a search, base samples drawn with weights exp(S)"
        ),
    ] = "rows"
    draws: Annotated[int, Field(ge=1, description="keep=reweight: texts drawn of a prompt's U (harness)")] = 8
    rollout_width: Annotated[int, Field(ge=0, description="width of training searches; 0: as at test (harness)")] = 0
    rollout_successors: Annotated[int, Field(ge=0, description="successors of training searches, likewise")] = 0
    warm_start: Annotated[bool, Field(description="fit V_i as a correction of V_{i-1}, on its layer (harness)")] = False
    value: Annotated[ValueSettings, Field(description="what values read, how they are fitted")] = ValueSettings()


_KEEP_EVERY_ROW = ("rows", "reweight")  # settings of `keep` without a last selection


class Iro(Generator):
    Config = IroConfig
    config: IroConfig
    source = "arXiv 2506.17828"
    tunables = (
        Chunk(),
        Choice("select", ("top", "resample")),
        Log("beta", 0.25, 4.0, lowest=1e-6, when=When("select", "top"), listed_after=(1.0,)),  # later ones / the first
        Log("beta", 0.05, 1.0, lowest=1e-6, when=When("select", "resample"), listed_after=()),
        Shape(),
        Choice("keep", ("rows", "all", "argmax", "reweight")),
    )

    def __init__(self, config: Any, policy: PolicyHandle, reward: RewardHandle, streams: Streams) -> None:
        super().__init__(config, policy, reward, streams)
        self.values: list[PrefixValue] = []

    @classmethod
    def rows_per_prompt(cls, config: IroConfig) -> int:
        return config.width * config.successors

    @classmethod
    def budget(cls, config: IroConfig) -> int:
        return config.width * config.successors

    @classmethod
    def settings_at(cls, rows: int, chunk: int) -> dict[str, Any]:
        return {**shape_of(rows), "chunk": chunk}

    @classmethod
    def fit_config(cls, config: IroConfig, iteration: int) -> IroConfig:
        """Iteration 1 has base samples; later ones the searches of the values so far, whose betas count."""
        if iteration == 1:
            return IroConfig(value=config.value)
        betas = _betas(config, iteration - 1, config.select == "top" and config.keep != "reweight")
        width, successors = config.rollout_width or config.width, config.rollout_successors or config.successors
        return replace(
            config, iterations=0, beta=betas, width=width, successors=successors, rollout_width=0, rollout_successors=0
        )  # fmt: skip

    @classmethod
    def answer_config(cls, config: IroConfig, iteration: int) -> IroConfig:
        betas = _betas(config, iteration, config.select == "top") or (1.0,)
        return IroConfig(config.width, config.successors, config.chunk, config.select, config.diversity, beta=betas)

    def fit_inputs(self) -> dict[str, str]:
        return kinds.inputs_of(self.config.value, self.policy) if self.config.iterations else {}

    @classmethod
    def models_read(cls, config: IroConfig) -> frozenset[str]:
        return kinds.models_read(config.value)

    @classmethod
    def without_states(cls) -> dict[str, Any]:
        return {"value": {"kind": "text"}}

    @classmethod
    def unavailable(cls, model: str, config: IroConfig) -> str | None:
        if config.warm_start and config.value.kind != "hidden":
            return (
                f"iro.warm_start=true corrects a head on the policy's states, and iro.value.kind is "
                f"{config.value.kind}; leave warm_start out"
            )
        return kinds.unavailable("iro", config.value)

    @classmethod
    def memory_factor(cls, config: IroConfig) -> int:
        return 2 if config.value.kind == "lm" else 1  # keys and values of the value model beside the policy's

    @classmethod
    def kl_bound(cls, config: IroConfig, sampler: Sampler) -> float | None:
        return kl_bound(config, sampler.max_new_tokens)

    @classmethod
    def prefixes(cls, config: IroConfig, sampler: Sampler) -> list[int]:
        return [1] + [config.width] * (ceil(sampler.max_new_tokens / config.chunk) - 1)

    @classmethod
    def answer_at_most(cls, config: IroConfig, iteration: int, sampler: Sampler, prompt_tokens: int) -> Work:
        work = search_at_most(config, iteration, sampler, prompt_tokens).with_rewards(config.width)
        return kinds.reading_at_most(config.value, iteration, work, prompt_tokens + sampler.max_new_tokens)

    @classmethod
    def rollouts_at_most(cls, config: IroConfig, iteration: int, sampler: Sampler, prompt_tokens: int) -> Work:
        search = _training_search(config, cls.fit_config(config, iteration), sampler)
        rows = search.width * search.successors
        finalists = rows if config.keep in _KEEP_EVERY_ROW else search.width
        work = search_at_most(search, iteration - 1, sampler, prompt_tokens).with_rewards(finalists)
        return kinds.reading_at_most(config.value, iteration - 1, work, prompt_tokens + sampler.max_new_tokens)

    @property
    def fitted_values(self) -> Sequence[PrefixValue]:
        return self.values

    @property
    def iterations(self) -> int:
        return self.config.iterations

    @classmethod
    def needs(cls, config: IroConfig) -> frozenset[Capability]:
        return kinds.needs(config.value) if config.iterations else frozenset({"text"})

    @property
    def searches(self) -> bool:
        return True

    def rollout(self, iteration: int, prompts: Sequence[Prompt], record: tuple[int, ...]) -> list[Candidate]:
        search = _training_search(self.config, self.fit_config(self.config, iteration), self.policy.sampler)
        answers = self._search(prompts, search, record, training=True)
        return [candidate for answer in answers for candidate in self._kept(answer)]

    def fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        if self.config.keep == "reweight" and iteration > 1:
            drawn = reweighted(rollouts, self.config.draws, self.streams, self.refit)
            report = self._fit(iteration, drawn.candidates)
            return replace(report, choices={**report.choices, "effective_samples": drawn.effective_samples})
        return self._fit(iteration, rollouts)

    def _fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        if self.config.warm_start and self.config.value.ensemble > 1:
            raise UserError(
                f"iro.value.ensemble={self.config.value.ensemble} and iro.warm_start=true: an average is no head to go "
                "on from; use one of the two"
            )
        last = self.values[-1] if self.values else None
        start = last if self.config.warm_start and isinstance(last, HiddenValue) else None
        rng = self.streams.generator(f"fit value {iteration}", row=self.refit)
        fitted = kinds.fit_kind(rollouts, self.config.value, self.policy, rng, start, fold=self.refit)
        self.values.append(fitted.value)
        return fitted.report

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        return self._search(prompts, self.config)

    def value_flops(self) -> dict[str, float]:
        return kinds.prices_of(self.values)

    def save(self, folder: Path) -> None:
        for i, value in enumerate(self.values, 1):
            value.save(folder / f"value-{i}")

    def load(self, folder: Path) -> "Iro":
        self.values = [load_value(path, self.policy) for path in sorted(folder.glob("value-*"), key=_number)]
        return self

    def _search(
        self, prompts: Sequence[Prompt], search: Search, record: tuple[int, ...] = (), training: bool = False
    ) -> list[Answer]:
        config = self.config
        betas = _betas(
            config, len(self.values), config.select == "top" and not (training and config.keep == "reweight")
        )
        select_finished = not (training and config.keep in _KEEP_EVERY_ROW)
        guide, finish = Guide(self.values, betas), Finish(self.reward, record, select_finished)
        return guided_search(self.policy, guide, prompts, search, self.streams, finish, self.observer)

    def _kept(self, answer: Answer) -> list[Candidate]:
        """The finalists that become training data, by `keep`. Each distinct text counts once."""
        # an engine behind an API tells texts and no tokens
        texts = {(c.completion.tokens, c.completion.text): c for c in reversed(answer.finalists)}
        distinct = list(texts.values())[::-1]
        match self.config.keep:
            case "argmax":
                return [distinct[argmax(np.array([c.reward for c in distinct]))]]
            case "random":
                drawn = self.streams.generator("keep", answer.prompt.id).integers(len(distinct))
                return [distinct[int(drawn)]]
            case "all" | "rows":
                return distinct
            case "reweight":  # drawn from when they are fitted on
                return list(answer.finalists)


@plain_dataclass(frozen=True)
class Drawn:
    candidates: list[Candidate]
    effective_samples: float  # of a prompt's samples, on average: (sum w)^2 / sum w^2


def reweighted(samples: Sequence[Candidate], draws: int, streams: Streams, refit: int = 0) -> Drawn:
    """`draws` of each prompt's samples, with probability softmax(S), S their score; a text may be drawn repeatedly."""
    by_prompt: dict[str, list[Candidate]] = {}
    for candidate in samples:
        by_prompt.setdefault(candidate.completion.prompt.id, []).append(candidate)
    drawn, effective = [], []
    for prompt_id, group in sorted(by_prompt.items()):
        scores = np.array([c.score for c in group])
        weights = np.exp(scores - scores.max())
        effective.append(weights.sum() ** 2 / (weights**2).sum())
        uniforms = streams.generator("reweight", prompt_id, refit).random(draws)
        drawn += [group[i] for i in resample(scores, np.ones(len(group)), uniforms)]
    return Drawn(drawn, float(np.mean(effective)))


def _training_search(config: IroConfig, search: IroConfig, sampler: Sampler) -> IroConfig:
    """The search that rollouts are written by: with `keep=reweight` one round of plain samples, each with its S."""
    if config.keep != "reweight":
        return search
    return replace(
        search, width=search.width * search.successors, successors=1, chunk=sampler.max_new_tokens, select="top"
    )


def _betas(config: IroConfig, count: int, only_ratios: bool) -> tuple[float, ...]:
    """beta_1 .. beta_count; divided by the first where only ratios matter."""
    betas = tuple(config.beta[min(i, len(config.beta) - 1)] for i in range(count))
    return tuple(beta / betas[0] for beta in betas) if only_ratios else betas


def _number(path: Path) -> int:
    return int(path.name.removeprefix("value-"))
