"""Rows that a server writes: each round sends every distinct prefix once and brings a piece for each of its rows.

`Rows` of models/rows.py over texts. Row j of a prompt has the seed of its place in the text plus j, so that rows which
share a prefix come with one request (n of them, by servers that draw choice i with seed + i) or with one each alike.
"""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from harness.core.errors import UserError
from harness.core.ledger import Ledger, Role
from harness.core.models.rows import Chunk
from harness.core.models.sampling import Sampler
from harness.core.models.served.asker import Asker, Wanted
from harness.core.models.served.asking import Token
from harness.core.models.stopping import StopStrings
from harness.core.streams import Streams
from harness.core.types import Completion, PrefixStates, Prompt, Stop

_SEEDS = 2**31 - 2**16  # below what every server takes, with room for the rows of a prompt


@dataclass
class _Row:
    """One text as it stands."""

    owner: int
    slot: int
    text: str = ""
    tokens: int = 0
    stop: Stop | None = None
    logprobs: tuple[float, ...] | None = None  # of a text that came in one piece, where the server told them


class ServedRows:
    """Texts in flight."""

    def __init__(
        self,
        asker: Asker,
        sampler: Sampler,
        ledger: Ledger,
        prompts: Sequence[Prompt],
        rows_per_prompt: int,
        streams: Streams,
    ) -> None:
        assert prompts and rows_per_prompt > 0, f"{len(prompts)} prompts, {rows_per_prompt} rows each"
        self.prompts = list(prompts)
        self.__asker, self.__ledger, self._sampler, self._streams = asker, ledger, sampler, streams
        self._ends = StopStrings(sampler.stop)
        self._rows = [_Row(p, j) for p in range(len(prompts)) for j in range(rows_per_prompt)]
        self._tokens = np.zeros(len(prompts), dtype=np.int64)  # (P,) read anew and written, by the server's count
        self._steps = np.zeros(len(prompts), dtype=np.int64)
        nothing = torch.zeros(len(prompts), 1, dtype=torch.long)
        self.prompt_chunk = Chunk(nothing, torch.ones_like(nothing, dtype=torch.bool), {})

    @property
    def owner(self) -> torch.Tensor:
        return torch.tensor([row.owner for row in self._rows])

    @property
    def finished(self) -> torch.Tensor:
        return torch.tensor([row.stop is not None for row in self._rows])

    def extend(self, n: int) -> Chunk:
        start, before = time.perf_counter(), [row.tokens for row in self._rows]
        wanted, groups = self._wanted(n)
        asker = self.__asker
        answered = asker.ask(wanted)
        steps = np.zeros(len(self.prompts), dtype=np.int64)
        counts = dict.fromkeys(("calls", "prefill_tokens", "cached_tokens", "tokens"), 0)
        for want, group, pieces in zip(wanted, groups, answered, strict=True):
            for i, piece in zip(group, pieces, strict=True):
                row = self._rows[i]
                told: Sequence[Token] | None = piece.written.told if want.is_whole(self._sampler) else None
                row.text = want.said + piece.written.text
                row.tokens += piece.written.tokens
                row.stop = _stop(piece.written.finish, row.tokens, self._sampler.max_new_tokens)
                # not left to the server: some take no stop strings, and one may come in two pieces
                if (cut := self._ends.cut(row.text)) is not None:
                    row.text, row.stop, told = cut, "string", told and self._until_the_end(told)
                row.logprobs = None if told is None else tuple(token.logprob for token in told)
                steps[want.owner] = max(steps[want.owner], 1 + piece.written.tokens)
            took = asker.took(pieces)
            self._tokens[want.owner] += took.read - took.cached + took.written
            counts["calls"] += asker.dialect.requests_for(len(pieces))
            counts["prefill_tokens"] += took.read
            counts["cached_tokens"] += took.cached
            counts["tokens"] += took.written
        self._steps += steps
        if wanted:
            self.__ledger.spend("policy", seconds=time.perf_counter() - start, **counts)
        return self._chunk(before)

    def keep_logprobs(self) -> None:
        raise UserError(
            "a model behind an API tells no log-probabilities of chunks; leave out the values that compare two models"
        )

    def select(self, index: torch.Tensor, slots: torch.Tensor) -> None:
        old = self._rows
        self._rows = [replace(old[i], slot=slot) for i, slot in zip(index.tolist(), slots.tolist(), strict=True)]

    def completions(self) -> list[Completion]:
        return [
            Completion(self.prompts[row.owner], (), row.text, row.stop, row.tokens, row.logprobs) for row in self._rows
        ]

    def keys(self) -> Sequence[Hashable]:
        return [(row.text, row.stop) for row in self._rows]

    def states_of(self, row: int) -> PrefixStates | None:
        return None

    def policy_tokens(self) -> np.ndarray:
        return self._tokens.copy()

    def steps(self) -> np.ndarray:
        return self._steps.copy()

    def spend(self, role: Role, *, seconds: float = 0.0, **counts: int) -> None:
        self.__ledger.spend(role, seconds=seconds, **counts)

    def _wanted(self, n: int) -> tuple[list[Wanted], list[list[int]]]:
        """What to ask for: rows in neighbouring slots with one prefix together, and which rows those are."""
        wanted: list[Wanted] = []
        groups: list[list[int]] = []
        for i, row in enumerate(self._rows):
            if row.stop is not None:
                continue
            # what is cut after a blank reads as another word: the blank is written anew, with what follows it
            said, most = row.text.rstrip(), min(n, self._sampler.max_new_tokens - row.tokens)
            last = wanted[-1] if wanted else None
            if (
                last is not None
                and (last.owner, last.said, last.most, last.at) == (row.owner, said, most, row.tokens)
                and self._rows[groups[-1][-1]].slot + 1 == row.slot
            ):
                groups[-1].append(i)
                wanted[-1] = last.with_one_more()
                continue
            prompt = self.prompts[row.owner]
            seed = int(self._streams.generator("served", prompt.id, row.tokens).integers(_SEEDS)) + row.slot
            wanted.append(Wanted(prompt, row.owner, said, most, row.tokens, seed, 1))
            groups.append([i])
        return wanted, groups

    def _until_the_end(self, told: Sequence[Token]) -> Sequence[Token] | None:
        """The tokens up to the one that completed a stop string; None where their texts do not tell which."""
        said = ""
        for count, token in enumerate(told, 1):
            said += token.text
            if self._ends.cut(said) is not None:
                return told[:count]
        return None

    def _chunk(self, before: Sequence[int]) -> Chunk:
        """How many tokens each row got; which ones they are, only the server knows."""
        counts = torch.tensor([row.tokens - was for row, was in zip(self._rows, before, strict=True)])
        longest = max(1, int(counts.max()))
        mask = torch.arange(longest)[None, :] < counts[:, None]
        return Chunk(torch.zeros(mask.shape, dtype=torch.long), mask, {})


def _stop(finish: str, tokens: int, most: int) -> Stop | None:
    match finish:
        case "filtered":
            return "filtered"
        case "length":
            return "length" if tokens >= most else None
    return "eos"
