"""A frozen policy as methods hold it: metered, with the run's sampling rule."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.core.ledger import Ledger
from harness.core.models.decoding import Decoding
from harness.core.models.policy import Policy
from harness.core.models.sampling import Sampler
from harness.core.streams import Streams
from harness.core.types import Completion, Prompt


class PolicyHandle:
    """A policy as methods see it: metered, with the run's sampling rule. Spends on the ledger's open phase."""

    def __init__(self, policy: Policy, sampler: Sampler, ledger: Ledger) -> None:
        self._policy = policy
        self._ledger = ledger
        self.sampler = sampler
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
        revocable: bool = False,
    ) -> Decoding:
        """Start `rows_per_prompt` rows for every prompt.

        `record` keeps the states of every token for `states_of`; `revocable` keeps finished rows in the model's batch
        until `release`, so that `take_back` can undo what ended them.
        """
        return Decoding(
            self._policy, self.sampler, self._ledger, prompts, rows_per_prompt, streams, layers, record, revocable
        )

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """See Policy.encode."""
        return self._policy.encode(prompt)

    def untouched_model(self) -> Any:
        """A second copy of the model and the tokenizer, to train. Raises UserError where there is none."""
        return self._policy.untouched_model()

    def over(self, model: Any, name: str) -> "PolicyHandle":
        """A handle on the same policy over other weights: same sampling rule, same ledger."""
        return PolicyHandle(self._policy.with_model(model, name), self.sampler, self._ledger)

    def other(self, model: str) -> "PolicyHandle":
        """A handle on another model by folder, hub id or embedded name: same sampling rule, same ledger."""
        return PolicyHandle(self._policy.other(model), self.sampler, self._ledger)

    def book_training(self, tokens: int, calls: int) -> None:
        """Book tokens read in training; a backward pass counts as two forward ones."""
        self._ledger.spend("policy", calls=calls, prefill_tokens=tokens)

    def logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        """See Policy.logprobs; booked as prefill."""
        tokens = sum(len(self._policy.encode(c.prompt)) + len(c.tokens) for c in completions)
        with self._ledger.timed("policy", calls=1, sequences=len(completions), prefill_tokens=tokens):
            return self._policy.logprobs(completions)
