"""Weak-to-strong search: chunk search by the log-ratio of a tuned and an untuned small model (arXiv 2405.19262).

S(y) = log pi_tuned(y | x) - log pi_untuned(y | x), summed over the tokens so far. Without a pair of its own it trains
one: a copy of the base by DPO on the shared pool, against the base. We depart from the published code in that prompts
are batched and both models carry their caches along.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.errors import UserError
from harness.core.generator import Generator
from harness.core.log_ratio import log_ratio
from harness.core.preference import DpoSettings, merged, pairs_of, read_files, train, unavailable, write_files
from harness.core.sampling import Sampler
from harness.core.search import Search, guided_search, kl_bound
from harness.core.types import Answer, Candidate, FitReport, Prompt


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config(Search):
    tuned: Annotated[str, Field(description="folder or hub id of the tuned model; empty: train one (harness)")] = ""
    untuned: Annotated[str, Field(description="the model that it was tuned from; given with `tuned`")] = ""
    dpo: Annotated[DpoSettings, Field(description="how a tuned model is trained")] = DpoSettings()


class WeakToStrong(Generator):
    Config = Config
    source = "arXiv 2405.19262"
    iterations = 1
    needs_one_process = True
    tries = ({}, {"chunk": 4}, {"dpo": {"learning_rate": 5e-4}}, {"dpo": {"learning_rate": 1e-3}})

    @property
    def searches(self) -> bool:
        return True

    @classmethod
    def unavailable(cls, model: str) -> str | None:
        return unavailable(model)

    @classmethod
    def rows_per_prompt(cls, config: Config) -> int:
        return config.width * config.successors

    @classmethod
    def fit_config(cls, config: Config) -> Config:
        same = cls.Config()
        return replace(config, width=same.width, successors=same.successors, chunk=same.chunk, select=same.select)

    @classmethod
    def kl_bound(cls, config: Config, sampler: Sampler) -> float | None:
        return kl_bound(config, sampler.max_new_tokens)

    def fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        if bool(self.config.tuned) != bool(self.config.untuned):
            raise UserError(
                f"weak_to_strong.tuned={self.config.tuned!r} and weak_to_strong.untuned={self.config.untuned!r}: "
                "give both models of the pair, or neither to train one"
            )
        if self.config.tuned:
            self._take({})
            return FitReport({"tuned": self.config.tuned}, [])
        pairs, seed = pairs_of(rollouts), int(self.streams.generator("dpo").integers(2**31))
        files, history = train(self.policy, pairs, self.config.dpo, seed)
        self._take(files)
        return FitReport({"rollouts": len(rollouts), "train_prompts": len(pairs)}, history)

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        guide = log_ratio(self.policy, self.tuned, self.untuned, prompts)
        answers = guided_search(self.policy, [guide], [1.0], prompts, self.config, self.streams, None, trace=self.trace)
        return [replace(a, picks={"value": a.picks["value"]}, work={"value": a.work["value"]}) for a in answers]

    def save(self, folder: Path) -> None:
        write_files(self.files, folder)

    def load(self, folder: Path) -> "WeakToStrong":
        self._take(read_files(folder))
        return self

    def _take(self, files: dict[str, bytes]) -> None:
        self.files, self.untuned = files, self.policy
        if self.config.tuned:
            self.tuned, self.untuned = (self.policy.other(m) for m in (self.config.tuned, self.config.untuned))
        else:
            self.tuned = merged(self.policy, files, "dpo")
