"""A frozen policy as methods hold it: metered, with the run's sampling rule. What it wraps cannot be taken out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.ledger import Ledger, Role
from harness.core.models.policy import Policy
from harness.core.models.rows import Capability, Rows, TokenRows
from harness.core.models.sampling import Sampler
from harness.core.models.token_policy import TokenPolicy, TokenScorer
from harness.core.streams import Streams
from harness.core.types import Completion, Prompt

if TYPE_CHECKING:
    from harness.core.models.value_model import ValueModel


class PolicyHandle:
    """A policy as methods see it. Everything that makes the model work spends on the ledger's open phase."""

    def __init__(self, policy: Policy, sampler: Sampler, ledger: Ledger) -> None:
        self.__policy, self.__ledger = policy, ledger
        self.sampler = sampler
        self.name = policy.name
        self.capabilities = policy.capabilities
        self.depth = policy.depth
        self.width = policy.width
        self.fingerprint = policy.fingerprint
        self.active_parameters = policy.active_parameters

    def decode(
        self,
        prompts: Sequence[Prompt],
        rows_per_prompt: int,
        streams: Streams,
        layers: tuple[int, ...] = (),
        record: bool = False,
    ) -> Rows:
        """Start `rows_per_prompt` rows for every prompt; row j of a prompt draws from its stream j.

        Chunks carry the states of `layers`; `record` keeps those of every token for `states_of`. Raises UserError
        where layers are asked of a policy that gives no states.
        """
        if layers:
            self._require("states")
        policy, ledger = self.__policy, self.__ledger
        return policy.decode(prompts, rows_per_prompt, self.sampler, streams, ledger, layers=layers, record=record)

    def decode_tokens(
        self,
        prompts: Sequence[Prompt],
        rows_per_prompt: int,
        streams: Streams,
        layers: tuple[int, ...] = (),
        revocable: bool = False,
    ) -> TokenRows:
        """Like `decode`, for rows whose single tokens are chosen.

        `revocable` keeps finished rows in the model's batch until `release`, so that `take_back` can undo what ended
        them. Raises UserError for a policy without token level, or without taking back.
        """
        if revocable:
            self._require("take back")
        return self._token_policy().decode(
            prompts, rows_per_prompt, self.sampler, streams, self.__ledger, layers=layers, revocable=revocable
        )

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt's tokens, as the model reads them."""
        return self._token_policy().encode(prompt)

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """A text as this policy's tokens, without special ones."""
        return self._token_policy().tokens_of(text)

    def speaks_like(self, other: "PolicyHandle") -> bool:
        """Whether the other policy's tokens mean the same here."""
        return self._token_policy().speaks_like(other._token_policy())

    def untouched_model(self) -> Any:
        """A second copy of the model and the tokenizer, to train. Raises UserError where there is none."""
        return self.__policy.untouched_model()

    def greedy(self) -> "PolicyHandle":
        """A handle on the same policy that writes its most probable token at every step: temperature 0, same ledger."""
        return PolicyHandle(self.__policy, replace(self.sampler, temperature=0.0), self.__ledger)

    def over(self, model: Any, name: str) -> "PolicyHandle":
        """A handle on the same policy over other weights: same sampling rule, same ledger."""
        return PolicyHandle(self.__policy.with_model(model, name), self.sampler, self.__ledger)

    def other(self, model: str) -> "PolicyHandle":
        """A handle on another model by folder, hub id or embedded name: same sampling rule, same ledger."""
        return PolicyHandle(self.__policy.other(model), self.sampler, self.__ledger)

    def prefix_texts(self, completion: Completion, lengths: Sequence[int]) -> list[str]:
        """What a completion said after so many tokens: see `Policy.prefix_texts`."""
        return self.__policy.prefix_texts(completion, lengths)

    def value_model(self, name: str, blocks: int) -> "ValueModel":
        """The first blocks of a causal model, which read for a value function; every token is booked as a value's."""
        from harness.core.models.value_model import value_model  # transformers, which few policies need

        policy = self.__policy
        return value_model(name, blocks, policy.device, cache_folder(), self.book_reading, owner=policy)

    def book_training(self, tokens: int, calls: int) -> None:
        """Book tokens read in training; a backward pass counts as two forward ones."""
        self.__ledger.spend("policy", calls=calls, prefill_tokens=tokens)

    def book_reading(self, tokens: int) -> None:
        """Book tokens that a value's own model read where nobody else counts them."""
        self.__ledger.spend(_GUIDE, prefill_tokens=tokens)

    def logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        """Log-probability in nats of every token at temperature 1, one (t,) array each; booked as tokens read."""
        tokens = sum(self.__policy.prompt_length(c.prompt) + len(c.tokens) for c in completions)
        with self.__ledger.timed("policy", calls=1, sequences=len(completions), prefill_tokens=tokens):
            return self.__policy.logprobs(completions)

    def guide_logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        """The same for a model that guides a search: booked as tokens that values read (the search counts prefixes)."""
        tokens = sum(len(self.encode(c.prompt)) + len(c.tokens) for c in completions)
        self.__ledger.spend("value", prefill_tokens=tokens)
        return self.__policy.logprobs(completions)

    def guide_scorer(self, prompts: Sequence[tuple[int, ...]]) -> TokenScorer:
        """Follow texts behind these prompts, a row each, as a model that guides a search; every token is booked."""
        return _MeteredScorer(self._token_policy().scorer(prompts), self.__ledger, sum(map(len, prompts)))

    def _token_policy(self) -> TokenPolicy:
        self._require("token level")
        assert isinstance(self.__policy, TokenPolicy), f"{self.name} says `token level` and is no TokenPolicy"
        return self.__policy

    def _require(self, capability: Capability) -> None:
        if capability not in self.capabilities:
            raise UserError(f"policy {self.name!r} gives {', '.join(sorted(self.capabilities))}, but no {capability}")


class _MeteredScorer:
    """A `TokenScorer` that books each token it reads."""

    def __init__(self, scorer: TokenScorer, ledger: Ledger, prompt_tokens: int) -> None:
        self.__scorer, self.__ledger = scorer, ledger
        ledger.spend(_GUIDE, prefill_tokens=prompt_tokens)

    def advance(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.__ledger.spend(_GUIDE, prefill_tokens=int(mask.sum()))
        return self.__scorer.advance(tokens, mask)

    def reorder(self, index: torch.Tensor) -> None:
        self.__scorer.reorder(index)


_GUIDE: Role = "value"
