"""A value function on the frozen policy's own hidden states: a small head on the pooled states of one layer.

In chunk search it costs no forward pass: the search's own steps hand out the states. `values/fitting.py` fits it.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from harness.core.models.rows import Chunk, Rows
from harness.core.types import Candidate, PrefixStates
from harness.core.values.value import Predicted

Pooling = Literal["last", "mean_all", "mean_response"]


def features(
    pooling: Pooling, prompt_mean: torch.Tensor, prompt_tokens: torch.Tensor, total: torch.Tensor,
    last: torch.Tensor, length: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """(n, F) inputs of a head for prefixes given by sums over their tokens.

    prompt_mean (n, H), prompt_tokens (n,), total (n, H) the sum of the response's states, last (n, H) the state of
    the last token (of the prompt where the response is empty), length (n,) response tokens. The last feature is
    log(1 + length).
    """
    position = length.float().log1p()[:, None]
    match pooling:
        case "last":
            return torch.cat([last, position], 1)
        case "mean_all":
            count = (prompt_tokens + length)[:, None]
            return torch.cat([(prompt_mean * prompt_tokens[:, None] + total) / count, position], 1)
        case "mean_response":
            return torch.cat([total / length.clamp(min=1)[:, None], prompt_mean, position], 1)


class Head(torch.nn.Module):
    """Standardised inputs -> linear part (ridge) + a small network that starts at zero: (n, F) -> (n,)."""

    mean: torch.Tensor  # (F,)
    scale: torch.Tensor  # (F,)

    def __init__(self, inputs: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.linear = torch.nn.Linear(inputs, 1)
        self.network = torch.nn.Sequential(
            torch.nn.Dropout(dropout),
            torch.nn.Linear(inputs, hidden),
            torch.nn.GELU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(hidden, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - self.mean) / self.scale
        out: torch.Tensor = self.linear(x) + self.network(x)
        return out[:, 0]


def prefix_features(states: PrefixStates, layer: int, pooling: Pooling, stride: int) -> tuple[torch.Tensor, np.ndarray]:
    """Features (n, F) of the prefixes 0, stride, 2 stride, ..., t of one completion, and those lengths (n,)."""
    column = states.layers.index(layer)
    along = torch.from_numpy(states.states[:, column].astype(np.float32))  # (t, H)
    mean = torch.from_numpy(states.prompt_mean[column].astype(np.float32))
    last = torch.from_numpy(states.prompt_last[column].astype(np.float32))
    lengths = np.unique(np.append(np.arange(0, len(along), stride), len(along)))
    totals = torch.cat([torch.zeros_like(along[:1]), along.cumsum(0)])[lengths]
    lasts = torch.cat([last[None], along])[lengths]
    n = len(lengths)
    tokens = torch.full((n,), states.prompt_tokens)
    return features(pooling, mean.expand(n, -1), tokens, totals, lasts, torch.from_numpy(lengths)), lengths


class HiddenValue:
    """A head on the pooled states of one layer."""

    kind: ClassVar[str] = "hidden"

    def __init__(self, head: Head, layer: int, pooling: Pooling) -> None:
        self.head = head.eval().requires_grad_(False)
        self.layer, self.pooling = layer, pooling
        self.layers: tuple[int, ...] = (layer,)

    def start(self, rows: Rows) -> "HiddenReader":
        return HiddenReader(self, rows)

    @torch.no_grad()
    def predict(self, rollouts: Sequence[Candidate], every: int = 1) -> Predicted:
        """Of every prefix. Raises ValueError where a completion carries no states of the layer."""
        parts = [prefix_features(states_of(c), self.layer, self.pooling, 1) for c in rollouts]
        x = torch.cat([x for x, _ in parts])
        counts = [len(lengths) for _, lengths in parts]
        value = self.head(x.to(self.head.mean.device)).cpu().numpy()
        return Predicted(
            value, np.concatenate([lengths for _, lengths in parts]), np.repeat(np.arange(len(parts)), counts)
        )

    def flops(self) -> float:
        return 2.0 * sum(p.numel() for p in self.head.parameters())  # two a parameter

    def flops_of_token(self) -> float:
        return 0.0

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.head.state_dict(), folder / "head.safetensors")
        (folder / "value.json").write_text(
            json.dumps({"kind": self.kind, "layer": self.layer, "pooling": self.pooling}), encoding="utf-8"
        )

    @classmethod
    def load(cls, folder: Path) -> "HiddenValue":
        about = json.loads((folder / "value.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "head.safetensors")
        head = Head(weights["mean"].shape[0], weights["network.1.weight"].shape[0])
        head.load_state_dict(weights)
        return cls(head, about["layer"], about["pooling"])


def states_of(candidate: Candidate) -> PrefixStates:
    """The states that a candidate carries. Raises ValueError where none were recorded."""
    if candidate.states is None:
        raise ValueError(f"a completion of prompt {candidate.completion.prompt.id!r} carries no states")
    return candidate.states


class HiddenReader:
    """Running sums of one layer's states along every row."""

    def __init__(self, value: HiddenValue, rows: Rows) -> None:
        states, mask = rows.prompt_chunk.states[value.layer], rows.prompt_chunk.mask
        self.value = value
        # a head stays where it was fitted: what moves to the device of the rows is a copy
        at_home = value.head.mean.device == states.device
        self.head = value.head if at_home else deepcopy(value.head).to(states.device)
        self.tokens_read = np.zeros(len(rows.prompts), dtype=np.int64)
        self.prompt_tokens = mask.sum(1)  # (P,) here, one of each prompt; from `reorder` on (R,)
        self.prompt_mean = states.sum(1) / self.prompt_tokens[:, None]
        self.last = _last(states, mask)
        self.total = torch.zeros_like(self.last)
        self.length = torch.zeros_like(self.prompt_tokens)
        self.reorder(rows.owner)

    @torch.inference_mode()
    def advance(self, chunk: Chunk) -> torch.Tensor:
        states = chunk.states[self.value.layer]  # zero where the mask is False
        self.total = self.total + states.sum(1)
        self.length = self.length + chunk.mask.sum(1)
        self.last = torch.where(chunk.mask.any(1)[:, None], _last(states, chunk.mask), self.last)
        values: torch.Tensor = self.head(self.features())
        return values

    def features(self) -> torch.Tensor:
        """(rows, F) inputs of the head for the prefixes as they stand."""
        return features(self.value.pooling, self.prompt_mean, self.prompt_tokens, self.total, self.last, self.length)

    @torch.inference_mode()
    def peek(self, rows: torch.Tensor, states: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """(L, K) values of rows (L,) with each of K candidates behind them, states (L, K, H) by layer."""
        values: torch.Tensor = self.head(self.next_features(rows, states))
        return values.view(len(rows), -1)

    def next_features(self, rows: torch.Tensor, states: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """(L * K, F) inputs of the head for rows (L,) with each of their candidates, states (L, K, H)."""
        last = states[self.value.layer]
        count = last.shape[1]
        mean, tokens, total, length = (
            x[rows].repeat_interleave(count, 0) for x in (self.prompt_mean, self.prompt_tokens, self.total, self.length)
        )
        last = last.flatten(0, 1)
        return features(self.value.pooling, mean, tokens, total + last, last, length + 1)

    def reorder(self, index: torch.Tensor) -> None:
        for name in ("prompt_tokens", "prompt_mean", "last", "total", "length"):
            setattr(self, name, getattr(self, name)[index])


def _last(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(rows, H) state of the last real token of each row: (rows, n, H), (rows, n)."""
    order = torch.arange(1, mask.shape[1] + 1, device=mask.device) * mask
    return states[torch.arange(len(states), device=mask.device), order.argmax(1)]
