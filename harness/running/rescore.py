"""Gold of stored completions computed once more by their tasks, against what the runs stored.

A run whose rewards had another version is named, not scored: the rewards that it was scored by are gone.

python -m harness leaderboard --rescore 100      # exit code 1 where one differs by more than 1e-3
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness.core.as_before import is_content, named_by_content
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.models.served.address import is_served
from harness.core.models.served.policy import Words
from harness.core.nested import flatten
from harness.core.streams import Streams
from harness.core.task import GOLD
from harness.core.types import Completion
from harness.evidence.record import versions_in_words
from harness.evidence.schema import ANSWER, BASE_NLL
from harness.evidence.store import Run, is_done, load_run
from harness.running.config import RunConfig, resolve
from harness.running.material import policy_of
from harness.running.request import Request
from harness.tasks import TASKS

TOLERANCE = 1e-3  # raw units of the gold


@dataclass(frozen=True)
class Rescored:
    """One task with its settings and model: `largest` is the largest difference, in raw units, at `where`.

    Where `not_scored` says why, there was nothing to compare.
    """

    name: str
    n: int
    largest: float
    where: str = ""
    not_scored: str = ""

    def __str__(self) -> str:
        if self.not_scored:
            return f"{self.name}: not scored, {self.not_scored}"
        return f"{self.name}: largest difference of {self.n} golds {self.largest:.2g} ({self.where})"


def rescore(out: Path, n: int, cache: Path) -> list[Rescored]:
    """Draw `n` stored completions of every task (seeded by its name), score them anew, and compare."""
    groups: dict[str, list[Run]] = {}
    for path in sorted((out / "runs").glob("*/run.json")):
        if is_done(path.parent):
            run = load_run(path.parent)
            rewards = run.record.reward_versions
            groups.setdefault(digest([_task_of(run), run.about["config"]["model"], rewards]), []).append(run)
    if not groups:
        raise UserError(f"there is no finished run in {out / 'runs'} to score again")
    return [_rescored(runs, n, cache) for runs in groups.values()]


def _rescored(runs: Sequence[Run], n: int, cache: Path) -> Rescored:
    asked = runs[0].about["config"]
    if "prompt_rule" in runs[0].record.task_facts or _has_files(runs[0]):
        what = f"{asked['task']}, {asked['model']}"
        return Rescored(what, 0, 0.0, not_scored="prompts and graders of files that lie elsewhere")
    if (name := runs[0].record.task_name) != asked["task"]:
        return Rescored(f"{name}, {asked['model']}", 0, 0.0, not_scored="a benchmark whose documents lie elsewhere")
    config = _config(runs[0])
    cutter = Words() if is_served(config.model) else policy_of(config, cache)
    task = TASKS[config.task](config.settings[config.task], cutter, cache)
    name, recorded = f"{config.task}, {config.model}", runs[0].record.reward_versions
    if any(task.versions.get(reward) != version for reward, version in recorded.items()):
        now, then = versions_in_words(task.versions), versions_in_words(recorded)
        count = f"{len(runs)} run" + ("s" if len(runs) > 1 else "")
        return Rescored(name, 0, 0.0, not_scored=f"{count} of rewards {then}, and this version has {now or 'none'}")
    slices = {run.record.settings("evaluate")["slice"] for run in runs}
    prompts = {p.id: p for part in slices for p in task.prompts(part)}
    stored = pl.concat([_stored(run) for run in runs])
    if unknown := set(stored["prompt_id"]) - set(prompts):
        raise UserError(f"task {config.task} has no prompt {min(unknown)!r}, which {runs[0].id} and others answered")
    chosen = Streams(0).generator("rescore", config.task).permutation(len(stored))[:n]
    rows = stored[sorted(chosen.tolist())]
    completions = [
        Completion(prompts[i], (), text, None) for i, text in rows.select("prompt_id", "response").iter_rows()
    ]
    nll = dict(zip(map(id, completions), rows[BASE_NLL].to_list(), strict=True))  # as the runs stored it
    scores = task.score_beside_base(completions, lambda asked: np.array([nll[id(one)] for one in asked], dtype=float))
    old, new = rows["value"].to_numpy(), np.asarray(scores[GOLD], dtype=float)
    apart = np.where(np.isnan(old) & np.isnan(new), 0.0, np.nan_to_num(np.abs(old - new), nan=np.inf))
    worst = rows.row(int(apart.argmax()), named=True)
    where = f"{worst['run_id']} {worst['method']}, iteration {worst['iteration']}, prompt {worst['prompt_id']}"
    return Rescored(name, len(rows), float(apart.max()), where)


def _has_files(run: Run) -> bool:
    """Whether settings of the task name files, of which a run has only what names their content."""
    config = run.about["config"]
    settings, names = config["settings"][config["task"]], named_by_content(TASKS[TASKS.name_of(config["task"])].Config)
    return any(is_content(settings.get(name)) for name in names)


def _stored(run: Run) -> pl.DataFrame:
    gold, nll = (
        run.scores.filter(pl.col("metric") == metric).select(*ANSWER, pl.col("value").alias(name))
        for metric, name in ((GOLD, "value"), (BASE_NLL, BASE_NLL))
    )
    answers = run.completions.select("run_id", *ANSWER, "response").join(gold, on=ANSWER, how="inner")
    return answers.join(nll, on=ANSWER, how="left", maintain_order="left")


def _task_of(run: Run) -> dict[str, Any]:
    config = run.about["config"]
    return {config["task"]: config["settings"][config["task"]]}


def _config(run: Run) -> RunConfig:
    config = run.about["config"]
    same = {name: config[name] for name in ("task", "model", "profile", "seed", "dtype")}
    return resolve(Request(**same, device="cpu", methods=("base",), only=True, given=flatten(_task_of(run))))
