"""Who picks the answer: finished rows become finalists, and each final pick names one of them, with what that cost.

value: the largest S. reward: the best by the proxy, which costs a call for each distinct text. first: the first place.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Rows
from harness.core.reward import RewardHandle, argmax
from harness.core.streams import Streams
from harness.core.types import Answer, Candidate, Prompt, Work

Pick = Literal["value", "reward", "first"]


def sample_rows(
    policy: PolicyHandle,
    prompts: Sequence[Prompt],
    n: int,
    streams: Streams,
    pick: Pick,
    reward: RewardHandle | None = None,
    record: tuple[int, ...] = (),
) -> list[Answer]:
    """n plain samples a prompt: row j draws from stream j, so n = 1 is the first row of any larger n."""
    rows = policy.decode(prompts, n, streams, record, record=bool(record))
    rows.extend(policy.sampler.max_new_tokens)
    return finalists_of(rows, (pick,), reward)


def finalists_of(
    rows: Rows,
    picks: Sequence[Pick],
    reward: RewardHandle | None,
    scores: np.ndarray | None = None,
    value_calls: np.ndarray | None = None,
    value_tokens: np.ndarray | None = None,
    value_steps: np.ndarray | None = None,
) -> list[Answer]:
    """One answer per prompt from finished rows; scores (rows,) is S, value_* (prompts,) what reading it took.

    Given a reward, every distinct text is scored once, whoever picks.
    """
    completions, owner = rows.completions(), rows.owner.cpu().numpy()
    scores = np.zeros(len(completions)) if scores is None else scores
    nothing = np.zeros(len(rows.prompts), dtype=int)
    value_calls = nothing if value_calls is None else value_calls
    value_tokens = nothing if value_tokens is None else value_tokens
    steps = rows.steps() + (nothing if value_steps is None else value_steps)  # (P,)
    keys = [(int(o), key) for o, key in zip(owner, rows.keys(), strict=True)]
    distinct = dict(zip(keys, completions, strict=True))
    texts = Counter(o for o, _ in distinct)
    rewards = np.full(len(completions), np.nan, dtype=np.float32)
    if reward is not None:
        rewarded = dict(zip(distinct, reward(list(distinct.values())), strict=True))
        rewards = np.array([rewarded[key] for key in keys])
    answers, policy_tokens = [], rows.policy_tokens()
    for p, prompt in enumerate(rows.prompts):
        its_rows = np.flatnonzero(owner == p)
        chosen = {"value": argmax(scores[its_rows]), "reward": argmax(rewards[its_rows]), "first": 0}
        free = Work(int(policy_tokens[p]), int(value_tokens[p]), int(value_calls[p]), steps=int(steps[p]))
        asked = free.with_rewards(texts[p])
        answers.append(
            Answer(
                prompt,
                tuple(
                    Candidate(completions[i], float(scores[i]), float(rewards[i]), rows.states_of(int(i)))
                    for i in its_rows
                ),
                {pick: chosen[pick] for pick in picks},
                {pick: asked if pick == "reward" else free for pick in picks},
            )
        )
    return answers
