"""How the policy draws a token: temperature, top-k, top-p, then one uniform number through the inverse CDF."""

from typing import Annotated

import torch
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import AsBefore
from harness.core.errors import UserError
from harness.core.models.device import widest

_GROUP = 64  # tokens looked at together in search of the top k


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Sampler:
    """The sampling rule. With the model it defines the base distribution, so every method shares it."""

    temperature: Annotated[float, Field(ge=0, description="0: greedy (harness)")] = 1.0
    top_k: Annotated[int, Field(ge=0, description="0: off; 50: the published IRO code, hidden in a function")] = 50
    top_p: Annotated[float, Field(gt=0, le=1, description="1: off; applied inside the top-k (harness)")] = 1.0
    max_new_tokens: Annotated[int, Field(ge=1, description="tokens written per completion (the task's profile)")] = 32
    stop: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        Field(description="texts that end an answer, which is what stands before (none, or the task's)"),
        AsBefore(()),
    ] = ()


def support(logits: torch.Tensor, sampler: Sampler) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens that may be drawn and their probabilities: (tokens (B, K) int64, probabilities (B, K) float32).

    Each row sums to one; tokens outside the nucleus have probability 0. Tokens are in descending order of
    probability where top-k or top-p is on, in vocabulary order (K = V) where both are off. Temperature 0 keeps the
    argmax alone. The vocabulary is never sorted: without top-k, the nucleus is looked for among ever more top tokens.
    Where logits are NaN, or the largest is infinite, probabilities are NaN, see `unfit`.
    """
    logits = logits.float()
    if sampler.temperature == 0:
        best, tokens = logits.max(-1, keepdim=True)  # NaN counts as the largest
        return tokens, 1 + (best - best)
    vocabulary = logits.shape[-1]
    if sampler.top_k:
        top, tokens = _topk(logits, min(sampler.top_k, vocabulary))
        return tokens, _nucleus((top / sampler.temperature).softmax(-1), sampler.top_p)
    logits = logits / sampler.temperature
    if sampler.top_p == 1:
        tokens = torch.arange(vocabulary, device=logits.device).expand_as(logits)
        return tokens, logits.softmax(-1)
    total = logits.logsumexp(-1, keepdim=True)
    size = min(256, vocabulary)
    while True:
        top, tokens = logits.topk(size, dim=-1)
        probabilities = (top - total).exp()
        if size == vocabulary or bool((probabilities.sum(-1) >= sampler.top_p).all()):
            return tokens, _nucleus(probabilities, sampler.top_p)
        size = min(4 * size, vocabulary)


def _topk(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """torch.topk in half its time on a CPU: only the k groups of tokens with the largest maxima can hold it."""
    groups = logits.shape[1] // _GROUP
    if groups < 2 * k:
        return logits.topk(k)
    grouped = logits[:, : groups * _GROUP].view(len(logits), groups, _GROUP)
    best = grouped.amax(-1).topk(k).indices  # (B, k)
    candidates = grouped.gather(1, best[..., None].expand(-1, -1, _GROUP)).flatten(1)
    rest = logits[:, groups * _GROUP :]
    top, where = torch.cat([candidates, rest], 1).topk(k)
    inside = best.gather(1, (where // _GROUP).clamp(max=k - 1)) * _GROUP + where % _GROUP
    return top, torch.where(where < k * _GROUP, inside, where + (groups - k) * _GROUP)


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest leading tokens whose mass reaches `top_p` (descending input (B, K)) and renormalise."""
    if top_p < 1:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities * (before < top_p)
    return probabilities / probabilities.sum(-1, keepdim=True)


def draw(tokens: torch.Tensor, probabilities: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """(B,) tokens by inverse CDF: the first whose cumulative probability passes the row's uniform number in [0, 1)."""
    wide = widest(probabilities.device)
    cumulative = probabilities.to(wide).cumsum(-1)  # (B, K)
    target = uniforms.to(wide)[:, None] * cumulative[:, -1:]
    index = (cumulative <= target).sum(-1, keepdim=True)
    # a zero-probability tail shares the last cumulative value: never step into it
    last = (probabilities > 0).int().cumsum(-1).argmax(-1, keepdim=True)
    return tokens.gather(1, torch.minimum(index, last))[:, 0]


def unfit(probabilities: torch.Tensor) -> torch.Tensor:
    """(B,) bool: rows whose logits gave no distribution; NaN in one probability is NaN in all."""
    return probabilities[:, 0].isnan()


def require_finite(rows: torch.Tensor, model: str) -> None:
    """Raise UserError where any of the rows (B,) is unfit: what would be drawn there are no samples of the model."""
    if count := int(rows.sum()):
        raise UserError(
            f"model {model!r} gives no finite logits for {count} of {len(rows)} rows: nothing can be sampled. Half "
            "precision may overflow, try --dtype float32; else check the model's weights"
        )


def sample(logits: torch.Tensor, uniforms: torch.Tensor, sampler: Sampler) -> torch.Tensor:
    """(B,) next tokens for logits (B, V) and one uniform number a row. Raises UserError where logits are not finite."""
    tokens, probabilities = support(logits, sampler)
    require_finite(unfit(probabilities), "given here")
    return draw(tokens, probabilities, uniforms)
