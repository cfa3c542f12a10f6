"""Fits a value function on finished, rewarded completions, and says how good it is on prompts it has not seen.

fitted = fit_value(rollouts, ValueSettings(), streams.generator("fit value 1"))
fitted.value, fitted.report.choices, fitted.report.rows
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from harness.core.as_before import AsBefore
from harness.core.errors import UserError
from harness.core.statistics.stats import correlation, r_squared
from harness.core.types import Candidate, FitReport
from harness.core.values.calibration import quality
from harness.core.values.hidden import Head, HiddenValue, Pooling, prefix_features, states_of
from harness.core.values.kind_settings import Kind, LmSettings, TextSettings
from harness.core.values.value import PrefixValue

_CONSTANT = 1e-6  # standard deviation of a feature, over its size, that is rounding
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # penalties tried, in units of one standardised input's variance


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ValueSettings:
    """What values read and how they are fitted, on fit prompts; others of them are held out to choose by.

    Layer and pooling are those that rank prefixes of one prompt best, the ridge penalty and the epoch those with the
    least error.
    """

    poolings: Annotated[tuple[Pooling, ...], Field(min_length=1, description="poolings tried (docs/methods.md)")] = (
        "last",
        "mean_all",
        "mean_response",
    )
    hidden: Annotated[int, Field(ge=1, description="width of the head's hidden layer (harness)")] = 128
    epochs: Annotated[int, Field(ge=0, description="most epochs; 0 keeps the ridge solution (harness)")] = 20
    learning_rate: Annotated[float, Field(gt=0, description="AdamW (harness)")] = 3e-4
    weight_decay: Annotated[float, Field(ge=0, description="AdamW (harness)")] = 0.1
    dropout: Annotated[float, Field(ge=0, lt=1, description="on the head's inputs and hidden layer (harness)")] = 0.2
    batch: Annotated[int, Field(ge=1, description="prefixes per step (harness)")] = 512
    weight: Annotated[
        Literal["token", "sequence"], Field(description="what counts the same: every prefix, or every text (harness)")
    ] = "token"
    stride: Annotated[int, Field(ge=1, description="fit on every stride-th prefix and the last (harness)")] = 2
    held_out: Annotated[float, Field(gt=0, le=0.5, description="share of fit prompts held out (harness)")] = 0.2
    ensemble: Annotated[
        int, Field(ge=1, le=16, description="heads averaged, on other shares of the prompts (harness)"), AsBefore(1)
    ] = 1
    kind: Annotated[
        Kind,
        Field(description="what is read: states of the policy, the text alone, or a small model's states (harness)"),
        AsBefore("hidden"),
    ] = "hidden"
    text: Annotated[
        TextSettings, Field(description="kind=text: what is read of it"), AsBefore(asdict(TextSettings()))
    ] = TextSettings()
    lm: Annotated[LmSettings, Field(description="kind=lm: which model"), AsBefore(asdict(LmSettings()))] = LmSettings()


@dataclass(frozen=True)
class FittedValue:
    """A value function of any kind, and what its fit found."""

    value: PrefixValue
    report: FitReport


@dataclass(frozen=True)
class Fitted:
    value: HiddenValue
    report: FitReport


def fit_value(
    rollouts: Sequence[Candidate],
    settings: ValueSettings,
    rng: np.random.Generator,
    start: HiddenValue | None = None,
    fold: int = 0,
) -> Fitted:
    """Fit V on finished completions: minimise the weighted mean over prefixes of (V(x, y_<=t) - r(x, y))^2.

    Rollouts carry states and standardised rewards; those with a NaN reward are left out. With `start`, a value
    function to go on from, V keeps its layer and pooling and moves away from it as far as held-out prompts approve.
    `fold` says which share of the prompts is held out.
    The report has the choices made and the quality on held-out prompts by position. Raises UserError for fewer than
    five prompts.
    """
    train, held = split(rollouts, settings.held_out, fold)
    usable = [*train, *held]
    tried: dict[tuple[int, Pooling], _Tried] = {}
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**62)))
        if start is None:
            coarse = max(settings.stride, max(len(states_of(c).states) for c in usable) // 8)
            for layer in states_of(usable[0]).layers:
                for pooling in settings.poolings:
                    fit, check = (Prefixes.of(part, layer, pooling, coarse, settings.weight) for part in (train, held))
                    tried[layer, pooling] = _ridge(untrained(fit.x, settings), fit, check)
            layer, pooling = max(tried, key=lambda key: tried[key].merit)
        else:
            layer, pooling = start.layer, start.pooling
        fit, check = (Prefixes.of(part, layer, pooling, settings.stride, settings.weight) for part in (train, held))
        if start is not None:
            tried[layer, pooling] = _ridge(_copy_of(start.head, settings), fit, check)
        head, epoch = _train(tried[layer, pooling].head, fit, check, settings)
    value = HiddenValue(head, layer, pooling)
    choices = {
        "layer": layer,
        "pooling": pooling,
        "epoch": epoch,
        "train_prompts": len(prompts_of(train)),
        "held_out_prompts": len(prompts_of(held)),
        "rollouts": len(usable),
        "left_out_nan": len(rollouts) - len(usable),
        "tried": [
            {"layer": key[0], "pooling": key[1], "r2": t.r2, "within_prompt_correlation": t.within}
            for key, t in tried.items()
        ],
    }
    return Fitted(value, FitReport(choices, quality(value, held), prompts_of(held)))


@dataclass(frozen=True)
class _Tried:
    """A head after ridge regression, and how good it is on held-out prefixes."""

    head: Head
    r2: float
    within: float  # correlation among prefixes of the same prompt and length

    @property
    def merit(self) -> float:
        """What layer and pooling are chosen by: ranking within a prompt, or R^2 where prompts have one rollout each."""
        return self.r2 if np.isnan(self.within) else self.within


def split(rollouts: Sequence[Candidate], share: float, fold: int = 0) -> tuple[list[Candidate], list[Candidate]]:
    """What is fitted on and what is held out, every k-th of the sorted prompt ids from `fold` on, modulo k.

    Neither has NaN rewards.
    """
    rollouts = [c for c in rollouts if not np.isnan(c.reward)]
    ids = sorted({c.completion.prompt.id for c in rollouts})
    if len(ids) < 5:
        raise UserError(
            f"a value function needs rewarded rollouts of at least 5 prompts, not {len(ids)}; raise fit.prompts"
        )
    every = max(2, round(1 / share))
    held = set(ids[fold % every :: every])
    return (
        [c for c in rollouts if c.completion.prompt.id not in held],
        [c for c in rollouts if c.completion.prompt.id in held],
    )


def prompts_of(rollouts: Sequence[Candidate]) -> tuple[str, ...]:
    """Ids of the prompts that completions answer, each once, sorted."""
    return tuple(sorted({c.completion.prompt.id for c in rollouts}))


@dataclass(frozen=True)
class Prefixes:
    """Prefixes of rollouts as a regression: x (n, F), y (n,), with weight, position, rollout and prompt of each."""

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor  # (n,) of mean 1
    position: np.ndarray
    rollout: np.ndarray
    prompt: np.ndarray

    @classmethod
    def of(
        cls, rollouts: Sequence[Candidate], layer: int, pooling: Pooling, stride: int, weight: str = "token"
    ) -> "Prefixes":
        parts = [prefix_features(states_of(c), layer, pooling, stride) for c in rollouts]
        counts = np.array([len(x) for x, _ in parts])
        share = np.ones(len(counts)) if weight == "token" else counts.mean() / counts  # of each prefix of a rollout
        return cls(
            torch.cat([x for x, _ in parts]),
            torch.from_numpy(np.repeat([c.reward for c in rollouts], counts).astype(np.float32)),
            torch.from_numpy(np.repeat(share, counts).astype(np.float32)),
            np.concatenate([t for _, t in parts]),
            np.repeat(np.arange(len(rollouts)), counts),
            np.repeat([c.completion.prompt.id for c in rollouts], counts),
        )


def untrained(x: torch.Tensor, settings: ValueSettings) -> Head:
    """A head for standardised inputs that says 0: its linear part and the network's last layer are zero."""
    head = Head(x.shape[1], settings.hidden, settings.dropout)
    head.mean, head.scale = x.mean(0), x.std(0)
    # A feature that is constant here says nothing, and a prefix where it is not must not be thrown far: it is standard
    # 0 in the fit, and no weight reads it.
    constant = head.scale <= _CONSTANT * (1 + head.mean.abs())
    head.scale = head.scale.masked_fill(constant, 1.0)
    for parameter in [*head.linear.parameters(), *head.network[-1].parameters()]:
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        head.network[1].get_parameter("weight")[:, constant] = 0.0
    return head


def _copy_of(start: Head, settings: ValueSettings) -> Head:
    weights = start.state_dict()
    head = Head(len(start.mean), len(weights["network.1.weight"]), settings.dropout)
    head.load_state_dict(weights)
    return head


@torch.no_grad()
def _ridge(head: Head, fit: Prefixes, check: Prefixes) -> "_Tried":
    """The head with its linear part corrected by the best of a few ridge regressions, by R^2 on held-out prefixes."""
    head.eval()
    x, y, weight = ((fit.x - head.mean) / head.scale).double(), (fit.y - head(fit.x)).double(), fit.weight.double()
    offset, centre = weight @ x / len(x), (weight * y).mean()
    root = weight.sqrt()
    x = x.sub_(offset).mul_(root[:, None])
    gram, target = x.T @ x / len(x), x.T @ (root * (y - centre)) / len(x)
    held = (check.x - head.mean) / head.scale - offset.float()
    before = head(check.x)
    if not check.y.std() > 0:
        raise UserError(
            f"rollouts of all {len(set(check.prompt))} held-out fit prompts have the reward {float(check.y[0]):g}: no "
            "value function can be chosen. Raise fit.prompts or fit.samples"
        )
    best: tuple[float, torch.Tensor] = (-np.inf, torch.zeros_like(target).float())
    for penalty in PENALTIES:
        slope = torch.linalg.solve(gram + penalty * torch.eye(len(gram)), target).float()
        predicted = before + held @ slope + centre.float()
        r2 = r_squared(predicted.numpy(), check.y.numpy(), check.weight.numpy())
        best = max(best, (r2, slope), key=lambda pair: pair[0])
    if not np.isfinite(best[0]):
        raise UserError(
            "the states of the rollouts, or their rewards, are not finite numbers: no value function can be fitted. "
            "Check the model's outputs (a half-precision --dtype may overflow; try --dtype float32)"
        )
    head.linear.weight.add_(best[1])
    head.linear.bias.add_((centre - offset @ best[1].double()).float())
    # rivals of a search share prompt and length: only differences among them matter to it
    rivals = np.unique(np.stack([check.prompt, check.position.astype(str)]), axis=1, return_inverse=True)[1]
    within = correlation(head(check.x).numpy(), check.y.numpy(), rivals.ravel())
    return _Tried(head, best[0], within)


def _train(head: Head, fit: Prefixes, check: Prefixes, settings: ValueSettings) -> tuple[Head, int]:
    """Train the network too; keep the epoch with the least held-out error (0: as it came)."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    best = (held_out_error(head, check), 0, _copy(head.state_dict()))
    for epoch in range(1, settings.epochs + 1):
        head.train()
        for rows in torch.randperm(len(fit.y)).split(settings.batch):
            loss = (fit.weight[rows] * (head(fit.x[rows]) - fit.y[rows]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        error = held_out_error(head, check)
        if error < best[0]:
            best = (error, epoch, _copy(head.state_dict()))
    head.load_state_dict(best[2])
    return head, best[1]


@torch.no_grad()
def held_out_error(head: Head, prefixes: Prefixes) -> float:
    head.eval()
    return float((prefixes.weight * (head(prefixes.x) - prefixes.y) ** 2).mean())


def _copy(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}
