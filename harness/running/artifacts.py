"""The cache folder: what stages made, under a key of everything that shaped it, batch by batch.

    folder = artifacts.folder("generate", inputs)     # cache/generate/<hash>/, inputs.json inside
    run_stage(...)                                    # batch-0000.json (+ .npz), written whole, so a run can resume
    run_stage(..., names)                             # batch-<name>.json: what any run with such a batch takes up

A batch file holds its payload and the usage that made it, which is replayed into the ledger when it is used again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.digest import digest
from harness.core.files import from_cache, whole
from harness.core.ledger import Ledger, Phase
from harness.core.progress import Progress
from harness.core.types import Answer, Candidate, Completion, PrefixStates, Prompt, Work
from harness.running.ranks import Ranks
from harness.running.workers import run_batches


@dataclass(frozen=True)
class Artifacts:
    root: Path

    def folder(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        """The folder of an artifact with these inputs, created with a note of them."""
        folder = self.root / stage / digest(inputs)[:20]
        note = folder / "inputs.json"
        if not note.exists():
            with whole(note) as part:
                part.write_text(json.dumps(inputs, indent=1, sort_keys=True))
        return folder


@dataclass(frozen=True)
class StageResult:
    """Payloads in the order of the batches; usage rows with `computed` False where a stored batch was used."""

    key: str  # of the artifact
    payloads: list[Any]
    usage: list[dict[str, Any]]


def run_stage(
    name: str,
    folder: Path,
    batches: Sequence[Any],
    job: Callable[[Any], tuple[Any, Mapping[str, np.ndarray]]],
    ledger: Ledger,
    phase: Phase,
    workers: int,
    ranks: Ranks,
    names: Sequence[str] | None = None,
) -> StageResult:
    """Do job(batch) -> (plain data, arrays) for every batch that is not stored yet, and load all of them.

    Batches are stored by number, or by `names` in a folder that other lists of batches share. With several ranks each
    does its share, and all of them load everything.
    """
    names = names or [f"{i:04d}" for i in range(len(batches))]
    stored = [folder / f"batch-{name}.json" for name in names]
    missing = [i for i, path in enumerate(stored) if not path.exists()]
    ranks.wait()  # nobody begins before all have seen what is missing
    share = [i for i in missing if i % ranks.count == ranks.index]

    def make(i: int) -> None:
        ledger.drain()
        with ledger.phase(phase):
            payload, arrays = job(batches[i])
        if arrays:
            with whole(stored[i].with_suffix(".npz")) as part, part.open("wb") as file:
                np.savez(file, **arrays)
        with whole(stored[i]) as part:
            part.write_text(json.dumps({"usage": ledger.drain(), "payload": payload}))

    with Progress(name, len(batches), quiet=not ranks.first) as progress:
        progress.skip(len(batches) - len(share))
        for _ in run_batches(make, share, workers):
            progress.step()
    ranks.wait()
    payloads, usage = [], []
    for i, path in enumerate(stored):
        with from_cache(path, remove=path):
            batch = json.loads(path.read_text())
        payloads.append(batch["payload"])
        usage += [{**row, "computed": i in missing} for row in batch["usage"]]
    return StageResult(folder.name, payloads, usage)


# --- answers and candidates as plain data ---------------------------------------------------------------------------


def candidate_to_data(candidate: Candidate) -> dict[str, Any]:
    """Everything but the states, which go into arrays (see `states_to_arrays`)."""
    completion = candidate.completion
    return {
        "prompt": completion.prompt.id,
        "tokens": list(completion.tokens),
        "text": completion.text,
        "stop": completion.stop,
        "score": candidate.score,
        "reward": float(candidate.reward),
    }


def candidate_from_data(
    data: Mapping[str, Any], prompts: Mapping[str, Prompt], states: PrefixStates | None = None
) -> Candidate:
    completion = Completion(prompts[data["prompt"]], tuple(data["tokens"]), data["text"], data["stop"])
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
    """The states of a batch's candidates in four arrays; along the first axis, lengths say where each begins."""
    all_states = [c.states for c in candidates]
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
