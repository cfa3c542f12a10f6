"""What a frozen model must offer to be aligned: rows that go on writing, and a word of what else it can give.

`TokenPolicy` adds the token-level verbs that the in-process engine is built on; a model behind an API or in a batch
engine is a `Policy` with rows of its own (see rows.py) and needs none of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.models.rows import Capability, Rows
from harness.core.models.sampling import Sampler
from harness.core.streams import Streams
from harness.core.types import WORDS, Completion, Prompt


class Policy(ABC):
    """A frozen model that continues prompts."""

    name: str
    fingerprint: str  # of all files of the model, or of what a server says of itself: part of every cache key
    contents: Mapping[str, str] = {}  # what the fingerprint is made of: file -> sha256, or what else pins the model
    engine: Mapping[str, str]  # what computes, by name and version: part of every cache key
    capabilities: frozenset[Capability]
    device: torch.device = torch.device("cpu")
    depth: int = 0  # number of blocks; layers 0..depth have states
    width: int = 0  # H
    context: int | None = None  # tokens of prompt and answer that the model can read; None: not known, or no limit
    parameters: int = 0
    elsewhere: bool = False  # whether another machine computes: device, processes and their time are not ours
    active_parameters: int = 0  # multiplied with for each token: all but an input embedding of its own

    @abstractmethod
    def decode(
        self,
        prompts: Sequence[Prompt],
        rows_per_prompt: int,
        sampler: Sampler,
        streams: Streams,
        ledger: Ledger,
        *,
        layers: tuple[int, ...] = (),
        record: bool = False,
    ) -> Rows:
        """Start rows that continue prompts and book what they do on the ledger; see `PolicyHandle.decode`.

        A row ends where the model ends it, at `sampler.max_new_tokens`, or with the first of `sampler.stop` that its
        text completes: that is part of what is sampled, for every engine (see stopping.py).
        """

    @abstractmethod
    def head_of(self, text: str, tokens: int) -> str:
        """The text of the first `tokens` tokens of a text: how tasks cut prompts to the policy's measure."""

    def prefix_texts(self, completion: Completion, lengths: Sequence[int]) -> list[str]:
        """What it said after so many tokens; words, blank and all, where nobody tells tokens. See `length_of`."""
        ends = [0, *(found.end() for found in WORDS.finditer(completion.text))]
        return [completion.text[: ends[n]] if n + 1 < len(ends) else completion.text for n in lengths]

    def logprobs(self, completions: Sequence[Completion]) -> list[np.ndarray]:
        """Log-probability in nats of every token at temperature 1: one (t,) array each. Needs `logprobs`."""
        raise UserError(f"policy {self.name!r} gives no log-probabilities")

    def prompt_tokens(self, prompt: Prompt) -> tuple[int, ...]:
        """A prompt's tokens as the model reads it, part of what names the prompt; none where it does not say."""
        return ()

    def prompt_length(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model reads it; 0 where it does not say."""
        return 0

    def forget_prompts(self) -> None:  # noqa: B027  # most remember nothing
        """Let go of what is remembered of prompts, for what runs on and on; a run must not ask for it."""

    def require_room(self, prompts: Sequence[Prompt], new_tokens: Sequence[int]) -> None:
        """Raises UserError where a prompt and the tokens that are to follow it are longer than the model's context."""
        if self.context is None:
            return
        for prompt, new in zip(prompts, new_tokens, strict=True):
            length = self.prompt_length(prompt)
            if length + new > self.context:
                raise UserError(
                    f"prompt {prompt.id!r} has {length} tokens, and {new} are to follow, but model {self.name!r} reads "
                    f"at most {self.context} together. Shorten the prompt, lower sampler.max_new_tokens, or choose a "
                    "model with a longer context"
                )

    def requests_for(self, rows: int) -> int:
        """How many requests bring so many rows of one prefix, of a policy that is `elsewhere`."""
        return rows

    def bill(self) -> dict[str, Any]:
        """What the requests of this process have taken, of a policy that is `elsewhere`."""
        return {}

    def why_not_drawn(self, sampler: Sampler) -> str | None:
        """Why texts cannot be drawn by such a rule; None where they can."""
        return None

    def introduction(self, sampler: Sampler) -> list[str]:
        """Lines that a user should see before any work."""
        return []

    def why_in_one_piece(self, prompts: Sequence[Prompt]) -> str | None:
        """Why rows of these prompts cannot go on once they are extended; None where they can."""
        return None

    def row_bytes(self, prompt_tokens: int, new_tokens: int, rows_per_prompt: int) -> int:
        """Memory here of one row of a batch in bytes, with its share of what rows of a prompt have in common."""
        return 0

    def untouched_model(self) -> Any:
        """A second copy of the model, and its tokenizer, to train. Raises UserError where there are no weights."""
        raise UserError(f"policy {self.name!r} has no weights that could be trained")

    def other(self, model: str) -> "Policy":
        """Another model by folder, hub id or embedded name, placed like this one."""
        raise UserError(f"policy {self.name!r} cannot stand beside model {model!r}: it is not loaded by transformers")

    def with_model(self, model: Any, name: str) -> "Policy":
        """This policy over other weights."""
        raise UserError(f"policy {self.name!r} has no weights that could be trained")
