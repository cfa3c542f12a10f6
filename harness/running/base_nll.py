"""How likely a policy finds finished answers: nats a token, at temperature 1 and before top-k and top-p.

base_nll = BaseNll(context.handle)
base_nll(completions)               # (n,) and what was read once is not read again
"""

from collections.abc import Sequence

import numpy as np

from harness.core.models.handle import PolicyHandle
from harness.core.types import Completion

_Key = tuple[str, tuple[int, ...], str]  # prompt id, tokens, text


class BaseNll:
    """A scorer that remembers: what a task's gold has asked of some answers, the evaluation asks of all."""

    def __init__(self, policy: PolicyHandle) -> None:
        self._policy = policy
        self._known: dict[_Key, float] = {}

    def __call__(self, completions: Sequence[Completion]) -> np.ndarray:
        """(n,) nats a token; NaN where the policy gives none."""
        if missing := [c for c in completions if _key(c) not in self._known]:
            self._known |= dict(zip(map(_key, missing), nll_of(self._policy, missing).tolist(), strict=True))
        return np.array([self._known[_key(c)] for c in completions], dtype=float)


def nll_of(policy: PolicyHandle, completions: Sequence[Completion]) -> np.ndarray:
    """(n,) mean negative log-probability a token, in nats; NaN where the policy gives none.

    A server told them of its plain samples while it wrote these, so that nothing is read again.
    """
    if "logprobs" not in policy.capabilities:
        return np.array([_nll(c.logprobs) for c in completions])
    return np.array([_nll(logprobs) for logprobs in policy.logprobs(completions)])


def _nll(logprobs: Sequence[float] | np.ndarray | None) -> float:
    if logprobs is None:
        return float("nan")
    return -float(np.mean(logprobs)) if len(logprobs) else 0.0


def _key(completion: Completion) -> _Key:
    return completion.prompt.id, completion.tokens, completion.text
