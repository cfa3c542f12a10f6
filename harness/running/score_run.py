"""`harness score RUN --grader G`: a new grader on the answers that a run has stored; the run is left as it is.

folder = score_run(prospect(Path("results"), "latest", Asked("checks.py:polite"), cache))

OUT/scores/<run>-<grader>-<hash of what was asked>/ holds scores.parquet (an answer each), table.parquet, report.md,
about.json (the run, the grader and its identity) and, where scores are made of parts, parts.parquet. What is there as
it was written is shown and not made again.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from harness.core.data.prompts import read_data
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import put_parquet, renewed
from harness.core.graders.grade import Grade, Grader
from harness.core.graders.load import load_grader
from harness.core.graders.scorer import Scorer
from harness.core.graders.worker import Limits
from harness.core.json_file import write_json
from harness.core.manifest import write_manifest, written_problems
from harness.core.outside import outside_of
from harness.core.proven import take_or_make
from harness.core.reward import require_some
from harness.core.slug import short_enough, slug
from harness.core.types import Completion, Prompt
from harness.evidence.row import frame
from harness.evidence.schema import ANSWER
from harness.evidence.scored import SCORE, report_of_scores, scored_rows
from harness.evidence.store import Run, find_run, load_run
from harness.tasks.data import DataConfig

VERSION = 1  # of what is stored here; raised when a change alters numbers


@dataclass(frozen=True)
class Asked:
    """The grader, and where it finds what it needs: the file of the run's prompts, a chat server."""

    grader: str
    data: str | None = None  # None: the file that the run's command names
    endpoint: str = ""
    key_variable: str = ""


@dataclass(frozen=True)
class Prospect:
    """What is to be scored, and where that is stored."""

    run: Run
    grader: Grader
    folder: Path
    asked: Mapping[str, Any]
    completions: Sequence[Completion]  # in the order of the run's table
    mind: Sequence[str]

    @property
    def said(self) -> list[str]:
        """What scoring would take."""
        if self.folder.exists() and not written_problems(self.folder):
            return [self.folder.name, "It is done: the command would show it, and grade nothing."]
        distinct = len({(c.prompt.id, c.text) for c in self.completions})
        prompts = len({c.prompt.id for c in self.completions})
        return [
            self.folder.name,
            f"{len(self.completions):,} answers to {prompts:,} prompts, {distinct:,} of them different, are graded by "
            f"{self.grader.name}.",
            *self.mind,
        ]


def prospect(out: Path, reference: str, asked: Asked, cache: Path) -> Prospect:
    """Raises UserError for a run that is none, a grader that is none, and rows that cannot be had."""
    run = load_run(find_run(out, reference))
    config = DataConfig(grader=asked.grader, endpoint=asked.endpoint, key_variable=asked.key_variable)
    grader = load_grader(asked.grader, outside_of(config, cache), Limits(config.seconds, config.memory_gib))
    prompts = _prompts(run, grader, asked.data)
    answers = run.completions.select("prompt_id", "response").iter_rows()
    completions = [Completion(prompts[name], (), text, None) for name, text in answers]
    what = {"version": VERSION, "run": run.id, "grader": grader.identity}
    name = short_enough(f"{run.id}-{slug(grader.name)[:40]}")
    folder = out / "scores" / f"{name}-{digest(what)[:10]}"
    return Prospect(run, grader, folder, what, completions, _mind(run, grader))


def score_run(found: Prospect) -> Path:
    """The folder of the scores, made or found done. Raises UserError where no answer has a score."""
    folder = found.folder
    wrong, make = partial(written_problems, folder), partial(_score, found)
    if not take_or_make(folder, folder.parent.parent, folder.name, wrong, make):
        print(f"{folder.name} is done", file=sys.stderr)
    return folder


def _score(found: Prospect) -> None:
    scorer, run = Scorer(found.grader), found.run
    grades = scorer.grades(found.completions)
    found.grader.close()
    scores = pl.Series(SCORE, [grade.score for grade in grades], pl.Float64)
    require_some(f"the grader {found.grader.name}", scores.to_numpy(), found.completions)
    keys = run.completions.select("run_id", *ANSWER)
    reasons = pl.Series("error", [grade.error for grade in grades], pl.String)
    table = keys.with_columns(scores, reasons, pl.Series("detail", [grade.detail for grade in grades], pl.String))
    parts, rows = _parts(keys, grades), scored_rows(run, table)
    about = {
        **found.asked,
        "grader": found.grader.name,
        "identity": found.grader.identity,
        "reads": "everything" if found.grader.reads == "everything" else sorted(found.grader.reads),
        "mind": list(found.mind),
        "unscored": {reason: {"count": sum(grade.error == reason for grade in grades), "detail": of.detail}
                     for reason, of in scorer.failures.items()},
    }  # fmt: skip
    with renewed(found.folder) as part:
        part.mkdir()
        tables = {"scores": table, "table": frame(rows), **({} if parts is None else {"parts": parts})}
        for name, content in tables.items():
            put_parquet(content, part / f"{name}.parquet")
        write_json(part / "about.json", about)
        text = report_of_scores(found.folder.name, run, rows, parts, about)
        (part / "report.md").write_text(text, encoding="utf-8")
        counts = {f"{name}.parquet": len(content) for name, content in tables.items()}
        write_manifest(part, [*counts, "about.json", "report.md"], rows=counts)


def _parts(keys: pl.DataFrame, grades: Sequence[Grade]) -> pl.DataFrame | None:
    rows = [
        {**key, "grader": "score", "part": name, "value": float(value)}
        for key, grade in zip(keys.iter_rows(named=True), grades, strict=True)
        for name, value in grade.metrics.items()
        if value == value
    ]
    return pl.DataFrame(rows) if rows else None


def _mind(run: Run, grader: Grader) -> list[str]:
    """Where the run has been optimised for what it is scored by."""
    settings = (run.record.identity or {}).get("task", {}).get("settings", {})
    if isinstance(settings, Mapping) and settings.get("grader") == grader.identity:
        return ["this grader is the proxy of the run, which its methods optimised"]
    return []


def _prompts(run: Run, grader: Grader, file: str | None) -> Mapping[str, Prompt]:
    """By id. Of a file of data with their rows, else as the run shows them, with the reference alone."""
    answered = set(run.completions["prompt_id"])
    given = _file_of(run) if file is None else file
    if given is None:
        if grader.reads != "everything" and (rows := sorted(grader.reads - {"reference"})):
            raise UserError(
                f"the grader {grader.name} reads {', '.join(rows)} of the row, and {run.id} answered prompts of the "
                f"task {run.record.config.task}, which has no rows; take a grader that reads no more than `reference`"
            )
        columns = ["prompt_id", "prompt", *(["reference"] if "reference" in run.completions.columns else [])]
        shown = run.completions.unique("prompt_id").select(columns).to_dicts()
        return {row["prompt_id"]: Prompt(row["prompt_id"], row["prompt"], None, row.get("reference")) for row in shown}
    if not Path(given).is_file():
        raise UserError(f"the prompts of {run.id} are of {given!r}, and no such file is here; name it with --data FILE")
    data = read_data(Path(given))
    prompts = {prompt.id: prompt for of in data.prompts.values() for prompt in of}
    if missing := answered - set(prompts):
        raise UserError(
            f"{given} has {len(answered) - len(missing)} of the {len(answered)} prompts that {run.id} answered; give "
            "the file as it was, with --data FILE"
        )
    return prompts


def _file_of(run: Run) -> str | None:
    """The file of prompts that the command of a run names; None of a task that has none."""
    if "prompt_rule" not in run.record.task_facts:
        return None
    words = list(run.record.command or ())
    if "--data" not in words:
        raise UserError(f"{run.id} does not say which file its prompts are of; name it with --data FILE")
    return words[words.index("--data") + 1]
