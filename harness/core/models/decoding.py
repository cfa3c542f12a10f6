"""The in-process engine: rows in flight (see rows.py) over a `TokenPolicy`, which prefills, feeds, peeks, reorders.

Row arrays keep finished rows; the model's cache holds the live ones only. A row is fed its end-of-sequence token once,
and the last token of a length-stopped row too, when somebody reads states; then it leaves the model's batch.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.core.ledger import Ledger, Role
from harness.core.models.device import widest
from harness.core.models.rows import Choices, Chunk
from harness.core.models.sampling import Sampler, draw, require_finite, support, unfit
from harness.core.models.stopping import StopStrings
from harness.core.streams import Streams
from harness.core.types import Completion, PrefixStates, Prompt, Stop

if TYPE_CHECKING:
    from harness.core.models.token_policy import TokenPolicy

_STOPS: tuple[Stop | None, ...] = (None, "eos", "length", "string")
_LIVE, _EOS, _LENGTH, _STRING = range(4)


class Decoding:
    """`TokenRows` over a model in this process, which methods cannot reach through it."""

    def __init__(
        self,
        policy: "TokenPolicy",
        sampler: Sampler,
        ledger: Ledger,
        prompts: Sequence[Prompt],
        rows_per_prompt: int,
        streams: Streams,
        layers: tuple[int, ...],
        record: bool,
        revocable: bool,
    ) -> None:
        assert prompts and rows_per_prompt > 0, f"{len(prompts)} prompts, {rows_per_prompt} rows each"
        self.__policy, self.__ledger, self._sampler = policy, ledger, sampler
        self.prompts, self._layers, self._record, self._revocable = list(prompts), layers, record, revocable
        self._ends = StopStrings(sampler.stop)
        length = sampler.max_new_tokens
        policy.require_room(prompts, [length] * len(prompts))
        uniforms = [streams.uniforms("sample", p.id, rows_per_prompt, length) for p in prompts]
        self._uniforms = (
            torch.from_numpy(np.stack(uniforms)).to(widest(policy.device)).to(policy.device)
        )  # (P, slots, T)
        encoded = [policy.encode(p) for p in prompts]
        self.__text = [policy.text_behind(tokens) for tokens in encoded]  # of each prompt's answers
        self._prompt_tokens = np.array([len(tokens) for tokens in encoded])  # (P,)
        with ledger.timed("policy", calls=1, sequences=len(prompts), prefill_tokens=int(self._prompt_tokens.sum())):
            self._cache, fed, mask = policy.prefill(encoded, self._layers, length, revocable)
        tokens = torch.zeros(mask.shape, dtype=torch.long, device=policy.device)
        flat = torch.tensor([t for tokens in encoded for t in tokens], dtype=torch.long, device=policy.device)
        states = {layer: state.float() * mask[..., None] for layer, state in fed.states.items()}
        self.prompt_chunk = Chunk(tokens.masked_scatter(mask, flat), mask, states)
        self._keeps_logprobs = False
        self._sampled = np.zeros(len(prompts), dtype=np.int64)  # (P,) tokens drawn so far, discarded ones included
        self._steps = torch.ones(len(prompts), dtype=torch.long, device=policy.device)  # (P,) see `Rows.steps`

        self.owner = torch.arange(len(prompts), device=policy.device).repeat_interleave(rows_per_prompt)  # (R,)
        rows = len(self.owner)
        self._slot = torch.arange(rows_per_prompt, device=policy.device).repeat(len(prompts))  # (R,)
        self._tokens = torch.zeros(rows, length, dtype=torch.long, device=policy.device)
        self._length = torch.zeros(rows, dtype=torch.long, device=policy.device)
        self._stop = torch.full_like(self._length, _LIVE)
        self._eos = torch.tensor(sorted(policy.eos_ids), dtype=torch.long, device=policy.device)
        shape = (rows, length, policy.width) if record else (rows, 0, 0)
        self._history = {layer: torch.zeros(shape, device=policy.device) for layer in self._layers}  # (R, T, H)
        # the cache was filled with a row a prompt; from here on it has one for each row that is being written
        policy.reorder(self._cache, self.owner)
        self._in_cache = torch.arange(rows, device=policy.device)  # cache row -> row
        self._logits = fed.logits[self.owner]  # (cache rows, V)
        # revocable rows stay in the batch when they have finished, and are fed what has to be taken back with their end
        self._idle = torch.zeros_like(self._length)  # (R,) tokens fed since

    @property
    def finished(self) -> torch.Tensor:
        return self._stop != _LIVE

    def extend(self, n: int) -> Chunk:
        return self._advance(min(n, self._tokens.shape[1]), self._sample)  # no row has room for more

    def keep_logprobs(self) -> None:
        self._keeps_logprobs = True

    def write(self, tokens: torch.Tensor) -> Chunk:
        alive = ~self.finished[self._in_cache]
        drawn = torch.zeros(len(alive), dtype=torch.long, device=self.__policy.device)
        drawn[alive] = tokens
        return self._advance(1, lambda: drawn)

    @torch.inference_mode()
    def choices(self) -> Choices:
        alive = ~self.finished[self._in_cache]
        rows = self._in_cache[alive]
        uniforms = self._uniforms[self.owner[rows], self._slot[rows], self._length[rows]]
        tokens, probabilities = support(self._logits[alive], self._sampler)
        require_finite(unfit(probabilities), self.__policy.name)
        return Choices(rows, tokens, probabilities, uniforms)

    @torch.inference_mode()
    def peek(self, tokens: torch.Tensor) -> Mapping[int, torch.Tensor]:
        alive = ~self.finished[self._in_cache]
        if not alive.all():
            # candidates are counted off the unfinished rows, so finished ones leave the batch first
            self.__policy.reorder(self._cache, alive.nonzero()[:, 0])
            self._logits, self._in_cache = self._logits[alive], self._in_cache[alive]
        self._steps[self.owner[self._in_cache]] += 1
        with self.__ledger.timed("policy", calls=1, prefill_tokens=self.peeked(tokens.numel())):
            states = self.__policy.peek(self._cache, tokens, self._layers)
        return {layer: state.float() for layer, state in states.items()}

    def peeked(self, candidates: int) -> int:
        return math.ceil(candidates * max(self._layers) / self.__policy.depth)

    @torch.inference_mode()
    def _advance(self, n: int, choose: Callable[[], torch.Tensor]) -> Chunk:
        """Write up to `n` tokens; choose() gives those of all rows in the cache, meaningless where one has finished."""
        start = time.perf_counter()
        rows, device = len(self.owner), self.__policy.device
        tokens = torch.zeros(rows, n, dtype=torch.long, device=device)
        mask = torch.zeros(rows, n, dtype=torch.bool, device=device)
        states = {layer: torch.zeros(rows, n, self.__policy.width, device=device) for layer in self._layers}
        logprobs = torch.zeros(rows, n, device=device) if self._keeps_logprobs else None
        calls = 0
        self._unfit = torch.zeros(rows, dtype=torch.bool, device=device)  # rows whose logits were no finite numbers
        for j in range(n):
            alive = ~self.finished[self._in_cache]  # (cache rows,)
            if not alive.any():
                break
            drawn = choose()  # (cache rows,)
            live = self._in_cache[alive]
            tokens[live, j], mask[live, j] = drawn[alive], True
            if logprobs is not None:  # from the logits that the token was drawn by, before they are those of the next
                log_pi = self._logits[alive].float().log_softmax(-1)
                logprobs[live, j] = log_pi.gather(1, drawn[alive][:, None])[:, 0]
            self._append(live, drawn[alive])
            # Feeding gives the state of the token just drawn and the logits of the next one. A row that ends here is
            # fed once more only where somebody reads its last state, or where what ended it may be taken back.
            wanted = alive if self._layers or self._revocable else ~self.finished[self._in_cache]
            self._steps[self.owner[self._in_cache[wanted]]] += 1  # once a prompt, however many of its rows are fed
            fed = self._feed(drawn, wanted)
            if fed is None:
                continue  # every row has finished and nobody reads states
            calls += 1
            for layer, state in fed.items():
                states[layer][:, j] = state
        require_finite(self._unfit, self.__policy.name)
        np.add.at(self._sampled, self.owner.cpu().numpy(), mask.sum(1).cpu().numpy())
        seconds = time.perf_counter() - start
        self.__ledger.spend("policy", calls=calls, tokens=int(mask.sum()), seconds=seconds)
        return Chunk(tokens, mask, states, logprobs)

    def _sample(self) -> torch.Tensor:
        """(cache rows,) drawn tokens: number t of a row's stream decides its token t, whoever shares the batch."""
        rows = self._in_cache
        position = self._length[rows].clamp(max=self._tokens.shape[1] - 1)
        tokens, probabilities = support(self._logits, self._sampler)
        # looked at once a chunk: asking at every token would make a GPU wait
        self._unfit[rows] |= unfit(probabilities) & ~self.finished[rows]
        return draw(tokens, probabilities, self._uniforms[self.owner[rows], self._slot[rows], position])

    def _append(self, live: torch.Tensor, drawn: torch.Tensor) -> None:
        self._tokens[live, self._length[live]] = drawn
        self._length[live] += 1
        full = torch.where(self._length[live] == self._tokens.shape[1], _LENGTH, _LIVE)
        self._stop[live] = torch.where(torch.isin(drawn, self._eos), _EOS, full)
        if self._ends:
            self._hear(live)

    def _hear(self, live: torch.Tensor) -> None:
        """Finish the rows (L,) that have just said a stop string; of a long one the last tokens are read at first."""
        lengths, tail = self._length[live].tolist(), self._ends.tail
        start = max(0, min(lengths) - tail)
        recent = self._tokens[live, start : max(lengths)].tolist()
        for row, length, tokens in zip(live.tolist(), lengths, recent, strict=True):
            last = tokens[: length - start][-tail:]
            may_end = length <= tail or self._ends.may_end(self.__policy.text(last))
            if may_end and self._completion(row).stop == "string":
                self._stop[row] = _STRING

    def _feed(self, drawn: torch.Tensor, wanted: torch.Tensor) -> dict[int, torch.Tensor] | None:
        """Feed the drawn tokens of the wanted cache rows; (rows, H) states by layer, zero for all other rows."""
        unwanted = int((~wanted).sum())
        if unwanted == len(wanted):
            return None
        if unwanted * 8 >= len(wanted) and not self._revocable:  # a smaller batch pays for copying the cache
            keep = wanted.nonzero()[:, 0]
            self.__policy.reorder(self._cache, keep)
            self._in_cache, drawn, wanted = self._in_cache[keep], drawn[keep], wanted[keep]
        if self.finished.all() and not self._revocable:
            # somebody reads the states of the last tokens, nobody what would follow: no logits, no new cache entries
            states = self.__policy.peek(self._cache, drawn[:, None], self._layers)
        else:
            fed = self.__policy.feed(self._cache, drawn, self._layers)
            self._logits, states = fed.logits, fed.states
            self._idle[self._in_cache[~wanted]] += 1
        rows = self._in_cache[wanted]
        spread = {}
        for layer, state in states.items():
            spread[layer] = torch.zeros(len(self.owner), self.__policy.width, device=self.__policy.device)
            spread[layer][rows] = state[wanted, 0].float()
            if self._record:
                self._history[layer][rows, self._length[rows] - 1] = spread[layer][rows]
        return spread

    @torch.inference_mode()
    def select(self, index: torch.Tensor, slots: torch.Tensor) -> None:
        # the cache holds unfinished rows only, so an index of rows becomes an index of cache rows
        where = torch.full_like(self.owner, -1)  # (R,) cache row of each row; -1: it has left
        where[self._in_cache] = torch.arange(len(self._in_cache), device=self.__policy.device)
        live = ~self.finished[index]
        cache_index = where[index[live]]
        if len(cache_index):
            self.__policy.reorder(self._cache, cache_index)
            self._logits = self._logits[cache_index]
        self._in_cache = live.nonzero()[:, 0]
        # the stream stays with the slot, not with the row: two copies of one row continue differently
        self.owner, self._slot = self.owner[index], slots
        self._tokens, self._length, self._stop = self._tokens[index], self._length[index], self._stop[index]
        self._idle = self._idle[index]
        self._history = {layer: states[index] for layer, states in self._history.items()}

    @torch.inference_mode()
    def next_logits(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._in_cache, self._logits

    @torch.inference_mode()
    def take_back(self, counts: torch.Tensor, logits: torch.Tensor) -> None:
        assert self._revocable and not counts[self._absent()].any(), "rows that left the batch cannot be taken back"
        back = counts > 0  # (R,)
        taken = (counts + torch.where(back, self._idle, 0))[self._in_cache]  # (cache rows,)
        self.__policy.forget(self._cache, taken)
        self._idle = self._idle.masked_fill(back, 0)
        self._logits = torch.where(taken[:, None] > 0, logits[self._in_cache], self._logits)
        self._length = self._length - counts
        self._stop = torch.where(counts > 0, _LIVE, self._stop)

    @torch.inference_mode()
    def release(self) -> None:
        keep = (~self.finished[self._in_cache]).nonzero()[:, 0]
        if len(keep) < len(self._in_cache):
            self.__policy.reorder(self._cache, keep)
            self._in_cache, self._logits = self._in_cache[keep], self._logits[keep]

    def _absent(self) -> torch.Tensor:
        absent = torch.ones_like(self.finished)
        absent[self._in_cache] = False
        return absent

    def tokens_of(self) -> list[tuple[int, ...]]:
        return [tuple(t[:n]) for t, n in zip(self._tokens.tolist(), self._length.tolist(), strict=True)]

    def keys(self) -> list[tuple[int, ...]]:
        return self.tokens_of()

    def completions(self) -> list[Completion]:
        owners, stops = self.owner.tolist(), self._stop.tolist()
        return [
            self._said(owner, tokens, _STOPS[stop])
            for owner, stop, tokens in zip(owners, stops, self.tokens_of(), strict=True)
        ]

    def continued(self, row: int, token: int) -> Completion:
        written = self._tokens[row, : int(self._length[row])].tolist()
        tokens = (*written, token)
        stop: Stop | None = "length" if len(tokens) == self._tokens.shape[1] else None
        stop = "eos" if token in self.__policy.eos_ids else stop
        return self._said(int(self.owner[row]), tokens, stop)

    def _completion(self, row: int) -> Completion:
        written = tuple(self._tokens[row, : int(self._length[row])].tolist())
        return self._said(int(self.owner[row]), written, _STOPS[int(self._stop[row])])

    def _said(self, owner: int, tokens: tuple[int, ...], stop: Stop | None) -> Completion:
        """What a row has said; the tokens of a stop string stay among its tokens, as the end-of-sequence token does."""
        text = self.__text[owner](tokens)
        cut = self._ends.cut(text) if self._ends else None
        return Completion(self.prompts[owner], tokens, *((text, stop) if cut is None else (cut, "string")))

    def policy_tokens(self) -> np.ndarray:
        return self._prompt_tokens + self._sampled

    def steps(self) -> np.ndarray:
        return self._steps.cpu().numpy().copy()

    def spend(self, role: Role, *, seconds: float = 0.0, **counts: int) -> None:
        self.__ledger.spend(role, seconds=seconds, **counts)

    def states_of(self, row: int) -> PrefixStates | None:
        if not (self._record and self._layers):
            return None
        owner, length = int(self.owner[row]), int(self._length[row])
        mask = self.prompt_chunk.mask[owner]
        prompt = torch.stack([self.prompt_chunk.states[layer][owner][mask] for layer in self._layers], 1)  # (p, L, H)
        states = torch.stack([self._history[layer][row, :length] for layer in self._layers], 1)  # (t, L, H)
        return PrefixStates(self._layers, len(prompt), _compact(prompt.mean(0)), _compact(prompt[-1]), _compact(states))


def _compact(states: torch.Tensor) -> np.ndarray:
    """float16 where the values fit, float32 where they do not: stored states fill most of the cache folder."""
    half = states.half()
    return (half if torch.isfinite(half).all() else states.float()).cpu().numpy()
