"""CD-Q: a value function bootstrapped from the values of next prefixes, instead of regressed on final rewards.

V(x, y_<=t) is fitted to the mean of V'(x, y_<=t, z) over next tokens z drawn from the policy, V' a slowly following
copy of V, and to the reward where a text ends (arXiv 2310.17022, section 3). The states of the drawn tokens are
computed once and kept for all sweeps. V is the linear part of a head, on layer and pooling of the regression on final
rewards; each sweep is a ridge regression, since gradient steps on bootstrapped targets diverged on rare prefixes.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from harness.core.models.device import widest
from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import TokenRows
from harness.core.models.sampling import draw
from harness.core.reward import RewardHandle
from harness.core.streams import Streams
from harness.core.types import Candidate, FitReport
from harness.core.values.calibration import quality
from harness.core.values.fitting import (
    PENALTIES,
    Fitted,
    Prefixes,
    ValueSettings,
    held_out_error,
    prompts_of,
    split,
    untrained,
)
from harness.core.values.hidden import Head, HiddenReader, HiddenValue

_ROWS = 64  # rollouts read together


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class BootstrapSettings:
    draws: Annotated[int, Field(ge=1, description="next tokens drawn for each prefix (harness)")] = 4
    prompts: Annotated[int, Field(ge=5, description="most fit prompts used (harness)")] = 128
    sweeps: Annotated[int, Field(ge=1, description="regressions on the values of next prefixes (harness)")] = 64
    follow: Annotated[float, Field(gt=0, le=1, description="share of V that its copy takes up a sweep (harness)")] = 0.5


@dataclass(frozen=True)
class _Steps:
    """n prefixes, each with m prefixes one token longer."""

    prefix: torch.Tensor  # (n, F)
    longer: torch.Tensor  # (n, m, F)
    ends: torch.Tensor  # (n, m) reward of the longer prefix where it is a finished text, else NaN

    @classmethod
    def joined(cls, parts: Sequence["_Steps"]) -> "_Steps":
        return cls(*(torch.cat([getattr(p, name) for p in parts]) for name in ("prefix", "longer", "ends")))


def fit_bootstrapped(
    rollouts: Sequence[Candidate],
    regressed: Fitted,
    settings: ValueSettings,
    how: BootstrapSettings,
    policy: PolicyHandle,
    reward: RewardHandle,
    streams: Streams,
    fold: int = 0,
) -> Fitted:
    """Fit V by CD-Q on the prefixes of finished completions, with layer and pooling of `regressed`.

    Costs a second reading of the rollouts, `draws` candidates a prefix, and a reward call for each that ends a text.
    """
    train, held = split(rollouts, settings.held_out, fold)
    grouped: dict[str, list[Candidate]] = {}
    for candidate in train:
        grouped.setdefault(candidate.completion.prompt.id, []).append(candidate)
    each = max(map(len, grouped.values()))  # prompts with a reward missing are left out
    by_prompt = [group for _, group in sorted(grouped.items()) if len(group) == each][: how.prompts]
    size = max(1, _ROWS // each)
    batches = [by_prompt[i : i + size] for i in range(0, len(by_prompt), size)]
    value = regressed.value
    steps = _Steps.joined([_read(batch, value, how.draws, policy, reward, streams) for batch in batches])
    check = Prefixes.of(held, value.layer, value.pooling, settings.stride)
    heads = _regress(steps, settings, how)
    fitted = HiddenValue(min(heads, key=lambda head: held_out_error(head, check)), value.layer, value.pooling)
    choices = {
        **regressed.report.choices,
        "epoch": 0,
        "train_prompts": len(by_prompt),
        "rollouts": len(by_prompt) * each,
    }
    return Fitted(fitted, FitReport(choices, quality(fitted, held), prompts_of(held)))


def _read(
    groups: Sequence[Sequence[Candidate]],
    value: HiddenValue,
    draws: int,
    policy: PolicyHandle,
    reward: RewardHandle,
    streams: Streams,
) -> _Steps:
    """Go through rollouts token by token, looking at `draws` next tokens of the policy everywhere."""
    flat = [c.completion for group in groups for c in group]
    prompts, each = [group[0].completion.prompt for group in groups], len(groups[0])
    limit = policy.sampler.max_new_tokens
    rows = policy.decode_tokens(prompts, each, streams, value.layers)
    reader = value.start(rows)
    # draws have streams of their own: those of sampling wrote the rollouts that are read here
    wide = [streams.uniforms(f"bootstrap {j}", p.id, each, limit) for p in prompts for j in range(draws)]
    uniforms = torch.from_numpy(np.stack(wide)).view(len(prompts), draws, each, limit).transpose(1, 2).flatten(0, 1)
    uniforms = uniforms.to(rows.owner.device, widest(rows.owner.device))  # (R, draws, limit)
    parts = []
    for t in range(limit):
        choices = rows.choices()
        if not len(choices.rows):
            break
        at = uniforms[choices.rows, :, t]  # (L, m)
        tokens = torch.stack([draw(choices.tokens, choices.probabilities, at[:, j]) for j in range(draws)], 1)
        longer = reader.next_features(choices.rows, rows.peek(tokens)).view(*tokens.shape, -1)  # (L, m, F)
        ends = _ends(rows, choices.rows, tokens, reward)
        parts.append(_Steps(reader.features()[choices.rows], longer, ends))
        # the row goes on with the token that the rollout has, whatever was drawn beside it
        written = [flat[row].tokens[t] for row in choices.rows.tolist()]
        reader.advance(rows.write(torch.tensor(written, device=tokens.device)))
    parts.append(_finished(reader, groups, draws))
    steps = _Steps.joined(parts)
    return _Steps(steps.prefix.cpu(), steps.longer.cpu(), steps.ends.cpu())  # heads are fitted on the CPU


def _ends(rows: TokenRows, which: torch.Tensor, tokens: torch.Tensor, reward: RewardHandle) -> torch.Tensor:
    """(L, m) rewards of the texts that a drawn token finishes; NaN where it does not, or where none could be had."""
    out = torch.full(tokens.shape, float("nan"), device=tokens.device)
    places, texts = [], []
    for i, row in enumerate(which.tolist()):
        for j, token in enumerate(tokens[i].tolist()):
            longer = rows.continued(row, token)
            if longer.stop is not None:
                places.append((i, j))
                texts.append(longer)
    if texts:
        row, column = torch.tensor(places, device=out.device).T
        out[row, column] = torch.from_numpy(reward(texts)).to(out.device)
    return out


def _finished(reader: HiddenReader, groups: Sequence[Sequence[Candidate]], draws: int) -> _Steps:
    """The finished rollouts themselves, worth their reward."""
    texts = reader.features()  # (R, F)
    rewards = torch.tensor([c.reward for group in groups for c in group], device=texts.device)
    return _Steps(texts, texts[:, None].expand(-1, draws, -1), rewards[:, None].expand(-1, draws))


@torch.no_grad()
def _regress(steps: _Steps, settings: ValueSettings, how: BootstrapSettings) -> list[Head]:
    """A head for each ridge penalty, after sweeps of regression on targets by its own slowly following copy.

    The targets are linear in its weights, so a sweep needs the moments of the prefixes only: with x the prefixes less
    their mean and g the mean of the next ones that go on, target = g w + (share going on) b + (mean reward of ends).
    """
    plain = untrained(steps.prefix, replace(settings, hidden=1))
    x = ((steps.prefix - plain.mean) / plain.scale).double()
    offset = x.mean(0)
    x -= offset
    on = steps.ends.isnan()  # (n, m) the longer prefixes that go on
    g = torch.zeros_like(steps.prefix)
    for j in range(on.shape[1]):
        g = g + on[:, j, None] * ((steps.longer[:, j] - plain.mean) / plain.scale)
    g = g.double() / on.shape[1]  # (n, F) mean over the m draws, those that end counting as zero
    share, ends = on.double().mean(1), steps.ends.nan_to_num().double().mean(1)
    within, across = x.T @ x / len(x), x.T @ g / len(x)
    along_share, along_ends = x.T @ share / len(x), x.T @ ends / len(x)
    heads = []
    for penalty in PENALTIES:
        # every sweep solves the same ridge system with another right-hand side, so it is inverted once
        inverse = torch.linalg.inv(within + penalty * torch.eye(len(within), dtype=x.dtype, device=x.device))
        weight, bias = torch.zeros_like(offset), x.new_zeros(())
        for _ in range(how.sweeps):
            # regress on targets made of the copy, then let the copy follow by a share of the way
            new = inverse @ (across @ weight + along_share * bias + along_ends)
            centre = g.mean(0) @ weight + share.mean() * bias + ends.mean()
            bias = torch.lerp(bias, centre - offset @ new, how.follow)
            weight = torch.lerp(weight, new, how.follow)
        head = deepcopy(plain)
        head.linear.weight.copy_(weight[None])
        head.linear.bias.copy_(bias)
        heads.append(head)
    return heads
