"""CARDS: rejection sampling of segments that end where the policy grows uncertain (arXiv 2406.16306).

A segment ends before a token whose entropy under the policy passes a threshold. It is accepted with probability
min(1, exp((r - r_t) / beta)), r the reward of the text so far and r_t a threshold that rises linearly from
r_0 = (1 - alpha) r(prompt) + alpha r* to r* at the token limit; of `attempts` segments in a row the best is taken. We
depart from the published code in that prompts are batched, rejected tokens are hidden in the cache
instead of the rest being read again, a text ends at its end-of-sequence token, and r*, beta count standardised reward.
"""

from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.generator import Generator
from harness.core.models.rows import Capability, TokenRows
from harness.core.models.sampling import Sampler, draw
from harness.core.search.finalists import finalists_of
from harness.core.tuning import Linear, Log
from harness.core.types import Answer, Completion, Prompt, Work


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CardsConfig:
    target: Annotated[float, Field(description="r*, in sd of the proxy over base samples (harness)")] = 1.0
    alpha: Annotated[float, Field(ge=0, le=1, description="how near r* the threshold starts (published code)")] = 0.5
    beta: Annotated[float, Field(gt=0, description="softness of acceptance, in sd of the proxy (harness)")] = 0.3
    entropy: Annotated[float, Field(ge=0, description="nats at which a segment ends (published code)")] = 3.0
    shortest: Annotated[int, Field(ge=1, description="tokens of a segment, at least (published code)")] = 4
    longest: Annotated[int, Field(ge=1, description="tokens of a segment, at most (published code)")] = 64
    attempts: Annotated[int, Field(ge=1, description="rejections before the best is taken (published code)")] = 20

    def __post_init__(self) -> None:
        if self.shortest > self.longest:
            raise ValueError(f"no segment has shortest={self.shortest} tokens and at most longest={self.longest}")


@plain_dataclass
class _Text:
    """One text being written: where its accepted part ends, and what became of the segments tried behind it."""

    rng: np.random.Generator
    first: float  # r_0
    accepted: int = 0  # tokens
    rejected: int = 0
    best: tuple[float, tuple[int, ...]] | None = None  # reward and tokens of the best segment rejected
    forced: tuple[int, ...] = ()  # tokens to write without asking
    calls: int = 1  # r(prompt)


class Cards(Generator):
    Config = CardsConfig
    config: CardsConfig
    source = "arXiv 2406.16306"
    tunables = (Linear("target", 0.5, 3.0), Log("beta", 0.05, 1.0), Linear("entropy", 0.5, 4.0, lowest=0.0))

    @classmethod
    def memory_factor(cls, config: CardsConfig) -> int:
        return config.attempts  # rejected tokens stay in the cache until the text is finished

    @classmethod
    def needs(cls, config: CardsConfig) -> frozenset[Capability]:
        return frozenset({"token level", "take back"})

    @classmethod
    def answer_at_most(cls, config: CardsConfig, iteration: int, sampler: Sampler, prompt_tokens: int) -> Work | None:
        return None  # how many segments are rejected is not known beforehand, and what bounds it says nothing

    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        rows = self.policy.decode_tokens(prompts, 1, self.streams, revocable=True)
        nothing = np.nan_to_num(self.reward([Completion(p, (), "", None) for p in prompts]))
        first = (1 - self.config.alpha) * nothing + self.config.alpha * self.config.target
        texts = [_Text(self.streams.generator("cards", p.id), float(r)) for p, r in zip(prompts, first, strict=True)]
        at_accepted = rows.next_logits()[1].clone()  # (rows, V) logits behind the accepted part
        while not rows.finished.all():
            self._write(rows, texts)
            back = self._judge(rows, texts)
            live, logits = rows.next_logits()
            kept = torch.tensor([texts[i].accepted == n for i, n in enumerate(_lengths(rows))], device=live.device)
            at_accepted[live] = torch.where(kept[live][:, None], logits, at_accepted[live])
            rows.take_back(torch.tensor(back, device=live.device), at_accepted)
            rows.release()
        return [
            replace(answer, work={"first": answer.work["first"].with_rewards(text.calls)})
            for answer, text in zip(finalists_of(rows, ("first",), None), texts, strict=True)
        ]

    def _write(self, rows: TokenRows, texts: Sequence[_Text]) -> None:
        """One token on each unfinished text: a forced one, else drawn."""
        choices = rows.choices()
        live = [texts[i] for i in choices.rows.tolist()]
        uniforms = torch.tensor([0.0 if text.forced else text.rng.random() for text in live], dtype=torch.float64)
        tokens = draw(choices.tokens, choices.probabilities, uniforms.to(choices.uniforms)).tolist()
        for i, text in enumerate(live):
            if text.forced:
                tokens[i], text.forced = text.forced[0], text.forced[1:]
                if not text.forced:  # the best of the rejected segments stands
                    text.accepted, text.rejected, text.best = len(rows.tokens_of()[choices.rows[i]]) + 1, 0, None
        rows.write(torch.tensor(tokens, device=choices.tokens.device))

    def _judge(self, rows: TokenRows, texts: Sequence[_Text]) -> list[int]:
        """Accept or reject every segment that ended; how many tokens to take back from each row."""
        written, finished, uncertain = rows.tokens_of(), rows.finished.tolist(), self._uncertain(rows)
        ended = [
            i
            for i in rows.next_logits()[0].tolist()
            for size in [len(written[i]) - texts[i].accepted]
            if size > 0 and not texts[i].forced
            and (finished[i] or size >= self.config.longest or (size >= self.config.shortest and uncertain[i]))
        ]  # fmt: skip
        back = [0] * len(texts)
        if not ended:
            return back
        completions = rows.completions()
        for i, reward in zip(ended, self.reward([completions[i] for i in ended]).tolist(), strict=True):
            back[i] = self._decide(texts[i], written[i], reward, self.policy.sampler.max_new_tokens)
        return back

    def _decide(self, text: _Text, tokens: tuple[int, ...], reward: float, limit: int) -> int:
        """Tokens to take back: none where the segment is accepted. Without a reward it is rejected like the worst."""
        text.calls += 1
        segment = tokens[text.accepted :]
        threshold = text.first + len(tokens) / limit * (self.config.target - text.first)
        if np.isnan(reward):
            reward, chance = -np.inf, 0.0
        else:
            chance = np.exp(min(0.0, (reward - threshold) / self.config.beta))
        last = text.rejected + 1 >= self.config.attempts
        if text.rng.random() < chance or (last and (text.best is None or reward >= text.best[0])):
            text.accepted, text.rejected, text.best = len(tokens), 0, None
            return 0
        if text.best is None or reward > text.best[0]:
            text.best = (reward, segment)
        text.rejected += 1
        if last:
            text.forced = text.best[1]
        return len(segment)

    def _uncertain(self, rows: TokenRows) -> list[bool]:
        """Of each row: whether the entropy of its next token, over the whole vocabulary, passes the threshold."""
        live, logits = rows.next_logits()
        log_p = logits.float().log_softmax(1)
        out = torch.zeros_like(rows.finished)
        out[live] = -(log_p.exp() * log_p).nansum(1) >= self.config.entropy
        return out.tolist()


def _lengths(rows: TokenRows) -> list[int]:
    return [len(tokens) for tokens in rows.tokens_of()]
