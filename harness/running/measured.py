"""How fast this machine is at the work of a run: a few seconds of the engine and the rewards on fit prompts.

speed = measure(context, fit_prompts)
speed.seconds(Counts(policy_tokens=1000, reward_calls=16))       # in one process
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.types import Prompt
from harness.running.plan import Counts
from harness.running.stages import RunContext

SECONDS = 3.0  # of sampling, about
_CHUNK, _TEXTS = 4, 16


@dataclass(frozen=True)
class Speed:
    """Seconds in one process: of a token sampled among `rows` rows, of a text scored, of a token of an answer read."""

    rows: int
    token: float
    reward: float
    gold: float
    read: float

    def seconds(self, counts: Counts) -> float:
        """Of work other than fits."""
        return (
            (counts.policy_tokens + counts.value_tokens) * self.token
            + counts.reward_calls * self.reward
            + counts.gold_calls * self.gold
            + counts.read_tokens * self.read
        )


def measure(context: RunContext, prompts: Sequence[Prompt]) -> Speed:
    """Sample a batch as that of base samples for `SECONDS`, and score some of its texts; all of it is thrown away."""
    samples, sampler = context.config.settings["fit"].samples, context.config.settings["sampler"]
    batch, ledger = context.batches(prompts, samples)[0], Ledger()
    handle = PolicyHandle(context.policy, sampler, ledger)
    with ledger.phase("fit"):
        start = time.perf_counter()
        rows = handle.decode(batch, samples, context.streams)
        tokens = sum(context.policy.prompt_length(prompt) for prompt in batch)
        while not rows.finished.all() and time.perf_counter() - start < SECONDS:
            tokens += int(rows.extend(_CHUNK).mask.sum())
        seconds = time.perf_counter() - start
        texts = rows.completions()[:_TEXTS]
        read = sum(context.policy.prompt_length(text.prompt) + text.length for text in texts)
        return Speed(
            rows=len(batch) * samples,
            token=seconds / max(1, tokens),
            reward=_timed(lambda: context.task.reward()(texts)) / len(texts),
            gold=_timed(lambda: context.task.score(texts)) / len(texts),
            read=_timed(lambda: handle.logprobs(texts)) / max(1, read) if "logprobs" in handle.capabilities else 0.0,
        )


def _timed(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start
