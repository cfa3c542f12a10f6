"""Fits a value function that is a model of its own (`lm.py`) on finished, rewarded completions.

The head is fitted first, on the states of the frozen model along each text, as a head on the policy's own states is
(`fitting.py`), pooling and penalty chosen alike. With `train=lora` or `full` the model's weights and the head are then
trained on, by the same squared error over prefixes; of all epochs that with the least held-out error stands, the frozen
model among them.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from harness.core.models.handle import PolicyHandle
from harness.core.models.value_model import ValueModel, padded
from harness.core.types import Candidate, Completion, FitReport
from harness.core.values.calibration import quality
from harness.core.values.fitting import FittedValue, ValueSettings, fit_value, prompts_of, split
from harness.core.values.hidden import Head, Pooling, features
from harness.core.values.kind_settings import LmSettings
from harness.core.values.lm import UNWHOLE, Following, LmValue
from harness.core.values.lm_weights import Adapter, AllWeights, Weights, with_lora


def fit_lm(
    rollouts: Sequence[Candidate],
    settings: ValueSettings,
    policy: PolicyHandle,
    rng: np.random.Generator,
    fold: int = 0,
) -> FittedValue:
    """Fit head, and weights where `settings.lm.train` says so; every token read is booked, three for a trained one."""
    lm = settings.lm
    model = policy.value_model(lm.model, lm.blocks)
    rewarded = [c for c in rollouts if not np.isnan(c.reward)]
    along = _read(model, rewarded)
    frozen = fit_value(along, settings, rng, fold=fold)
    choices = {**frozen.report.choices, "left_out_nan": len(rollouts) - len(rewarded), "kind": "lm"}
    choices["tried"] = [{"kind": "lm", **row} for row in choices["tried"]]
    head, pooling = frozen.value.head, frozen.value.pooling
    train, held = split(rewarded, settings.held_out, fold)
    weights: Weights | None = None
    if lm.train != "frozen":
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**62)))
            trained = _Training(model, head, pooling, settings)
            choices["epoch"] = trained.run(train, held)
        head, weights = trained.head, trained.weights
        if weights is not None:
            model = model.over(weights.into(model.untouched()))
    used = lm if weights is not None else replace(lm, train="frozen")
    value = LmValue(head, pooling, model, policy, used, weights)
    return FittedValue(value, FitReport(choices, quality(value, held), prompts_of(held)))


def _read(model: ValueModel, rollouts: Sequence[Candidate]) -> list[Candidate]:
    """The same with the states of the value model's own tokens in place of the policy's."""
    order = sorted(range(len(rollouts)), key=lambda i: rollouts[i].completion.prompt.id)
    out = list(rollouts)
    together = model.rows_together([c.completion for c in rollouts])
    for start in range(0, len(order), together):
        part = order[start : start + together]
        completions = [rollouts[i].completion for i in part]
        following = Following.of(model, [c.prompt for c in completions])
        following.move(range(len(part)), [c.text for c in completions], [c.stop == "eos" for c in completions])
        for row, i in enumerate(part):
            states = following.prefix_states(row, model.blocks)
            out[i] = replace(rollouts[i], states=states)
    return out


class _Training:
    """Weights and head, trained together from the frozen model and its head on."""

    def __init__(self, model: ValueModel, head: Head, pooling: Pooling, settings: ValueSettings) -> None:
        self._frozen, self._settings, self._pooling = model, settings, pooling
        self.head, self.weights = head, None  # type: Head, Weights | None
        lm = settings.lm
        self._trained = _with_dropout(head, settings).to(model.device)
        copy = model.untouched()
        self._decoder: Any = with_lora(copy, lm.rank) if lm.train == "lora" else copy.requires_grad_(True)
        groups = [
            {"params": [p for p in self._decoder.parameters() if p.requires_grad], "lr": lm.learning_rate},
            {"params": list(self._trained.parameters()), "lr": settings.learning_rate},
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)

    def run(self, train: Sequence[Candidate], held: Sequence[Candidate]) -> int:
        """Train, and keep the best epoch; 0: the frozen model stands."""
        best, kept = self._error(held), 0
        for epoch in range(1, self._settings.lm.epochs + 1):
            self._decoder.train()
            self._trained.train()
            for batch in self._batches(train, shuffled=True):
                loss = self._loss(batch, 3)  # a backward pass counts as two forward ones
                self._optimizer.zero_grad()
                loss.backward()
                self._optimizer.step()
            error = self._error(held)
            if error < best:
                best, kept = error, epoch
                self.head, self.weights = deepcopy(self._trained), self._taken()
        return kept

    def _taken(self) -> Weights:
        lm: LmSettings = self._settings.lm
        return Adapter.of(self._decoder, lm.rank) if lm.train == "lora" else AllWeights.of(self._decoder)

    @torch.no_grad()
    def _error(self, held: Sequence[Candidate]) -> float:
        self._decoder.eval()
        self._trained.eval()
        batches = list(self._batches(held, shuffled=False))
        return float(np.average([float(self._loss(b, 1)) for b in batches], weights=[len(b) for b in batches]))

    def _batches(self, rollouts: Sequence[Candidate], shuffled: bool) -> Iterator[list[Candidate]]:
        order = torch.randperm(len(rollouts)) if shuffled else torch.arange(len(rollouts))
        for part in order.split(self._settings.lm.batch):
            yield [rollouts[i] for i in part.tolist()]

    def _loss(self, batch: Sequence[Candidate], passes: int) -> torch.Tensor:
        """Mean squared error over the prefixes of these texts at their own tokens, stride apart, and whole."""
        pairs = [self._tokens(c.completion) for c in batch]
        rows = [prompt + text for prompt, text in pairs]
        ids, mask = padded(rows, self._frozen.device)
        self._frozen.require_room(ids.shape[1])
        self._frozen.book(passes * int(mask.sum()))
        states = self._decoder(input_ids=ids, attention_mask=mask.long(), use_cache=False).last_hidden_state.float()
        parts, targets, weights = [], [], []
        for along, (prompt, text), candidate in zip(states, pairs, batch, strict=True):
            lengths = sorted({*range(0, len(text), self._settings.stride), len(text)})
            parts.append(_along(along, len(prompt), lengths, self._pooling))
            targets += [candidate.reward] * len(lengths)
            share = 1.0 if self._settings.weight == "token" else 1.0 / len(lengths)
            weights += [share] * len(lengths)
        predicted = self._trained(torch.cat(parts))
        y, w = (torch.tensor(x, device=ids.device, dtype=torch.float32) for x in (targets, weights))
        loss: torch.Tensor = (w * (predicted - y) ** 2).sum() / w.sum()
        return loss

    def _tokens(self, completion: Completion) -> tuple[tuple[int, ...], tuple[int, ...]]:
        text = completion.text.rstrip(UNWHOLE)
        return self._frozen.encode(completion.prompt), self._frozen.encode_behind(text, completion.stop == "eos")


def _along(states: torch.Tensor, prompt: int, lengths: Sequence[int], pooling: Pooling) -> torch.Tensor:
    """(n, F) inputs of a head for prefixes of these lengths, states (tokens, H) of prompt and text."""
    at = torch.tensor(lengths, device=states.device)
    totals = torch.cat([torch.zeros_like(states[:1]), states[prompt:].cumsum(0)])[at]
    mean, n = states[:prompt].mean(0).expand(len(at), -1), torch.full_like(at, prompt)
    return features(pooling, mean, n, totals, states[prompt - 1 + at], at)


def _with_dropout(head: Head, settings: ValueSettings) -> Head:
    """A copy that can be trained."""
    weights = head.state_dict()
    made = Head(len(head.mean), len(weights["network.1.weight"]), settings.dropout)
    made.load_state_dict(weights)
    return made
