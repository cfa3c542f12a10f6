"""What becomes of a model: refused and why, or which path its rows take, what it lacks, and how far they are off.

examined(model, tokenizer).row()       # a row of harness/docs/architectures.md
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.partial_forward import blocks_of
from harness.core.models.rows import TokenRows
from harness.core.models.sampling import Sampler
from harness.core.models.transformers_policy import TransformersPolicy
from harness.core.streams import Streams
from harness.core.types import Completion, Prompt

_SAMPLER = Sampler(temperature=1.0, top_k=0, max_new_tokens=24)
_PROMPTS = [Prompt(f"q{i}", text=text) for i, text in enumerate(["the film was good", "a", "what is it?"])]
_LAYER = 2


@dataclass(frozen=True)
class Examined:
    path: str  # "" where it is refused
    lacks: tuple[str, ...]  # capabilities
    errors: dict[str, float]  # nats of log-probabilities; states in units of their size
    refusal: str = ""


def examined(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> Examined:
    """Sample, select, look ahead, take back and follow texts; all compared with plain forwards of each text alone."""
    try:
        policy = TransformersPolicy(model, tokenizer, name, name)
    except UserError as error:
        return Examined("", (), {}, str(error))
    ledger = Ledger()
    with ledger.phase("generate"), torch.inference_mode():
        handle = PolicyHandle(policy, _SAMPLER, ledger)
        states = "states" in policy.capabilities
        errors = _continued(policy, handle, (_LAYER,) if states else ())
        if "take back" in policy.capabilities:
            errors["take back"] = _taken_back(policy, handle)
    lacks = {"states", "take back"} - policy.capabilities
    return Examined(policy.path, tuple(sorted(lacks)), errors)


def _continued(policy: TransformersPolicy, handle: PolicyHandle, layers: tuple[int, ...]) -> dict[str, float]:
    rows = handle.decode_tokens(_PROMPTS, 3, Streams(0), layers)
    guide = handle.guide_scorer([policy.encode(p) for p in _PROMPTS])
    guide.reorder(rows.owner)
    device = policy.device
    followed = torch.zeros(len(rows.owner), device=device)
    logits, ahead = [], []
    for step in range(3):
        chunk = rows.extend(7)
        followed = followed + guide.advance(chunk.tokens, chunk.mask).sum(1)
        logits.append(_worst(policy, rows))
        if layers and not rows.finished.all():
            ahead.append(_looked_ahead(policy, rows))
        picked = ((1, 1, 2), (0, 2, 2), (2, 0, 1))[step]
        index = torch.tensor([3 * p + j for p in range(3) for j in picked], device=device)
        rows.select(index, torch.arange(3, device=device).repeat(3))
        guide.reorder(index)
        followed = followed[index]
    completions = rows.completions()
    exact = [_log_probabilities(policy, c) for c in completions]
    given = policy.logprobs(completions)
    pairs = list(zip(given, exact, strict=True))
    errors = {
        "next token": max(logits),
        "log-probabilities": max(float(np.abs(a - b).max()) for a, b in pairs),
        "followed": max(abs(float(f) - float(e.sum())) for f, e in zip(followed, exact, strict=True)),
    }
    return errors | ({"states": max(ahead)} if ahead else {})


def _taken_back(policy: TransformersPolicy, handle: PolicyHandle) -> float:
    """Rows that go back by different numbers of tokens, twice."""
    rows = handle.decode_tokens(_PROMPTS, 2, Streams(1), revocable=True)
    worst = 0.0
    for counts in ([4, 0, 3, 1, 0, 2], [0, 5, 1, 0, 2, 0]):
        rows.extend(6)
        written = torch.tensor([len(t) for t in rows.tokens_of()])
        back = torch.tensor(counts).minimum(written).to(policy.device)
        at = [
            _plain(policy, c.prompt, c.tokens[: len(c.tokens) - n])
            for c, n in zip(rows.completions(), back.tolist(), strict=True)
        ]
        rows.take_back(back, torch.stack([logits[0, -1] for logits in at]))
        rows.extend(3)
        worst = max(worst, _worst(policy, rows))
    return worst


def _worst(policy: TransformersPolicy, rows: TokenRows) -> float:
    """Nats: the largest difference of a next-token log-probability of an unfinished row."""
    worst, completions, live = 0.0, rows.completions(), (~rows.finished).tolist()
    for row, logits in zip(*rows.next_logits(), strict=True):
        if live[int(row)]:
            exact = _plain(policy, completions[int(row)].prompt, completions[int(row)].tokens)[0, -1]
            worst = max(worst, float((logits.log_softmax(0) - exact.log_softmax(0)).abs().max()))
    return worst


def _looked_ahead(policy: TransformersPolicy, rows: TokenRows) -> float:
    """The largest relative difference of a candidate's state."""
    choices, completions, worst = rows.choices(), rows.completions(), 0.0
    tokens = choices.tokens[:, 3:6]
    for row, candidates, states in zip(choices.rows.tolist(), tokens.tolist(), rows.peek(tokens)[_LAYER], strict=True):
        for token, state in zip(candidates, states, strict=True):
            exact = _state(policy, completions[row].prompt, (*completions[row].tokens, token))
            worst = max(worst, float((state - exact).norm() / exact.norm()))
    return worst


def _log_probabilities(policy: TransformersPolicy, completion: Completion) -> np.ndarray:
    prompt, tokens = policy.encode(completion.prompt), torch.tensor(completion.tokens)
    logits = _plain(policy, completion.prompt, completion.tokens)[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    return logits.cpu().gather(1, tokens[:, None])[:, 0].numpy()


def _plain(policy: TransformersPolicy, prompt: Prompt, tokens: Sequence[int]) -> torch.Tensor:
    """Logits (1, n, V) of one text by one forward pass without a cache."""
    ids = torch.tensor([[*policy.encode(prompt), *tokens]], device=policy.device)
    logits: torch.Tensor = policy.model(input_ids=ids, use_cache=False).logits
    return logits


def _state(policy: TransformersPolicy, prompt: Prompt, tokens: Sequence[int]) -> torch.Tensor:
    """(H,) what enters the block above _LAYER at the last token, in the same way."""
    kept: list[torch.Tensor] = []
    block = blocks_of(policy.model, policy.depth)[_LAYER]
    hook = block.register_forward_pre_hook(
        lambda _, args, kwargs: kept.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
    )
    _plain(policy, prompt, tokens)
    hook.remove()
    return kept[0][0, -1]
