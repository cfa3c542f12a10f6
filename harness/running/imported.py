"""Answers that another system gave, beside a stored run: graded by its task's rewards, paired with its rows.

    folder = import_answers(out, "imdb-3f2a", read_file(Path("gepa.jsonl")), Imported("gepa", rows=16), files, cache)

OUT/imports/<run>-<name>-<hash>/ is a run of its own to all that reads runs (report, view, judge, export, compare): the
tables of the run as they were stored, with the rows of the answers behind them. The run is not touched.
"""

import re
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness.comparing.records import TEXT, Record, Records, plain, shortened
from harness.comparing.rows import ID
from harness.core.api.use import USUAL, Use
from harness.core.as_before import hashed, is_content, named_by_content
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import put_parquet, renewed
from harness.core.ledger import Ledger
from harness.core.manifest import write_manifest
from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Policy
from harness.core.models.served.address import is_served
from harness.core.nested import flatten
from harness.core.proven import take_or_make
from harness.core.reward import RewardHandle
from harness.core.slug import short_enough
from harness.core.task import GOLD, Task
from harness.core.types import Completion, Prompt, Scorer, Work
from harness.evidence.record import versions_in_words
from harness.evidence.schema import ANSWER, BASE_NLL, CLUSTER, PROXY, REFERENCES, Row
from harness.evidence.store import TABLES, Run, find_run, is_done, load_run, write_about
from harness.running.config import RunConfig, resolve
from harness.running.finished import problems_of_run
from harness.running.gold import GoldHandle
from harness.running.material import policy_of
from harness.running.request import NAMING_FILES, Request
from harness.running.rescore import TOLERANCE
from harness.running.scoring import SCORED_TOGETHER
from harness.running.stages import RAW
from harness.tasks import TASKS

VERSION = 1  # of what is stored here
_NAME = re.compile(r"\w[\w.+-]{0,59}")
_CHECKED = 4  # stored answers of the base that are graded once more, so that both were graded alike


@dataclass(frozen=True)
class Imported:
    """The row of the answers. `rows` are what the system took for a prompt; None: rows do not measure it."""

    method: str
    rows: int | None = None

    def require_free(self, run: Run) -> None:
        """Raises UserError for a name that the run has, or that no table can show."""
        if not _NAME.fullmatch(self.method):
            raise UserError(f"--method {self.method!r}: letters, digits, and ._+- make a name, up to 60 of them")
        taken = {*run.completions["method"].unique(), *REFERENCES}
        if self.method in taken:
            raise UserError(f"--method {self.method}: {run.id} has rows of that name; call the system otherwise")
        if self.rows is not None and self.rows < 1:
            raise UserError(f"--rows {self.rows}: give the rows a prompt that the system took, at least 1")


def import_answers(
    out: Path,
    reference: str,
    given: Records,
    of: Imported,
    files: Mapping[str, Any],
    cache: Path,
    use: Use = USUAL,
) -> Path:
    """The folder of the import, made or found done. `files` are the settings of the run's task that name
    files, such as data.grader or ifeval.official: a run keeps what they hold, and not where they lie.

    Raises UserError where answers and prompts cannot be paired, or the rewards are not those of the run.
    """
    run = load_run(find_run(out, reference))
    of.require_free(run)
    answers = _paired(run, given)
    asked = {"version": VERSION, "run": run.id, **asdict(of), "answers": answers.by_prompt}
    beside = run.folder.parent.parent
    folder = beside / "imports" / f"{short_enough(f'{run.id}-{of.method}')}-{digest(asked)[:10]}"

    def wrong() -> list[str]:
        return problems_of_run(folder) or ([] if is_done(folder) else ["it was not finished"])

    def make() -> None:
        config = _config(run, files)
        policy = policy_of(config, cache, use)
        task = TASKS[config.task](config.settings[config.task], policy, cache)
        prompts = _prompts(run, task)
        grading = _Grading(task, policy, config)
        grading.require_as_stored(run, prompts)
        texts = [(prompts[i], text) for i, text in answers.by_prompt.items()]
        completions = [grading.completion(prompt, text) for prompt, text in texts]
        scores = grading.scores(completions)
        with renewed(folder) as part:
            part.mkdir()
            _write(part, run, of, given, answers, completions, scores)

    take_or_make(folder, beside, folder.name, wrong, make)
    return folder


@dataclass(frozen=True)
class _Answers:
    """Prompt id -> text, and what could not be paired."""

    by_prompt: Mapping[str, str]
    missing: Sequence[str]  # prompts of the run without an answer
    others: int  # records of prompts that the run does not have


def _paired(run: Run, given: Records) -> _Answers:
    """Raises UserError where a prompt has several answers, none has one, or a record holds none."""
    prompts = dict(run.completions.unique("prompt_id").sort("prompt_id").select("prompt_id", "prompt").iter_rows())
    by_text: dict[str, list[str]] = {}
    for own, text in prompts.items():
        by_text.setdefault(plain(text), []).append(own)
    found: dict[str, str] = {}
    others, times = 0, Counter[str]()
    for record in given.records:
        owners = _owners(record, prompts, by_text)
        if not owners:
            others += 1
            continue
        if record.answer is None:
            raise UserError(f"{given.source}, {record.where} holds no answer, or several; give one as response, output "
                            "or completion, or leave the prompt out")  # fmt: skip
        times.update(owners)
        found |= dict.fromkeys(owners, record.answer)
    if twice := [own for own, n in times.items() if n > 1]:
        raise UserError(
            f"{given.source} has several answers to {len(twice)} prompts, e.g. {times[twice[0]]} to "
            f"{shortened(prompts[twice[0]])}; keep one answer a prompt"
        )
    if not found:
        seen = given.records[0].names
        first = seen.get(TEXT, next(iter(seen.values())))
        raise UserError(
            f"{given.source} answers none of the {len(prompts)} prompts of {run.id}: it has {shortened(first)}, the "
            f"run {shortened(next(iter(prompts.values())))}; give rows with the prompt's text, or its id as prompt_id"
        )
    missing = [own for own in prompts if own not in found]
    return _Answers(dict(sorted(found.items())), missing, others)


def _owners(record: Record, prompts: Mapping[str, str], by_text: Mapping[str, list[str]]) -> list[str]:
    """The prompts of the run that a record answers: by its id, else all of the same text."""
    if (own := record.names.get(ID)) is not None and own in prompts:
        text = record.names.get(TEXT)
        if text is not None and plain(text) != plain(prompts[own]):
            raise UserError(f"{record.where} names prompt {own!r} and asks {shortened(text)}, which is another text "
                            f"than the run's, {shortened(prompts[own])}; give the one it answers")  # fmt: skip
        return [own]
    return by_text.get(plain(record.names[TEXT]), []) if TEXT in record.names else []


def _config(run: Run, files: Mapping[str, Any]) -> RunConfig:
    """The run's task and model as they are here. Raises UserError for files that hold something else."""
    asked = run.about["config"]
    name, stored = asked["task"], asked["settings"][asked["task"]]
    of_files = {f"{name}.{key}": stored.get(key) for key in named_by_content(TASKS[name].Config)}
    if others := [setting for setting in files if setting not in of_files]:
        raise UserError(f"{run.id} is of task {name}, which has its own prompts and rewards; leave "
                        f"{', '.join(_option(one) for one in others)} out")  # fmt: skip
    needed = [setting for setting, content in of_files.items() if is_content(content)]
    if missing := [_option(setting, "FILE") for setting in needed if setting not in files]:
        raise UserError(f"{run.id} is of files; give {' and '.join(missing)}, as for the run")
    elsewhere = [setting for setting, content in of_files.items() if content == "" or is_content(content)]
    here = {key: value for key, value in stored.items() if f"{name}.{key}" not in elsewhere}
    kept = {part: asked["settings"].get(part, {}) for part in ("sampler", "model_args")}
    given = [*flatten({name: here, **kept}), *files.items()]
    same = {key: asked[key] for key in ("task", "model", "profile", "seed", "dtype")}
    device = "auto" if is_served(same["model"]) else "cpu"
    config = resolve(Request(**same, device=device, methods=("base",), only=True, given=given))
    now = hashed(config.settings[name])
    for setting in files:
        if (now.get(setting.partition(".")[2]) or "") != (of_files[setting] or ""):
            raise UserError(f"{_option(setting)} {files[setting]!r} is gone, or holds something else than what "
                            f"{run.id} was made with; give the same files")  # fmt: skip
    return config


def _option(setting: str, value: str = "") -> str:
    """How the command line gives a setting that names a file, and its value."""
    options = {of: option.replace("_", "-") for option, of in NAMING_FILES.items()}
    named, between = (f"--{options[setting]}", " ") if setting in options else (f"--set {setting}", "=")
    return f"{named}{between}{value}" if value else named


def _prompts(run: Run, task: Task) -> dict[str, Prompt]:
    """The run's prompts with all that graders read. Raises UserError where the task has others now."""
    part = run.record.settings("evaluate").get("slice", "test")
    prompts = {p.id: p for p in task.prompts(part)}
    if gone := set(run.completions["prompt_id"]) - set(prompts):
        raise UserError(f"task {run.record.config.task} has no prompt {min(gone)!r}, which {run.id} answered; it has "
                        "other prompts now, and the answers cannot be graded as the run's were")  # fmt: skip
    return prompts


class _Grading:
    """The rewards of a task, and the policy's own opinion of a text."""

    def __init__(self, task: Task, policy: Policy, config: RunConfig) -> None:
        self._task, self._policy, self._ledger = task, policy, Ledger()
        self._handle = PolicyHandle(policy, config.settings["sampler"], self._ledger)

    def completion(self, prompt: Prompt, text: str) -> Completion:
        """A text as this policy's tokens, where it has some."""
        tokens = self._handle.tokens_of(text) if "token level" in self._policy.capabilities else ()
        return Completion(prompt, tokens, text, None)

    def scores(self, completions: Sequence[Completion], stored_nll: Scorer | None = None) -> dict[str, np.ndarray]:
        """Every metric of the task, the proxy, and the base's NLL a token, unless it is stored; (n,), in raw units."""
        gold = GoldHandle(self._task, self._ledger, stored_nll or self._nlls)
        proxy = RewardHandle(self._task.reward(), self._ledger, RAW)
        parts = []
        with self._ledger.phase("score"):
            for start in range(0, len(completions), SCORED_TOGETHER):
                batch = completions[start : start + SCORED_TOGETHER]
                metrics = {**gold(batch), PROXY: proxy(batch)}
                if stored_nll is None:
                    metrics[BASE_NLL] = self._nlls(batch)
                parts.append(metrics)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def require_as_stored(self, run: Run, prompts: Mapping[str, Prompt]) -> None:
        """Raises UserError where the rewards are not those that graded the run: by version, and by a few answers."""
        recorded, now = run.record.reward_versions, self._task.versions
        if any(now.get(reward) != version for reward, version in recorded.items()):
            raise UserError(
                f"{run.id} was graded by rewards {versions_in_words(recorded)}, and this version has "
                f"{versions_in_words(now) or 'none'}: repeat the run's command, and import beside that"
            )
        gold, nlls = (
            run.scores.filter(pl.col("metric") == metric).select(*ANSWER, pl.col("value").alias(metric))
            for metric in (GOLD, BASE_NLL)
        )
        rows = run.completions.join(gold, on=ANSWER, how="inner").join(nlls, on=ANSWER, how="left").sort(*ANSWER)
        rows = rows[:_CHECKED]
        completions = [Completion(prompts[i], (), text, None)
                       for i, text in rows.select("prompt_id", "response").iter_rows()]  # fmt: skip
        nll = dict(zip(map(id, completions), rows[BASE_NLL].fill_null(nan).to_list(), strict=True))
        again = self.scores(completions, lambda asked: np.array([nll[id(one)] for one in asked], dtype=float))[GOLD]
        then = rows[GOLD].to_numpy()
        apart = np.where(np.isnan(then) & np.isnan(again), 0.0, np.nan_to_num(np.abs(then - again), nan=np.inf))
        if apart.max() > TOLERANCE:
            raise UserError(
                f"an answer of {run.id} that scored {then[apart.argmax()]:g} scores {again[apart.argmax()]:g} now: the "
                "gold is another one, and answers graded by it would not compare"
            )

    def _nlls(self, completions: Sequence[Completion]) -> np.ndarray:
        return np.array([self._nll(completion) for completion in completions])

    def _nll(self, completion: Completion) -> float:
        """Mean negative log-probability a token in nats; NaN for what the policy does not give, or cannot read."""
        if "logprobs" not in self._policy.capabilities or not completion.tokens:
            return nan
        try:
            return -float(self._handle.logprobs([completion])[0].mean())
        except (UserError, KeyError):  # longer than its context; no text of the toy
            return nan


def _write(
    folder: Path,
    run: Run,
    of: Imported,
    given: Records,
    answers: _Answers,
    completions: Sequence[Completion],
    scores: Mapping[str, np.ndarray],
) -> None:
    config, row = run.record.config, Row(of.method, 0, "first")
    where = {"run_id": run.id, "task": config.task, "seed": config.seed, "variant": "default", **row._asdict()}
    shown = {row["prompt_id"]: row for row in run.completions.unique("prompt_id").iter_rows(named=True)}
    unscored: dict[str, float] = dict.fromkeys(scores, nan)
    made: dict[str, tuple[Completion | None, dict[str, float]]]
    made = {c.prompt.id: (c, {name: float(of_all[i]) for name, of_all in scores.items()})
            for i, c in enumerate(completions)}  # fmt: skip
    rows: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for own, first in sorted(shown.items()):
        completion, metrics = made.get(own, (None, unscored))
        about = {**where, "prompt_id": own}
        rows.append(
            {
                **about,
                **{name: first[name] for name in (CLUSTER, "prompt", "reference") if name in first},
                "response": "" if completion is None else completion.text,
                "n_tokens": None if completion is None else len(completion.tokens) or (None if completion.text else 0),
                **dict.fromkeys(asdict(Work()), nan),  # nobody counted them
                "steps": None,
            }
        )
        points += [
            {**about, "metric": metric, "value": value}
            for metric, value in metrics.items()
            if metric != BASE_NLL or not isnan(value)  # so that its mean is over the answers that have one
        ]
    tables = {"completions": (run.completions, rows), "scores": (run.scores, points)}
    counts = {}
    for path in sorted(run.folder.glob("*.parquet")):
        if path.stem in (*TABLES, "trace", "values", "refits") and path.stem not in tables:
            shutil.copyfile(path, folder / path.name)
    for name, (stored, new) in tables.items():
        added = pl.DataFrame(new, infer_schema_length=None).select(pl.col(c) for c in new[0] if c in stored.columns)
        joined = pl.concat([stored, added], how="diagonal_relaxed")
        put_parquet(joined, folder / f"{name}.parquet")
        counts[f"{name}.parquet"] = len(joined)
    write_manifest(folder, (path.name for path in sorted(folder.glob("*.parquet"))), rows=counts)
    about = {
        **run.about,
        "budgets": {**run.about.get("budgets", {}), of.method: of.rows},
        "imported": [*run.about.get("imported", []), {
            **asdict(of), "run": run.id, "file": given.source, "kind": given.kind, "answers": digest(answers.by_prompt),
            "answered": len(completions), "missing": len(answers.missing), "others": answers.others,
            "regraded": min(_CHECKED, len(run.completions)),
        }],
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip
    write_about(folder, about)
