"""What `--dry-run` knows of a run: its stages, what the cache has of them, what is left to do, and about how long.

found = preview(config, workspace)
found.name, found.is_done, found.work.policy_tokens, found.seconds

Nothing is fitted, and nothing is written. The engine, which is loaded for the run's name anyway, is timed for a few
seconds on fit prompts; how long fits take is read off stored runs of the same model on the same kind of device.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from harness.core.api.spending import Prices, Tokens
from harness.core.digest import digest
from harness.core.generator import Generator
from harness.core.ledger import Phase
from harness.core.progress import RunProgress
from harness.core.types import Prompt
from harness.evidence.store import is_done, read_about, read_parquet
from harness.methods import METHODS
from harness.running.artifacts import Artifacts, Made, StageResult, nothing_beside, stored_batches
from harness.running.config import PRICES, RunConfig
from harness.running.evaluate import evaluate, score_pool
from harness.running.fits import first_key, fits, fitted_again
from harness.running.identity import run_id
from harness.running.material import Material, chosen_in_words, material_of
from harness.running.measured import Speed, measure
from harness.running.plan import Counts, PlannedStage
from harness.running.ranks import Ranks
from harness.running.request import Workspace
from harness.running.scoring import own_of
from harness.running.stages import Pool, RunContext, answer, sample_pool
from harness.running.trees import trace


@dataclass(frozen=True)
class Ahead:
    """A stage that is planned, and how many of its batches the cache has."""

    stage: PlannedStage
    stored: int
    batches: int

    @property
    def is_stored(self) -> bool:
        return self.stored == self.batches

    @property
    def left(self) -> float:
        """The share that is still to be made."""
        return 1 - self.stored / self.batches if self.batches else 0.0


@dataclass(frozen=True)
class Preview:
    """A run that was not done."""

    name: str
    is_done: bool
    stages: Sequence[Ahead]
    flops_of_token: float
    flops_of_reward: float
    workers: int
    speed: Speed | None  # None: no stage is left, or a server decides
    seconds_of_fits: Mapping[str, float]  # of a text, by method; what stored runs say
    facts: str
    prices: Prices | None = None  # of a server's tokens; None: the model computes here
    introduction: Sequence[str] = ()  # lines of the task, where it is a file of the user's

    @property
    def unknown(self) -> list[str]:
        """What is left to do and was not counted, stage by stage."""
        return [one.stage.label for one in self.stages if not one.is_stored and one.stage.counts is None]

    def unsaid(self, method: str) -> Counts | None:
        """At least, of stages of a method that nobody can say beforehand and that are left; None without any."""
        found = [one for one in self.stages if one.stage.label in self.unknown and one.stage.method == method]
        return sum((one.stage.at_least.share(one.left) for one in found), Counts()) if found else None

    @property
    def untimed(self) -> list[str]:
        """Fits that no stored run tells the time of."""
        return [
            one.stage.label
            for one in self.stages
            if one.stage.kind == "fit" and not one.is_stored and one.stage.method not in self.seconds_of_fits
        ]

    def work(self, phase: Phase | None = None, method: str | None = None) -> Counts:
        """At most, of what is left to do."""
        chosen = [
            one
            for one in self.stages
            if phase in (None, one.stage.phase) and method in (None, one.stage.method) and one.stage.counts is not None
        ]
        return sum((one.stage.counts.share(one.left) for one in chosen if one.stage.counts is not None), Counts())

    def flops(self, phase: Phase | None = None) -> float | None:
        """Of policy tokens and reward calls that are left; None where nothing is priced, as on the toy."""
        work = self.work(phase)
        if not self.flops_of_token:
            return None
        return work.policy_tokens * self.flops_of_token + work.reward_calls * self.flops_of_reward

    def usd(self, phase: Phase) -> float | None:
        """Dollars of what is left to ask of a server, at most and at full price; None where it has no prices."""
        work = self.work(phase)
        if self.prices is None or not (self.prices.input or self.prices.output):
            return None
        return self.prices.of(Tokens(work.sent_tokens, 0, work.written_tokens))

    @property
    def seconds(self) -> float:
        """About how long the stages take on this machine, less those that are `unknown` or `untimed`."""
        return 0.0 if self.speed is None else sum(self._seconds(one, self.speed) for one in self.stages)

    def seconds_anew(self, speed: Speed) -> float:
        """About how long the stages of its methods take where the cache has none of them, on samples that are there."""
        anew = [Ahead(one.stage, 0, one.batches) for one in self.stages if one.stage.method != "harness"]
        return sum(self._seconds(one, speed) for one in anew)

    def _seconds(self, one: Ahead, speed: Speed) -> float:
        if one.stage.kind == "fit":
            texts = (one.stage.counts or one.stage.at_least).fitted_texts
            return one.left * texts * self.seconds_of_fits.get(one.stage.method, 0.0)
        counts = one.stage.counts or one.stage.at_least
        batches = max(1, one.batches - one.stored)
        return speed.seconds(counts.share(one.left)) / min(self.workers, batches)


def preview(
    config: RunConfig,
    workspace: Workspace,
    fresh: bool = False,
    speed: Speed | None = None,
    told_by: Path | None = None,
) -> Preview:
    """Look at a run without doing it. Raises UserError for what the run itself would refuse.

    `speed` is that of another run of the same model, where one was measured; `told_by` an OUT whose stored runs tell
    how long fits take, where that is not the workspace's.
    """
    material = material_of(config, workspace, Ranks(), _Looking)
    context, name = material.context, run_id(material.context.config, material.identity)
    assert isinstance(context, _Looking)
    context.artifacts, context.progress = _Unwritten(workspace.cache), RunProgress(quiet=True)
    done = not fresh and is_done(workspace.out / "runs" / name)
    if not done and not fresh:
        _look(context, material)
    known = context.found
    ahead = [
        Ahead(one, stored=known.get(one.label, (0, 0))[0], batches=known.get(one.label, (0, one.batches))[1])
        for one in material.stages
    ]
    if done:
        ahead = [Ahead(one.stage, one.batches, one.batches) for one in ahead]
    return Preview(
        name=name,
        is_done=done,
        stages=ahead,
        flops_of_token=2.0 * context.policy.active_parameters,
        flops_of_reward=context.task.reward_flops,
        workers=context.workers,
        speed=None
        if context.policy.elsewhere or all(one.is_stored for one in ahead)
        else speed or measure(context, material.fit_slices[0]),
        prices=config.settings[PRICES] if context.policy.elsewhere else None,
        seconds_of_fits=_seconds_of_fits(told_by or workspace.out, material.identity),
        introduction=[*material.introduction, *chosen_in_words(material)],
        facts=f"{context.task.title or config.task}, {config.model}, {len(material.test)} "
        f"{config.settings['evaluate'].slice} prompts, {config.profile}, seed {config.seed}",
    )


class _NotStored(Exception):
    """A stage that is looked for is not whole in the cache."""


@dataclass
class _Looking(RunContext):
    """Finds stages and does none: what goes on from one that is not there ends with `_NotStored`."""

    found: dict[str, tuple[int, int]] = field(default_factory=dict)  # label -> sound batches in the cache, of how many
    writes: bool = False

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
        named = names or [f"{i:04d}" for i in range(len(batches))]
        stored = len(stored_batches(folder, named, beside).batches)
        self.found[label] = stored, len(named)
        if stored < len(named):
            raise _NotStored(label)
        return super().do(label, folder, batches, job, phase, names, workers, beside)


class _Unwritten(Artifacts):
    """The cache without notes of what is looked for."""

    def folder(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        return self.root / stage / digest(inputs)[:20]


def _look(context: RunContext, material: Material) -> None:
    """Follow the run's own keys from stage to stage, as far as what they are made of is stored."""
    with suppress(_NotStored):
        pool = sample_pool(context, material.fit_slices[0])
        with suppress(_NotStored):
            score_pool(context, pool)
        for name in context.config.methods:
            with suppress(_NotStored):
                for iteration, method, key in _fitted(context, name, pool, material.fit_slices):
                    with suppress(_NotStored):
                        _look_at_answers(context, name, iteration, method, key, material.test)
        for refit in range(1, context.config.settings["fit"].refits):
            for name in context.config.methods:
                with suppress(_NotStored):
                    fitted_again(context, name, refit, pool, material.fit_slices, material.test)


def _fitted(
    context: RunContext, name: str, pool: Pool, fit_slices: Sequence[list[Prompt]]
) -> Iterator[tuple[int, Generator, str]]:
    """A method as each of its stored fits leaves it, with the key of its answers."""
    method = context.method(name, pool.proxy)
    if method.iterations == 0:
        yield 0, method, first_key(name, method, pool)
    for made in fits(context, name, method, pool, fit_slices):
        yield made.iteration, method, made.key


def _look_at_answers(
    context: RunContext, name: str, iteration: int, method: Generator, key: str, test: Sequence[Prompt]
) -> None:
    if method.searches and context.config.settings["evaluate"].trace:
        with suppress(_NotStored):  # of few prompts, which a shorter run may have searched
            trace(context, name, iteration, method, key, test)
    answers = answer(context, name, iteration, method, key, test)
    rows: dict[str, list[dict[str, Any]]] = {"completions": [], "scores": [], "pool": []}
    evaluate(context, name, iteration, answers, rows, own_of(method, key))


def _seconds_of_fits(out: Path, identity: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of fitting on a text, by method, in finished runs of the same model on the same kind of device."""
    seconds: dict[str, float] = {}
    texts: dict[str, int] = {}
    now = identity["model"]["fingerprint"], identity["engine"].get("device", "cpu")
    for path in sorted((out / "runs").glob("*/run.json")):
        if not is_done(path.parent):
            continue
        about = read_about(path.parent)
        was = about.get("model_fingerprint"), str(about.get("device")).partition(":")[0]
        ledger = read_parquet(path.parent / "ledger.parquet")
        if was != now or "artifact" not in ledger.columns:
            continue
        sampled = ledger.filter(pl.col("tokens") > 0)["artifact"].unique().implode()  # rollouts, which value, too
        fitted = ledger.filter(
            pl.col("phase") == "fit", pl.col("role") == "value", pl.col("computed"), ~pl.col("artifact").is_in(sampled)
        )
        for row in fitted.iter_rows(named=True):
            name = row["method"].partition(" (refit")[0]
            seconds[name] = seconds.get(name, 0.0) + row["seconds"]
            texts[name] = texts.get(name, 0) + row["sequences"]
    return {name: seconds[name] / count for name, count in texts.items() if count and name in METHODS}
