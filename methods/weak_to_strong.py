"""Weak-to-strong search: chunk search by the log-ratio of a tuned and an untuned small model (arXiv 2405.19262).

S(y) = log pi_tuned(y | x) - log pi_untuned(y | x), summed over the tokens so far. Without a pair of its own it trains
one: a copy of the base by DPO on the shared pool, against the base. We depart from the published code in that prompts
are batched and both models carry their caches along.
"""

from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.errors import UserError
from harness.core.generator import Generator
from harness.core.models.handle import PolicyHandle
from harness.core.models.preference import DpoSettings, TunedCopy, load_copy, train_copy, unavailable
from harness.core.models.rows import Capability
from harness.core.models.sampling import Sampler
from harness.core.reward import RewardHandle
from harness.core.search.search import Guide, guided_search, kl_bound, search_at_most, shape_of
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.tuning import Choice, Chunk, Log, Shape
from harness.core.types import Answer, Candidate, FitReport, Prompt, Work
from harness.core.values.log_ratio import LogRatio


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class WeakToStrongConfig(Search):
    tuned: Annotated[str, Field(description="folder or hub id of the tuned model; empty: train one (harness)")] = ""
    untuned: Annotated[str, Field(description="the model that it was tuned from; given with `tuned`")] = ""
    dpo: Annotated[DpoSettings, Field(description="how a tuned model is trained")] = DpoSettings()


class WeakToStrong(Generator):
    Config = WeakToStrongConfig
    config: WeakToStrongConfig
    source = "arXiv 2405.19262"
    version = 2  # the policy as untuned model: log-probabilities as sampled, which differ in their last digits
    iterations = 1
    fitted_as = "dpo"
    tunables = (
        Chunk(),
        Log("dpo.learning_rate", 5e-5, 2e-3),
        Log("dpo.beta", 0.02, 0.5),
        Shape(),
        Choice("select", ("top", "resample")),
    )

    def __init__(self, config: Any, policy: PolicyHandle, reward: RewardHandle, streams: Streams) -> None:
        super().__init__(config, policy, reward, streams)
        self._copy: TunedCopy | None = None  # of the base, where no pair is given
        self._given = _given_pair(config, policy) if config.tuned or config.untuned else None

    @property
    def pair(self) -> "_Pair":
        """The pair that was given, else the trained copy against the base."""
        if self._given is not None:
            return self._given
        if self._copy is None:
            raise RuntimeError("weak_to_strong has no trained copy yet: fit or load it first")
        return _Pair(self._copy.policy, self.policy)

    @classmethod
    def needs(cls, config: WeakToStrongConfig) -> frozenset[Capability]:
        return frozenset({"token level"}) if config.tuned else frozenset({"token level", "weights"})

    @property
    def searches(self) -> bool:
        return True

    @classmethod
    def unavailable(cls, model: str, config: WeakToStrongConfig) -> str | None:
        return None if config.tuned else unavailable(model)

    @classmethod
    def needs_one_process(cls, config: WeakToStrongConfig) -> bool:
        return not config.tuned

    @classmethod
    def rows_per_prompt(cls, config: WeakToStrongConfig) -> int:
        return config.width * config.successors

    @classmethod
    def memory_factor(cls, config: WeakToStrongConfig) -> int:
        return 3  # the policy's cache and those of the pair, as large at most in the intended use

    @classmethod
    def budget(cls, config: WeakToStrongConfig) -> int:
        return config.width * config.successors

    @classmethod
    def settings_at(cls, rows: int, chunk: int) -> dict[str, Any]:
        return {**shape_of(rows), "chunk": chunk}

    @classmethod
    def answer_at_most(cls, config: WeakToStrongConfig, iteration: int, sampler: Sampler, prompt_tokens: int) -> Work:
        work = search_at_most(config, 1, sampler, prompt_tokens)
        models = 2 if config.tuned else 1  # of the copy's pair the base reads nothing again
        return replace(work, value_tokens=models * work.policy_tokens)

    @classmethod
    def fit_config(cls, config: WeakToStrongConfig, iteration: int) -> WeakToStrongConfig | DpoSettings:
        return WeakToStrongConfig(tuned=config.tuned, untuned=config.untuned) if config.tuned else config.dpo

    @classmethod
    def answer_config(cls, config: WeakToStrongConfig, iteration: int) -> Search:
        return Search(config.width, config.successors, config.chunk, config.select, config.diversity)

    @classmethod
    def kl_bound(cls, config: WeakToStrongConfig, sampler: Sampler) -> float | None:
        return kl_bound(config, sampler.max_new_tokens)

    def fit_inputs(self) -> dict[str, str]:
        return {} if self._given is None else {name: model.fingerprint for name, model in vars(self._given).items()}

    def fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        if self._given is not None:
            return FitReport({"tuned": self.config.tuned}, [])
        trained = train_copy(self.policy, rollouts, self.config.dpo, self.streams, self.refit)
        self._copy = trained.copy
        return trained.report

    @property
    def _guide(self) -> LogRatio:
        return LogRatio.beside(self.policy, self.pair.tuned, self.pair.untuned)

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        answers = guided_search(
            self.policy, Guide([self._guide], [1.0]), prompts, self.config, self.streams, observe=self.observer
        )
        return [replace(a, picks={"value": a.picks["value"]}, work={"value": a.work["value"]}) for a in answers]

    def value_flops(self) -> dict[str, float]:
        return {"token": self._guide.flops}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self._copy is not None:
            self._copy.save(folder)

    def load(self, folder: Path) -> "WeakToStrong":
        if self._given is None:
            self._copy = load_copy(self.policy, folder)
        return self


@plain_dataclass(frozen=True)
class _Pair:
    tuned: PolicyHandle
    untuned: PolicyHandle


def _given_pair(config: WeakToStrongConfig, policy: PolicyHandle) -> _Pair:
    if not (config.tuned and config.untuned):
        raise UserError(
            f"weak_to_strong.tuned={config.tuned!r} and weak_to_strong.untuned={config.untuned!r}: "
            "give both models of the pair, or neither to train one"
        )
    return _Pair(policy.other(config.tuned), policy.other(config.untuned))
