"""The last stage of a run: what its completions score by the task's gold and by the proxy, and how likely they are.

scores = score(context, "iro iteration 1", "iro", 1, completions, nll=True)      # {key_of(completion): {metric: value}}
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.core.digest import digest
from harness.core.generator import Generator
from harness.core.models.handle import PolicyHandle
from harness.core.reward import RewardHandle, require_some
from harness.core.task import PART
from harness.core.types import Completion
from harness.evidence.schema import BASE_NLL, OWN_NLL
from harness.running.artifacts import Made
from harness.running.base_nll import BaseNll, nll_of
from harness.running.gold import GoldHandle
from harness.running.stages import RAW, RunContext

SCORED_TOGETHER = 64  # completions of a score batch

Key = tuple[str, tuple[int, ...], str]  # of a completion: prompt id, tokens, text (all there is behind an API)


@dataclass(frozen=True)
class Own:
    """The policy whose plain samples the answers of a method are, and what names it: the key of its fit."""

    policy: PolicyHandle
    key: str


def own_of(method: Generator, key: str) -> Own | None:
    """The method's own policy, where log-probabilities under it say how far it is from the base.

    They are at temperature 1, so that samples at another one say nothing of it.
    """
    policy = method.own_policy
    if policy is None or "logprobs" not in policy.capabilities or policy.sampler.temperature != 1:
        return None
    return Own(policy, key)


def score(
    context: RunContext,
    label: str,
    name: str,
    iteration: int,
    completions: Sequence[Completion],
    nll: bool,
    own: Own | None = None,
) -> dict[Key, dict[str, float]]:
    """Metrics of completions in raw units: the task's, the proxy, where asked for NLL a token under base and `own`."""
    ordered = [c for _, c in sorted({key_of(c): c for c in completions}.items())]
    cuts = [ordered[i : i + SCORED_TOGETHER] for i in range(0, len(ordered), SCORED_TOGETHER)]
    base_nll = BaseNll(context.handle)
    gold = GoldHandle(context.task, context.ledger, base_nll)
    proxy = RewardHandle(context.task.reward(), context.ledger, RAW)

    def job(batch: list[Completion]) -> Made:
        metrics = {**gold(batch), "proxy_reward": proxy(batch)}
        if nll:
            metrics[BASE_NLL] = base_nll(batch)
        if own is not None:
            metrics[OWN_NLL] = nll_of(own.policy, batch)
        return {name: values.astype(float).tolist() for name, values in metrics.items()}, {}

    inputs = {"nll": nll, "completions": digest([context.completion_key(c) for c in ordered])}
    if own is not None:
        inputs["own"] = own.key
    _, result = context.run("score", label, inputs, cuts, job, "score")
    context.charge(name, iteration, result)
    out: dict[Key, dict[str, float]] = {}
    told = "logprobs" in context.policy.capabilities
    for metric in result.payloads[0] if result.payloads else ():
        if metric.startswith(PART) or (metric == BASE_NLL and not told):  # what not every answer has
            continue
        require_some(metric, np.concatenate([payload[metric] for payload in result.payloads]), ordered)
    for batch, metrics in zip(cuts, result.payloads, strict=True):
        for i, completion in enumerate(batch):
            out[key_of(completion)] = {metric: values[i] for metric, values in metrics.items()}
    return out


def key_of(completion: Completion) -> Key:
    return completion.prompt.id, completion.tokens, completion.text
