"""The stages of a run: base samples, rollouts, fit, answers, and scores (scoring.py), each stored batch by batch.

A stage's key is a hash of everything that shapes its numbers, earlier stages' keys included; so the same work is found
again by any run that needs it, and an interrupted run goes on where it stopped. Prompts enter it with all that the
policy and graders read of them, code with its version, or its source where it is not this package's.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.as_before import hashed
from harness.core.batch import read_batch
from harness.core.contents import files_below
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import from_cache, renewed
from harness.core.generator import Generator
from harness.core.identity import prompt_identity
from harness.core.ledger import Ledger, Phase
from harness.core.manifest import MANIFEST, write_manifest, written_problems
from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Policy
from harness.core.progress import RunProgress
from harness.core.reward import RewardHandle, Scale, require_some
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.core.task import Task
from harness.core.types import Answer, Candidate, Completion, FitReport, Prompt
from harness.core.withheld import Withheld
from harness.methods import METHODS
from harness.running.artifacts import Artifacts, Made, StageResult, nothing_beside, run_stage
from harness.running.config import RunConfig
from harness.running.identity import engine_of, task_code
from harness.running.ranks import Ranks
from harness.running.serialise import (
    answer_from_data,
    answer_to_data,
    candidate_from_data,
    candidate_to_data,
    states_from_arrays,
    states_to_arrays,
)

VERSIONS = {
    "pool": 2,
    "rollouts": 2,
    "fit": 4,
    "generate": 3,
    "score": 1,
    "trace": 1,
}  # raised when a change alters numbers; tests/running/test_golden.py says when
RAW = Scale(0.0, 1.0)


@dataclass
class RunContext:
    """What the stages of one run share."""

    config: RunConfig
    policy: Policy
    task: Task
    artifacts: Artifacts
    workers: int
    ranks: Ranks
    ledger: Ledger = field(default_factory=Ledger)
    usage: list[dict[str, Any]] = field(default_factory=list)  # the rows of ledger.parquet
    withheld: Withheld = field(default_factory=Withheld)  # from methods
    progress: RunProgress = field(default_factory=RunProgress)
    writes: bool = True  # what earlier versions left unproven is proven when it is read

    def __post_init__(self) -> None:
        self.streams = Streams(self.config.seed)
        self.handle = PolicyHandle(self.policy, self.config.settings["sampler"], self.ledger)
        self._inputs = {
            "model": self.policy.fingerprint,
            "engine": engine_of(self.policy, self.config),
            "task": self.config.task,
            "task_code": task_code(self.task),
            "sampler": hashed(self.config.settings["sampler"]),
            "batch": hashed(self.config.settings["batch"]),
            "seed": self.config.seed,
        }

    def prompt_key(self, prompt: Prompt) -> str:
        """A prompt as it enters keys: all that the policy and the graders read of it."""
        return prompt_identity(prompt, self.policy.prompt_tokens(prompt))

    def completion_key(self, completion: Completion) -> list[Any]:
        """A completion as it enters keys: what graders read of it."""
        return [self.prompt_key(completion.prompt), completion.tokens, completion.text, completion.stop]

    def method(self, name: str, scale: Scale) -> Generator:
        reward = RewardHandle(self.withheld.scorer(self.task.reward()), self.ledger, scale)
        return METHODS[name](self.config.settings[name], self.handle, reward, self.streams)

    def layers(self) -> tuple[int, ...]:
        """Layers whose states rollouts carry: as set, or over the lower half of the model; () where it shows none."""
        if "states" not in self.policy.capabilities:
            return ()
        asked, depth = self.config.settings["fit"].layers, self.policy.depth
        if any(not 0 <= layer <= depth for layer in asked):
            raise UserError(f"fit.layers={list(asked)}: layers of {self.policy.name} are 0..{depth}")
        return tuple(sorted(set(asked))) or tuple(sorted({round(depth * share) for share in (0.2, 0.3, 0.4, 0.6)}))

    def batches(self, prompts: Sequence[Prompt], rows_per_prompt: int, memory_factor: int = 1) -> list[list[Prompt]]:
        """Prompts sorted by id, cut so that the rows of a batch fit the memory setting."""
        ordered = sorted(prompts, key=lambda p: p.id)
        batch = self.config.settings["batch"]
        longest = max(self.policy.prompt_length(p) for p in ordered)
        row = self.policy.row_bytes(longest, self.config.settings["sampler"].max_new_tokens, rows_per_prompt)
        rows = min(batch.rows, int(batch.memory_gb * 2**30 / max(1, memory_factor * row)))
        size = max(1, rows // rows_per_prompt)
        return [ordered[i : i + size] for i in range(0, len(ordered), size)]

    def run(
        self,
        stage: str,
        label: str,
        inputs: Mapping[str, Any],
        batches: Sequence[Any],
        job: Callable[[Any], Made],
        phase: Phase,
        names: Sequence[str] | None = None,
    ) -> tuple[Path, StageResult]:
        """Do a stage or find it done: its folder, and what it made. Named batches are found by any list with them."""
        folder = self.artifacts.folder(stage, {**self._inputs, "version": VERSIONS[stage], **inputs})
        return folder, self.do(label, folder, batches, job, phase, names)

    def do(
        self,
        label: str,
        folder: Path,
        batches: Sequence[Any],
        job: Callable[[Any], Made],
        phase: Phase,
        names: Sequence[str] | None = None,
        workers: int | None = None,
        beside: Callable[[], Sequence[str]] = nothing_beside,
    ) -> StageResult:
        """Do a stage whose folder is known; see `run_stage`."""
        workers, ranks = self.workers if workers is None else workers, self.ranks
        return run_stage(
            label, folder, batches, job, self.ledger, phase, workers, ranks, names, self.progress, beside, self.writes
        )

    def charge(self, method: str, iteration: int, result: StageResult) -> None:
        """Book a stage on a method as if it had made it alone; `computed` is true for the first who is charged."""
        first = all(row["artifact"] != result.key for row in self.usage)
        for row in result.usage:
            charged = {"method": method, "iteration": iteration, "artifact": result.key}
            self.usage.append({**charged, **row, "computed": row["computed"] and first})


@dataclass(frozen=True)
class Pool:
    """Base samples of iteration 1's fit prompts: training data for everybody, and the units of the run."""

    candidates: list[Candidate]  # rewards standardised by `proxy`
    proxy: Scale
    result: StageResult


def sample_pool(context: RunContext, prompts: Sequence[Prompt]) -> Pool:
    """Base samples with states and rewards; stored raw and keyed without any method."""
    samples, layers = context.config.settings["fit"].samples, context.layers()
    raw = RewardHandle(context.task.reward(), context.ledger, RAW)

    def job(batch: list[Prompt]) -> Made:
        answers = sample_rows(context.handle, batch, samples, context.streams, "first", raw, layers)
        return _candidates_to_data([c for answer in answers for c in answer.finalists])

    inputs = {"samples": samples, "layers": layers, "prompts": [context.prompt_key(p) for p in prompts]}
    batches = context.batches(prompts, samples)
    folder, result = context.run("pool", "base samples of fit prompts", inputs, batches, job, "fit")
    context.charge("harness", 0, result)
    candidates = _candidates_from_data(folder, result, prompts, layers)
    rewards = np.array([c.reward for c in candidates])
    require_some("the proxy", rewards, [c.completion for c in candidates])
    scale = Scale.of("the proxy", rewards)
    candidates = [replace(c, reward=float(r)) for c, r in zip(candidates, scale.apply(rewards), strict=True)]
    return Pool(candidates, scale, result)


def roll_out(
    context: RunContext, name: str, iteration: int, method: Generator, key: str, prompts: Sequence[Prompt]
) -> tuple[list[Candidate], str]:
    """Training data of a later iteration, made by the method as it stands; with the key of what was made."""
    layers = context.layers() if "states" in method.needs(method.config) else ()

    def job(batch: list[Prompt]) -> Made:
        return _candidates_to_data(method.rollout(iteration, context.withheld.bare(batch), layers))

    inputs = {"method": key, "iteration": iteration, "layers": layers}
    inputs["prompts"] = [context.prompt_key(p) for p in prompts]
    config = method.fit_config(method.config, iteration)
    batches = context.batches(prompts, method.rows_per_prompt(config), method.memory_factor(config))
    folder, result = context.run("rollouts", f"{name} iteration {iteration}: rollouts", inputs, batches, job, "fit")
    context.charge(name, iteration, result)
    return _candidates_from_data(folder, result, prompts, layers), folder.name


def fit(
    context: RunContext, name: str, iteration: int, method: Generator, key: str, rollouts: Sequence[Candidate]
) -> tuple[FitReport, str]:
    """Have the method fit, or take up what was fitted from the same rollouts."""
    inputs = {"method": method.fitted_as or name, "iteration": iteration, "from": key}
    folder = context.artifacts.folder("fit", {**inputs, "version": VERSIONS["fit"], "seed": context.config.seed})

    def job(_: None) -> Made:
        with context.ledger.timed("value", calls=1, sequences=len(rollouts)):
            report = method.fit(iteration, context.withheld.bare_candidates(rollouts))
        with renewed(folder / "fitted") as part:
            method.save(part)
        write_manifest(folder, _fitted_files(folder))
        return {"choices": report.choices, "rows": report.rows, "held_out": report.held_out}, {}

    def wrong() -> list[str]:
        if not (folder / "fitted").is_dir():
            return ["fitted/ is missing"]
        if not (folder / MANIFEST).exists() and not read_batch(folder / "batch-0000.json").carries_proof:
            if context.writes and context.ranks.first:  # of a version that listed nothing
                write_manifest(folder, _fitted_files(folder))
            return []
        return written_problems(folder, "fitted")

    label = f"{name} iteration {iteration}: fit"
    result = context.do(label, folder, [None], job, "fit", workers=1, beside=wrong)
    with from_cache(folder / "fitted", remove=folder):
        method.load(folder / "fitted")
    context.charge(name, iteration, result)
    return FitReport(**result.payloads[0]), folder.name


def _fitted_files(folder: Path) -> list[str]:
    return [f"fitted/{name}" for name in files_below(folder / "fitted")]


def answer(
    context: RunContext, name: str, iteration: int, method: Generator, key: str, prompts: Sequence[Prompt]
) -> list[Answer]:
    """Answers of the method as it stands, in the order of the prompts' ids; a longer run takes up a shorter one's."""

    def job(batch: list[Prompt]) -> Made:
        # one thread a process on a CPU; an accelerator's work is not CPU time
        here = context.policy.device.type == "cpu" and not context.policy.elsewhere
        clock = time.process_time if here else time.perf_counter
        start = clock()
        answers = method.generate(context.withheld.bare(batch))
        context.ledger.spend("policy", busy_seconds=clock() - start)
        return [answer_to_data(a) for a in answers], {}

    settings = hashed(method.answer_config(method.config, iteration))  # `key` knows those that shaped the fits
    inputs = {"method": key, "settings": settings, "iteration": iteration}
    batches = context.batches(prompts, method.rows_per_prompt(method.config), method.memory_factor(method.config))
    names = [digest([context.prompt_key(p) for p in batch])[:20] for batch in batches]
    label = f"{label_of(name, iteration)}: answers"
    _, result = context.run("generate", label, inputs, batches, job, "generate", names)
    context.charge(name, iteration, result)
    by_id = {p.id: p for p in prompts}
    answers = [answer_from_data(data, by_id) for payload in result.payloads for data in payload]
    if [a.prompt.id for a in answers] != sorted(by_id):
        raise RuntimeError(f"{name} gave {len(answers)} answers for {len(prompts)} prompts, or in another order")
    return answers


def label_of(name: str, iteration: int) -> str:
    return f"{name} iteration {iteration}" if iteration else name


def _candidates_to_data(candidates: Sequence[Candidate]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    arrays = {} if all(c.states is None for c in candidates) else states_to_arrays(candidates)
    return [candidate_to_data(c) for c in candidates], arrays


def _candidates_from_data(
    folder: Path, result: StageResult, prompts: Sequence[Prompt], layers: Sequence[int]
) -> list[Candidate]:
    by_id = {p.id: p for p in prompts}
    out = []
    for i, payload in enumerate(result.payloads):
        path = folder / f"batch-{i:04d}.npz"
        if not layers:  # a policy that shows no states, or values that read none
            out += [candidate_from_data(d, by_id) for d in payload]
            continue
        with from_cache(path, remove=path.with_suffix(".json")), np.load(path) as arrays:
            states = states_from_arrays(arrays)
        out += [candidate_from_data(d, by_id, s) for d, s in zip(payload, states, strict=True)]
    return out
