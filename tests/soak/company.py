"""How far log-probabilities of the real model move with a text's company: written alone, and in one batch with others.

company_of(load_policy(...), 50)            # Company(0.00002, 50, 0)
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Policy
from harness.core.models.sampling import Sampler
from harness.core.streams import Streams
from harness.core.types import Prompt

BOUND = 1e-4  # nats a token


@dataclass(frozen=True)
class Company:
    largest_nats: float  # of a token, as long as both texts are the same
    texts: int
    others: int  # that are another text in company

    def data(self) -> dict[str, Any]:
        return asdict(self)


def company_of(policy: Policy, count: int, tokens: int = 12) -> Company:
    """Write `count` texts of as many tokens by the same streams, each alone, and all in one batch."""
    prompts = [Prompt(f"p{i}", text=f"Question {i}, {'word ' * (i % 20)}about topic {i % 2}:") for i in range(count)]
    together = _written(policy, prompts, tokens)
    largest, others = 0.0, 0
    for i, prompt in enumerate(prompts):
        (alone, alone_logprobs), (said, logprobs) = _written(policy, [prompt], tokens)[0], together[i]
        length = min(len(alone), len(said))
        same = int((torch.cat([alone[:length] == said[:length], torch.tensor([False])])).int().argmin())
        others += not torch.equal(alone, said)
        apart = (alone_logprobs[:same] - logprobs[:same]).abs()
        largest = max(largest, float(apart.max()) if same else 0.0)
    return Company(largest, count, others)


def _written(policy: Policy, prompts: list[Prompt], tokens: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Tokens and log-probabilities of a row a prompt."""
    ledger = Ledger()
    with ledger.phase("generate"):
        rows = PolicyHandle(policy, Sampler(max_new_tokens=tokens), ledger).decode(prompts, 1, Streams(0))
        rows.keep_logprobs()
        chunk = rows.extend(tokens)
    assert chunk.logprobs is not None
    return [(chunk.tokens[i][mask], chunk.logprobs[i][mask]) for i, mask in enumerate(chunk.mask)]
