"""A stored run's answers under another grader: a row a method, with paired differences, and the report of that.

rows = scored_rows(run, scores)          # scores: ROW, prompt_id, score; NaN where there is none
rows[2].score, rows[2].against_base      # in points of that grader
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from harness.core.printable import printable
from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate, correlation
from harness.evidence.clusters import clusters_in, column_of, few, resampled
from harness.evidence.markdown import digits_of, markdown_table, number, one_line, p_value
from harness.evidence.parts import parts_section
from harness.evidence.row import WHERE_TESTED
from harness.evidence.schema import ANSWER, GOLD, Row
from harness.evidence.store import Run
from harness.evidence.table import Answers, answers_by_row, answers_of, holm_of, repeats_value

SCORE = "score"


@dataclass(frozen=True)
class ScoredRow:
    """A row of a run's table under the grader, in its own points; None: not compared."""

    key: Row
    score: Estimate
    unscored: int
    against_base: Estimate | None
    against_best_of_n: Estimate | None  # the run's own answers
    with_gold: float  # correlation with the run's gold over the answers; NaN where either is constant
    p_base_holm: float | None = field(default=None, metadata=WHERE_TESTED)
    p_best_of_n_holm: float | None = field(default=None, metadata=WHERE_TESTED)
    clusters: int | None = field(default=None, metadata=WHERE_TESTED)


def scored_rows(run: Run, scores: pl.DataFrame) -> list[ScoredRow]:
    """One row a method, iteration and pick of the run's table, differences paired by prompt, Holm over each kind."""
    answers = answers_by_row(run)
    found = scores.select(*ANSWER, SCORE)
    no_score = pl.col(SCORE).fill_null(float("nan"))
    parts: Answers = {
        key: part.join(found, on=ANSWER, how="left", maintain_order="left").with_columns(no_score)
        for key, part in answers.items()
    }
    base, best = answers_of(parts, "base"), answers_of(parts, "best_of_n")
    rows = [_row(key, part, base, best) for key, part in parts.items() if not repeats_value(answers, key)]
    over_base, over_best = (
        holm_of([row.against_base for row in rows]), holm_of([row.against_best_of_n for row in rows])
    )  # fmt: skip
    return [
        replace(row, p_base_holm=a, p_best_of_n_holm=b) for row, a, b in zip(rows, over_base, over_best, strict=True)
    ]


def _row(key: Row, part: pl.DataFrame, base: pl.DataFrame | None, best: pl.DataFrame | None) -> ScoredRow:
    score, clusters = part[SCORE].to_numpy(), clusters_in(part)
    known = part.filter(pl.col(SCORE).is_not_nan() & pl.col(GOLD).is_not_nan())

    def against(other: pl.DataFrame | None, method: str) -> Estimate | None:
        if other is None or key.method == method:
            return None
        return stats.difference(score, other[SCORE].to_numpy(), clusters=clusters)

    return ScoredRow(
        key=key,
        score=stats.mean(score, clusters=clusters),
        unscored=int(part[SCORE].is_nan().sum()),
        against_base=against(base, "base"),
        against_best_of_n=against(best, "best_of_n"),
        with_gold=correlation(known[SCORE].to_numpy(), known[GOLD].to_numpy()) if len(known) > 1 else float("nan"),
        clusters=None if clusters is None else len(set(clusters)),
    )


def report_of_scores(
    name: str, run: Run, rows: Sequence[ScoredRow], parts: pl.DataFrame | None, about: Mapping[str, Any]
) -> str:
    """Markdown. `about` is about.json: the grader, what it reads, what had no score."""
    grader, clusters = _code(about["grader"]), rows[0].clusters
    reads = about["reads"] if isinstance(about["reads"], str) else ", ".join(about["reads"]) or "no column of the row"
    column, digits = column_of(run.record), digits_of(row.score for row in rows)
    sections = [
        f"# {name}",
        f"The {len(rows)} rows of {run.id} ({rows[0].score.n + rows[0].unscored} prompts) under the grader {grader} "
        f"({about['identity']}), which reads {_code(reads)}. Nothing was answered anew, and the run is as it was.",
        *(f"**Mind: {said}.**" for said in [few(clusters, column), *about["mind"]] if said),
        "\n".join(markdown_table([_cells(row, digits) for row in rows], unknown="")),
        f"Scores are in the grader's own points, with 95% bootstrap intervals over {resampled(clusters, column)}; "
        "differences are paired by prompt, with two-sided bootstrap tests and Holm's correction over the rows. "
        "`best-of-n` is the run's own. `with its gold` is the correlation with the gold of the run over the answers.",
        _unscored(about["unscored"]),
        parts_section(replace(run, parts=parts)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _cells(row: ScoredRow, digits: str) -> dict[str, str | None]:
    base, best = row.against_base, row.against_best_of_n
    return {
        "method": row.key.name,
        "final pick": row.key.final_pick,
        "score [95%]": row.score.shown(digits) + (f" ({row.unscored} unscored)" if row.unscored else ""),
        "score - base [95%]": None if base is None else base.shown(f"+{digits}"),
        "p (Holm)": p_value(row.p_base_holm),
        "score - best-of-n [95%]": None if best is None else best.shown(f"+{digits}"),
        "p (Holm) ": p_value(row.p_best_of_n_holm),
        "with its gold": number(row.with_gold),
    }


def _unscored(reasons: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"* {reason}: {of['count']:,} answers, such as: {_code(of['detail'])}" for reason, of in reasons.items()]
    return "\n".join(["No score:", "", *lines]) if lines else "Every answer has a score."


def _code(text: object) -> str:
    return f"`{printable(one_line(str(text))).replace('`', chr(39))}`"
