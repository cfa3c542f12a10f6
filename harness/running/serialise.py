"""Answers and candidates as plain data and arrays, as they are stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.core.types import Answer, Candidate, Completion, PrefixStates, Prompt, Work


def candidate_to_data(candidate: Candidate) -> dict[str, Any]:
    """Everything but the states, which go into arrays (see `states_to_arrays`)."""
    completion = candidate.completion
    told: dict[str, Any] = {} if completion.counted is None else {"counted": completion.counted}
    told |= {} if completion.logprobs is None else {"logprobs": list(completion.logprobs)}
    return {
        "prompt": completion.prompt.id,
        "tokens": list(completion.tokens),
        "text": completion.text,
        "stop": completion.stop,
        "score": candidate.score,
        "reward": float(candidate.reward),
        **told,
    }


def candidate_from_data(
    data: Mapping[str, Any], prompts: Mapping[str, Prompt], states: PrefixStates | None = None
) -> Candidate:
    prompt, counted, logprobs = prompts[data["prompt"]], data.get("counted"), data.get("logprobs")
    logprobs = None if logprobs is None else tuple(logprobs)
    completion = Completion(prompt, tuple(data["tokens"]), data["text"], data["stop"], counted, logprobs)
    return Candidate(completion, data["score"], data["reward"], states)


def answer_to_data(answer: Answer) -> dict[str, Any]:
    return {
        "prompt": answer.prompt.id,
        "finalists": [candidate_to_data(c) for c in answer.finalists],
        "picks": dict(answer.picks),
        "work": {pick: vars(work) for pick, work in answer.work.items()},
    }


def answer_from_data(data: Mapping[str, Any], prompts: Mapping[str, Prompt]) -> Answer:
    return Answer(
        prompts[data["prompt"]],
        tuple(candidate_from_data(c, prompts) for c in data["finalists"]),
        data["picks"],
        {pick: Work(**work) for pick, work in data["work"].items()},
    )


def states_to_arrays(candidates: Sequence[Candidate]) -> dict[str, np.ndarray]:
    """The states of a batch's candidates in four arrays; along the first axis, lengths say where each begins.

    Nothing where none has any: nobody asked for them, or the policy shows none.
    """
    all_states = [c.states for c in candidates if c.states is not None]
    if not all_states:
        return {}
    assert len(all_states) == len(candidates), f"{len(candidates) - len(all_states)} candidates have no states"
    return {
        "layers": np.array(all_states[0].layers),
        "prompt_tokens": np.array([s.prompt_tokens for s in all_states]),
        "prompt_mean": np.stack([s.prompt_mean for s in all_states]),
        "prompt_last": np.stack([s.prompt_last for s in all_states]),
        "lengths": np.array([len(s.states) for s in all_states]),
        "states": np.concatenate([s.states for s in all_states]),
    }


def states_from_arrays(arrays: Mapping[str, np.ndarray]) -> list[PrefixStates]:
    layers = tuple(arrays["layers"].tolist())
    along = np.split(arrays["states"], np.cumsum(arrays["lengths"])[:-1])
    return [
        PrefixStates(layers, int(tokens), mean, last, states)
        for tokens, mean, last, states in zip(
            arrays["prompt_tokens"], arrays["prompt_mean"], arrays["prompt_last"], along, strict=True
        )
    ]
