"""Controlled decoding: one prefix scorer V steers a frozen policy, token by token or block by block (arXiv 2310.17022).

Token by token, z is drawn from pi(z) exp(strength * V(y, z)) / Z(y) over a set of candidates, which the policy reads up
to the layer of V. Block by block, the best of `successors` blocks by V is kept: IRO with one iteration and width 1.
V is fitted by CD-FUDGE, regression on the final reward, or by CD-Q, bootstrapped from the values of next prefixes.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.errors import UserError
from harness.core.generator import Generator
from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Capability
from harness.core.models.sampling import Sampler, draw
from harness.core.reward import RewardHandle
from harness.core.search.finalists import finalists_of
from harness.core.search.search import Guide, guided_search, kl_bound, search_at_most
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.tuning import Choice, Chunk, Declared, Log, When
from harness.core.types import Answer, Candidate, FitReport, Prompt, Work
from harness.core.values import kinds
from harness.core.values.bootstrap import BootstrapSettings, fit_bootstrapped
from harness.core.values.fitting import Fitted, ValueSettings
from harness.core.values.hidden import HiddenValue
from harness.core.values.stored import load_value, of_states
from harness.core.values.value import PrefixValue, TokenReader


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ControlledDecodingConfig:
    mode: Annotated[Literal["token", "block"], Field(description="both are the paper's")] = "token"
    objective: Annotated[Literal["fudge", "q"], Field(description="both are the paper's")] = "fudge"
    strength: Annotated[float, Field(ge=0, description="token: lambda, values in sd of the proxy (harness)")] = 1.0
    candidates: Annotated[int, Field(ge=0, description="token: most probable tokens valued; 0: the support")] = 0
    successors: Annotated[int, Field(ge=1, description="block: blocks sampled (K in the paper; harness: U)")] = 16
    chunk: Annotated[int, Field(ge=1, description="block: tokens of a block (M in the paper; harness)")] = 8
    value: Annotated[ValueSettings, Field(description="what V reads, how it is fitted")] = ValueSettings()
    q: Annotated[BootstrapSettings, Field(description="what CD-Q adds to that")] = BootstrapSettings()


def _blocks(config: ControlledDecodingConfig) -> Search:
    return Search(width=1, successors=config.successors, chunk=config.chunk)


_MOST_CANDIDATES = 1024


class ControlledDecoding(Generator):
    Config = ControlledDecodingConfig
    config: ControlledDecodingConfig
    source = "arXiv 2310.17022"
    iterations = 1
    tunables = (
        Choice("mode", ("token", "block")),
        Log("strength", 0.5, 32.0, when=When("mode", "token")),
        Chunk(when=When("mode", "block")),
        Choice("objective", ("fudge", "q")),
    )

    def __init__(self, config: Any, policy: PolicyHandle, reward: RewardHandle, streams: Streams) -> None:
        super().__init__(config, policy, reward, streams)
        self._value: PrefixValue | None = None

    @property
    def value(self) -> PrefixValue:
        """V, once it was fitted or loaded."""
        if self._value is None:
            raise RuntimeError("controlled_decoding has no value function yet: fit or load it first")
        return self._value

    @classmethod
    def needs(cls, config: ControlledDecodingConfig) -> frozenset[Capability]:
        by_token = config.mode == "token" or config.objective == "q"
        return frozenset({"states", "token level"}) if by_token else kinds.needs(config.value)

    @classmethod
    def without_states(cls) -> dict[str, Any]:
        return {"mode": "block", "value": {"kind": "text"}}

    @classmethod
    def tunables_of(cls, config: ControlledDecodingConfig) -> Sequence[Declared]:
        """Values that read no states decode block by block, whatever else there is to choose."""
        return cls.tunables if config.value.kind == "hidden" else (Chunk(),)

    @classmethod
    def unavailable(cls, model: str, config: ControlledDecodingConfig) -> str | None:
        if config.value.kind != "hidden" and (config.mode == "token" or config.objective == "q"):
            why = (
                "mode=token, which values single tokens" if config.mode == "token" else "objective=q, which draws them"
            )
            return (
                f"controlled_decoding.value.kind={config.value.kind} does not go with {why}, on the policy's states; "
                "set controlled_decoding.mode=block and objective=fudge, or leave the kind at hidden"
            )
        return kinds.unavailable("controlled_decoding", config.value)

    @classmethod
    def models_read(cls, config: ControlledDecodingConfig) -> frozenset[str]:
        return kinds.models_read(config.value)

    @classmethod
    def memory_factor(cls, config: ControlledDecodingConfig) -> int:
        return 2 if config.value.kind == "lm" else 1  # keys and values of the value model beside the policy's

    def fit_inputs(self) -> dict[str, str]:
        return kinds.inputs_of(self.config.value, self.policy)

    @property
    def searches(self) -> bool:
        return self.config.mode == "block"

    @classmethod
    def rows_per_prompt(cls, config: ControlledDecodingConfig) -> int:
        return config.successors if config.mode == "block" else 1

    @classmethod
    def budget(cls, config: ControlledDecodingConfig) -> int | None:
        return config.successors if config.mode == "block" else None

    @classmethod
    def settings_at(cls, rows: int, chunk: int) -> dict[str, Any]:
        return {"successors": rows, "chunk": chunk}

    @classmethod
    def kl_bound(cls, config: ControlledDecodingConfig, sampler: Sampler) -> float | None:
        return kl_bound(_blocks(config), sampler.max_new_tokens) if config.mode == "block" else None

    @classmethod
    def answer_at_most(
        cls, config: ControlledDecodingConfig, iteration: int, sampler: Sampler, prompt_tokens: int
    ) -> Work | None:
        """Token by token a candidate counts as a whole token: up to which layer it is read, V decides."""
        if config.mode == "block":
            work = search_at_most(_blocks(config), iteration, sampler, prompt_tokens)
            return kinds.reading_at_most(config.value, iteration, work, prompt_tokens + sampler.max_new_tokens)
        limits = [most for most in (config.candidates, sampler.top_k) if most]
        if not limits:
            return None
        valued = min(limits) * sampler.max_new_tokens
        return Work(prompt_tokens + sampler.max_new_tokens + valued, value_calls=valued)

    @classmethod
    def fit_config(cls, config: ControlledDecodingConfig, iteration: int) -> ControlledDecodingConfig:
        same = cls.Config()
        return replace(
            config, mode=same.mode, strength=same.strength, candidates=same.candidates, successors=same.successors,
            chunk=same.chunk,
        )  # fmt: skip

    @classmethod
    def answer_config(cls, config: ControlledDecodingConfig, iteration: int) -> ControlledDecodingConfig:
        return replace(config, value=ValueSettings(), q=BootstrapSettings(), objective="fudge")

    def fit(self, iteration: int, rollouts: Sequence[Candidate]) -> FitReport:
        if self.config.objective == "q" and self.config.value.weight != "token":
            raise UserError(
                f"controlled_decoding.value.weight={self.config.value.weight!r}: CD-Q bootstraps prefix by prefix, all "
                "of the same weight; use `token`, or objective `fudge`"
            )
        rng = self.streams.generator(f"fit value {iteration}", row=self.refit)
        fitted = kinds.fit_kind(rollouts, self.config.value, self.policy, rng, fold=self.refit)
        self._value, report = fitted.value, fitted.report
        if self.config.objective == "q":
            if not isinstance(fitted.value, HiddenValue):
                raise UserError(
                    f"controlled_decoding.value.ensemble={self.config.value.ensemble}: CD-Q bootstraps a single head; "
                    "leave it at 1, or use objective `fudge`"
                )
            regressed, how = Fitted(fitted.value, fitted.report), (self.config.value, self.config.q)
            found = fit_bootstrapped(rollouts, regressed, *how, self.policy, self.reward, self.streams, fold=self.refit)
            self._value, report = found.value, found.report
        return report

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        if self.config.mode == "token":
            return self._by_token(prompts)
        search = _blocks(self.config)
        guide = Guide([self.value], [1.0])
        answers = guided_search(self.policy, guide, prompts, search, self.streams, observe=self.observer)
        return [replace(a, picks={"value": a.picks["value"]}, work={"value": a.work["value"]}) for a in answers]

    def _by_token(self, prompts: Sequence[Prompt]) -> list[Answer]:
        rows = self.policy.decode_tokens(prompts, 1, self.streams, self.value.layers)
        reader = self.value.start(rows)
        assert isinstance(reader, TokenReader), f"a value of kind {self.value.kind} reads no single tokens"
        valued = np.zeros(len(prompts), dtype=int)
        while not rows.finished.all():
            choices = rows.choices()
            tokens, probabilities = choices.top(self.config.candidates)
            if tokens.shape[1] > _MOST_CANDIDATES:
                raise UserError(
                    f"controlled_decoding would value {tokens.shape[1]} candidates a token, all that the sampling rule "
                    f"allows; set controlled_decoding.candidates, or sampler.top_k, to {_MOST_CANDIDATES} or less"
                )
            states = rows.peek(tokens)
            start = time.perf_counter()
            values = reader.peek(choices.rows, states)
            rows.spend("value", calls=1, sequences=tokens.numel(), seconds=time.perf_counter() - start)
            values = values.masked_fill(probabilities == 0, -torch.inf)  # beyond the nucleus
            tilt = self.config.strength * (values - values.amax(1, keepdim=True))
            chunk = rows.write(draw(tokens, probabilities * tilt.exp(), choices.uniforms))
            reader.advance(chunk)
            valued[rows.owner[choices.rows].cpu().numpy()] += tokens.shape[1]
        return [
            replace(a, work={"first": replace(w, policy_tokens=w.policy_tokens + rows.peeked(n), value_calls=n)})
            for a, n in zip(finalists_of(rows, ("first",), None), valued.tolist(), strict=True)
            for w in a.work.values()
        ]

    @property
    def fitted_values(self) -> Sequence[PrefixValue]:
        return [] if self._value is None else [self._value]

    def value_flops(self) -> dict[str, float]:
        return kinds.prices_of([self.value])

    def save(self, folder: Path) -> None:
        self.value.save(folder)

    def load(self, folder: Path) -> "ControlledDecoding":
        value = load_value(folder, self.policy)
        self._value = of_states(value) if self.config.mode == "token" else value
        return self
