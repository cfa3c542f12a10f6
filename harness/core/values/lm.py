"""A value function that is a model of its own: a head on the pooled states of a small causal model, any tokenizer.

It reads the text that the policy writes as its own tokens, behind its own tokens of the prompt. Along a search keys and
values are carried and reordered with the rows: a prompt is read once for all its rows, and of what a row wrote before,
only the last tokens are read again where a chunk made others of them (a word that went on, a character that was not
whole). `lm_fitting.py` fits it; `core/models/value_model.py` has the model.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from weakref import finalize, ref

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from harness.core.errors import UserError
from harness.core.models.handle import PolicyHandle
from harness.core.models.rows import Chunk, Rows
from harness.core.models.value_model import ValueModel, padded
from harness.core.types import Candidate, PrefixStates, Prompt, length_of
from harness.core.values.hidden import Head, Pooling, features
from harness.core.values.kind_settings import LmSettings
from harness.core.values.lm_weights import Weights, read_weights
from harness.core.values.value import Predicted

UNWHOLE = "\ufffd"  # what stands for bytes that are no character yet


class LmValue:
    """A head on the states of a causal model. `weights` are those that were trained, None where the head alone was."""

    kind: ClassVar[str] = "lm"
    layers: tuple[int, ...] = ()

    def __init__(
        self,
        head: Head,
        pooling: Pooling,
        model: ValueModel,
        policy: PolicyHandle,
        settings: LmSettings,
        weights: Weights | None = None,
    ) -> None:
        self.head = head.eval().requires_grad_(False).to(model.device)
        self.pooling, self.model, self.settings, self.weights = pooling, model, settings, weights
        self._policy = policy

    def start(self, rows: Rows) -> "LmReader":
        return LmReader(self, rows)

    @torch.inference_mode()
    def predict(self, rollouts: Sequence[Candidate], every: int = 1) -> Predicted:
        """Texts of one prompt are read together, each prefix behind the one before, as in a search."""
        order = sorted(range(len(rollouts)), key=lambda i: rollouts[i].completion.prompt.id)
        found: dict[int, tuple[list[int], list[float]]] = {}
        together = self.model.rows_together([c.completion for c in rollouts])
        for start in range(0, len(order), together):
            part = order[start : start + together]
            said = self._along([rollouts[i] for i in part], every)
            found |= dict(zip(part, said, strict=True))
        lengths, values = ([found[i][k] for i in range(len(rollouts))] for k in (0, 1))
        return Predicted(
            np.concatenate([np.array(v, dtype=np.float32) for v in values]),
            np.concatenate([np.array(n) for n in lengths]),
            np.repeat(np.arange(len(rollouts)), [len(n) for n in lengths]),
        )

    def _along(self, rollouts: Sequence[Candidate], every: int) -> list[tuple[list[int], list[float]]]:
        """Lengths and values of the prefixes of each rollout."""
        completions = [c.completion for c in rollouts]
        lengths = [[*range(0, length_of(c), every), length_of(c)] for c in completions]
        texts = [self._policy.prefix_texts(c, n) for c, n in zip(completions, lengths, strict=True)]
        following = Following.of(self.model, [c.prompt for c in completions])
        values: list[list[float]] = [[] for _ in rollouts]
        for step in range(max(map(len, lengths))):
            moved = [i for i, n in enumerate(lengths) if step < len(n)]
            last = [step + 1 == len(lengths[i]) and completions[i].stop == "eos" for i in moved]
            following.move(moved, [texts[i][step] for i in moved], last)
            said = self.head(following.features(self.pooling)).tolist()
            for i in moved:
                values[i].append(said[i])
        return list(zip(lengths, values, strict=True))

    def flops(self) -> float:
        return 2.0 * sum(p.numel() for p in self.head.parameters())  # two a parameter

    def flops_of_token(self) -> float:
        return self.model.flops

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.head.state_dict(), folder / "head.safetensors")
        if self.weights is not None:
            self.weights.save(folder / "weights.safetensors")
        name = self.settings.model
        about = {
            "kind": self.kind,
            "pooling": self.pooling,
            "model": str(Path(name).resolve()) if Path(name).exists() else name,  # `generate` may stand elsewhere
            "fingerprint": self.model.fingerprint,
            "blocks": self.settings.blocks,
            "train": self.settings.train,
            "rank": self.settings.rank,
        }
        (folder / "value.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, policy: PolicyHandle) -> "LmValue":
        about = json.loads((folder / "value.json").read_text(encoding="utf-8"))
        settings = LmSettings(about["model"], about["blocks"], about["train"], rank=about["rank"])
        model = policy.value_model(settings.model, settings.blocks)
        if model.fingerprint != about["fingerprint"]:
            raise UserError(
                f"value.lm.model={settings.model!r} is not the one that the value in {folder} was fitted on "
                f"(fingerprint {model.fingerprint}, there {about['fingerprint']}); put that one back"
            )
        weights = read_weights(folder / "weights.safetensors", settings)
        if weights is not None:
            model = model.over(weights.into(model.untouched()))
        stored = load_file(folder / "head.safetensors")
        head = Head(stored["mean"].shape[0], stored["network.1.weight"].shape[0])
        head.load_state_dict(stored)
        return cls(head, about["pooling"], model, policy, settings, weights)


class LmReader:
    """The model along the rows of a batch."""

    def __init__(self, value: LmValue, rows: Rows) -> None:
        self._value, self._along = value, _along(value.model, rows)
        self.tokens_read = self._along.tokens_not_counted()

    @torch.inference_mode()
    def advance(self, chunk: Chunk) -> torch.Tensor:
        self._along.advance(chunk)
        self.tokens_read += self._along.tokens_not_counted()
        values: torch.Tensor = self._value.head(self._along.following.features(self._value.pooling))
        return values.to(chunk.tokens.device)

    def reorder(self, index: torch.Tensor) -> None:
        self._along.reorder(index)


class _Along:
    """A model along rows, read once for all values that have these weights: the first of their readers moves it."""

    def __init__(self, model: ValueModel, rows: Rows) -> None:
        self.decoder, self._rows = model.decoder, ref(rows)
        self.following = Following(model, rows.prompts, rows.owner.tolist())
        self._tokens = np.array(self.following.prompt_lengths, dtype=np.int64)  # (P,) not counted by a reader yet
        self._chunk: Chunk | None = None
        self._index: torch.Tensor | None = None

    @property
    def has_moved(self) -> bool:
        return self._chunk is not None

    def tokens_not_counted(self) -> np.ndarray:
        tokens, self._tokens = self._tokens, np.zeros_like(self._tokens)
        return tokens

    def advance(self, chunk: Chunk) -> None:
        rows = self._rows()
        if chunk is self._chunk or rows is None:
            return
        self._chunk = chunk
        moved = chunk.moved.nonzero()[:, 0].tolist()
        if moved:
            completions, owner = rows.completions(), rows.owner.cpu().numpy()
            said = [completions[j] for j in moved]
            read = self.following.move(
                moved, [c.text for c in said], [c.stop == "eos" for c in said], [c.stop is not None for c in said]
            )
            np.add.at(self._tokens, owner[moved], read)

    def reorder(self, index: torch.Tensor) -> None:
        if index is not self._index:
            self._index = index
            self.following.reorder(index.tolist())


_ALONG: dict[int, list[_Along]] = {}  # by the id of rows, while these live


def _along(model: ValueModel, rows: Rows) -> _Along:
    """What another value of these weights has just begun to follow the rows with, or a new one."""
    if id(rows) not in _ALONG:
        _ALONG[id(rows)] = []
        finalize(rows, _ALONG.pop, id(rows), None)
    begun = _ALONG[id(rows)]
    shared = next((one for one in begun if one.decoder is model.decoder and not one.has_moved), None)
    if shared is None:
        shared = _Along(model, rows)
        begun.append(shared)
    return shared


class Following:
    """What a value model has read of each of R rows: its tokens there, and their states."""

    @classmethod
    def of(cls, model: ValueModel, prompts: Sequence[Prompt]) -> "Following":
        """A row for each of these prompts, of which those that follow each other may be the same."""
        distinct = list({prompt.id: prompt for prompt in prompts}.values())
        place = {prompt.id: i for i, prompt in enumerate(distinct)}
        return cls(model, distinct, [place[prompt.id] for prompt in prompts])

    @torch.inference_mode()
    def __init__(self, model: ValueModel, prompts: Sequence[Prompt], owner: Sequence[int]) -> None:
        """Reads P prompts; row j continues prompt owner[j]."""
        encoded = [model.encode(prompt) for prompt in prompts]
        self.prompt_lengths = [len(tokens) for tokens in encoded]
        self._model, self._followed = model, model.follow(encoded)
        mask, states = self._followed.mask, self._followed.prompt_states
        index = torch.tensor(owner, device=model.device)
        count = mask.sum(1)
        self._lengths = [self.prompt_lengths[i] for i in owner]  # (R,) of the prompts
        self._prompt_tokens = count[index]  # (R,)
        self._prompt_mean = (states.sum(1) / count[:, None])[index]  # (R, H)
        self._prompt_last = states[:, -1][index]  # prompts are padded on the left
        self._followed.select(index)
        rows = len(index)
        self.tokens: list[tuple[int, ...]] = [()] * rows  # behind the prompt
        self._finished = [False] * rows
        self._in_cache: list[int] = list(range(rows))  # rows whose keys and values are there, in their order
        self._states = torch.zeros(rows, 0, model.width, device=model.device)  # (R, longest, H) of `tokens`

    @torch.inference_mode()
    def move(
        self, rows: Sequence[int], texts: Sequence[str], ended: Sequence[bool], finished: Sequence[bool] = ()
    ) -> np.ndarray:
        """Have these rows say these texts; (n,) how many tokens were read for each.

        `ended` rows stand at their end of sequence; `finished` ones go no further, and leave the batch when they can.
        """
        wanted = [self._model.encode_behind(text.rstrip(UNWHOLE), end) for text, end in zip(texts, ended, strict=True)]
        same = [_common(self.tokens[row], new) for row, new in zip(rows, wanted, strict=True)]
        place = {row: i for i, row in enumerate(self._in_cache)}
        back, parts = [0] * len(self._in_cache), [()] * len(self._in_cache)  # type: list[int], list[tuple[int, ...]]
        for row, new, kept in zip(rows, wanted, same, strict=True):
            back[place[row]] = len(self.tokens[row]) - kept
            parts[place[row]] = new[kept:]
            self.tokens[row] = new
        for row, end in zip(rows, finished, strict=bool(finished)):
            self._finished[row] = end
        if any(back):
            self._followed.forget(torch.tensor(back, device=self._model.device))
        if any(parts):
            self._model.require_room(max(n + len(t) for n, t in zip(self._lengths, self.tokens, strict=True)))
            ids, mask = padded(parts, self._model.device)
            self._keep(self._followed.read(ids, mask), mask, parts)
        return np.array([len(parts[place[row]]) for row in rows], dtype=np.int64)

    def _keep(self, states: torch.Tensor, mask: torch.Tensor, parts: Sequence[tuple[int, ...]]) -> None:
        """Put the states of what was read (cache rows, n, H) where the tokens stand."""
        longest = max(map(len, self.tokens))
        if longest > self._states.shape[1]:
            more = self._states.new_zeros(len(self._states), longest - self._states.shape[1], self._states.shape[2])
            self._states = torch.cat([self._states, more], 1)
        starts = [len(self.tokens[row]) - len(part) for row, part in zip(self._in_cache, parts, strict=True)]
        row, column = mask.nonzero(as_tuple=True)
        device = states.device
        there = torch.tensor(self._in_cache, device=device)[row]
        self._states[there, torch.tensor(starts, device=device)[row] + column] = states[row, column]

    def features(self, pooling: Pooling) -> torch.Tensor:
        """(R, F) inputs of a head for the rows as they stand."""
        length = torch.tensor([len(tokens) for tokens in self.tokens], device=self._states.device)
        seen = torch.arange(self._states.shape[1], device=length.device) < length[:, None]
        total = (self._states * seen[..., None]).sum(1)
        last = self._prompt_last
        if self._states.shape[1]:
            own = self._states[torch.arange(len(length), device=length.device), (length - 1).clamp(min=0)]
            last = torch.where((length > 0)[:, None], own, last)
        return features(pooling, self._prompt_mean, self._prompt_tokens, total, last, length)

    def prefix_states(self, row: int, layer: int) -> PrefixStates:
        """Of a row as it stands, in half precision where that holds them: what heads are fitted on."""
        along = self._states[row, : len(self.tokens[row])]
        mean, last, states = (_compact(x) for x in (self._prompt_mean[row], self._prompt_last[row], along))
        return PrefixStates((layer,), int(self._prompt_tokens[row]), mean[None], last[None], states[:, None])

    @torch.inference_mode()
    def reorder(self, index: Sequence[int]) -> None:
        """Make row j what row index[j] was; those that have finished are read no more."""
        place = {row: i for i, row in enumerate(self._in_cache)}
        rows = torch.tensor(index, device=self._states.device)
        live = [j for j, row in enumerate(index) if row in place and not self._finished[row]]
        for name in ("_prompt_tokens", "_prompt_mean", "_prompt_last", "_states"):
            setattr(self, name, getattr(self, name)[rows])
        self.tokens, self._lengths = [self.tokens[row] for row in index], [self._lengths[row] for row in index]
        self._finished = [self._finished[row] for row in index]
        if live:
            self._followed.select(torch.tensor([place[index[j]] for j in live], device=rows.device))
        self._in_cache = live


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two lists begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _compact(states: torch.Tensor) -> np.ndarray:
    half = states.half()
    return (half if torch.isfinite(half).all() else states).cpu().numpy()
