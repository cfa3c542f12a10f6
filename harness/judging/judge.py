"""`python -m harness judge RUN --opponent base --judge gold`: how often stored answers beat an opponent's; no torch.

OUT/judgements/<run>-<opponent>-<judge>-<hash>/ holds annotations.parquet (a row a pair), table.parquet, report.md and
about.json (what was asked). What is there is shown, not judged again.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate
from harness.evidence import figures
from harness.evidence.markdown import percent
from harness.evidence.row import Judged, frame
from harness.evidence.schema import ROW, Row
from harness.evidence.store import Run, find_run, load_run
from harness.judging import alpaca_eval
from harness.judging.judges import Judge, Judgement, Pair
from harness.judging.length_control import length_controlled
from harness.judging.opponents import IN_THE_RUN, Contest, Selection, contests

VERSION = 1  # of what is stored here; raised when a change alters numbers


def judge_run(
    out: Path, reference: str, rows: Selection, opponent: str, opponent_rows: Selection, judge: Judge
) -> Path:
    """The folder of the judgement of a stored run's rows, made or found done.

    `opponent` is base, best_of_n, reference or a stored run. Raises UserError where the sides cannot be compared.
    """
    run = load_run(find_run(out, reference))
    other = None if opponent in IN_THE_RUN else load_run(find_run(out, opponent))
    rival = opponent if other is None else other.id
    asked = {
        "version": VERSION,
        "run": run.id,
        "rows": vars(rows),
        "opponent": rival,
        "opponent_rows": vars(opponent_rows),
        "judge": judge.about(),
    }
    folder = out / "judgements" / f"{run.id}-{rival}-{judge.name}-{digest(asked)[:10]}"
    if _is_done(folder):
        return folder
    if judge.reads_scores and other is not None:
        _require_equal_scorers(run, other)
    met = contests(run, rows, opponent, other, opponent_rows)
    judgements = iter(judge.judge([pair for contest in met for pair in contest.pairs]))
    annotations = [
        _annotation(run, contest, judge.annotator, pair, next(judgements)) for contest in met for pair in contest.pairs
    ]
    first = met[0]
    common = (
        f"{len(first.pairs)} common prompts of task {run.record.config.task} "
        f"({len(first.ours.prompts)} of {run.id}, {len(first.theirs.prompts)} of {rival})"
    )
    what = " ".join([f"{common}.", judge.describe(), *_not_at_equal_rows(met)])
    return _write(folder, asked, pl.DataFrame(annotations, infer_schema_length=None), what)


def import_judgement(out: Path, path: Path) -> Path:
    """The folder of the judgement made of AlpacaEval's annotations, or found done."""
    annotations = alpaca_eval.read_annotations(path)
    asked = {"version": VERSION, "import": path.name, "annotations": digest(annotations.to_dicts())}
    sides = alpaca_eval.slug("-".join(annotations.row(0, named=True)[side] for side in ("generator", "opponent")))
    folder = out / "judgements" / f"{sides}-import-{digest(asked)[:10]}"
    annotators = ", ".join(sorted(set(annotations["judge"]) - {""})) or "not named"
    return folder if _is_done(folder) else _write(folder, asked, annotations, f"From {path.name}; judge: {annotators}.")


def table_of(annotations: pl.DataFrame) -> list[Judged]:
    """One row for each judged side and opponent: rates in [0, 1], ties and pairs without a verdict as counts,
    the flip rate among pairs asked in both orders, the difference of lengths in characters."""
    rows = []
    for part in annotations.partition_by("generator", "opponent", maintain_order=True):
        preferences = part["preference"].to_numpy()
        ours, theirs = (part[side].str.len_chars().to_numpy().astype(int) for side in ("response", "opponent_response"))
        flipped = part["flipped"].drop_nulls().cast(float)
        rows.append(
            Judged(
                key=Row(*(part[name][0] for name in ROW)),
                opponent=part["opponent"][0],
                win_rate=stats.mean(preferences),
                length_controlled=length_controlled(preferences, ours, theirs),
                pairs=len(part),
                ties=int(np.sum(preferences == 0.5)),
                flip_rate=stats.mean(flipped.to_numpy()) if len(flipped) else None,
                unparsable=int(np.isnan(preferences).sum()),
                length_difference=stats.mean(ours - theirs),
            )
        )
    return rows


def table_markdown(table: Sequence[Judged]) -> str:
    header = (
        "| method | final pick | opponent | win rate | length-controlled | n | ties | flip rate | unparsable "
        "| length difference |"
    )
    lines = [header, "|" + "---|" * (header.count("|") - 1)]
    for row in table:
        cells = [
            row.key.name,
            row.key.final_pick,
            row.opponent,
            _rate(row.win_rate),
            _rate(row.length_controlled),
            str(row.win_rate.n),
            str(row.ties),
            _rate(row.flip_rate) if row.flip_rate else "",
            str(row.unparsable),
            row.length_difference.shown("+.0f"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _write(folder: Path, asked: Mapping[str, Any], annotations: pl.DataFrame, what: str) -> Path:
    table = table_of(annotations)
    notes = (
        "Win rates count a tie as half; intervals are 95% bootstrap intervals over prompts. `length-controlled` is the "
        "rate at equal lengths, sigmoid(theta) of logit P(win) = theta + phi * tanh(length difference / its sd): "
        "AlpacaEval's length control without the terms that belong to its own prompts (minimal). `n` are pairs with a "
        "verdict; `unparsable` are those without: an answer of the judge that could not be read, or a score that "
        "is missing. `flip rate` is the share of pairs where the judge's two orders disagreed, which makes them ties. "
        "Lengths in characters."
    )
    with whole(folder) as part:
        part.mkdir()
        annotations.write_parquet(part / "annotations.parquet")
        frame(table).write_parquet(part / "table.parquet")
        (part / "about.json").write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
        figures.judged(table, part / "win_rates.png")
        sections = [f"# {folder.name}", what, table_markdown(table), *_cost(annotations), notes]
        sections.append("![win rates](win_rates.png)")
        (part / "report.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return folder


def _is_done(folder: Path) -> bool:
    if done := (folder / "report.md").exists():
        print(f"{folder.name} is done", file=sys.stderr)
    return done


def _require_equal_scorers(run: Run, other: Run) -> None:
    if run.record.task_facts != other.record.task_facts:
        raise UserError(
            f"{run.id} and {other.id} were scored by rewards of other facts (see task_facts in their run.json), so "
            "their scores do not compare; use --judge llm"
        )


def _annotation(run: Run, contest: Contest, judge: str, pair: Pair, judgement: Judgement) -> dict[str, Any]:
    texts: list[str] | list[None] = [reply.text for reply in judgement.replies] or [None, None]
    return {
        "run_id": run.id,
        "task": run.record.config.task,
        "generator": contest.ours.name,
        **contest.ours.row._asdict(),
        "opponent": contest.theirs.name,
        "judge": judge,
        "prompt_id": pair.prompt_id,
        "prompt": pair.prompt,
        "response": pair.ours.text,
        "opponent_response": pair.theirs.text,
        "preference": judgement.preference,
        "flipped": judgement.flipped,
        "reply_ours_first": texts[0],
        "reply_ours_second": texts[1],
        "served_by": judgement.replies[0].model if judgement.replies else None,
        "judge_prompt_tokens": sum(reply.prompt_tokens for reply in judgement.replies),
        "judge_tokens": sum(reply.tokens for reply in judgement.replies),
    }


def _not_at_equal_rows(met: Sequence[Contest]) -> list[str]:
    """A sentence of the rows that met a best-of-n of another number of rows, or where rows are no measure."""
    unequal = list(dict.fromkeys(contest.unequal for contest in met if contest.unequal is not None))
    return [f"Not at equal rows a prompt: {'; '.join(unequal)}."] if unequal else []


def _cost(annotations: pl.DataFrame) -> list[str]:
    """What the judge read and wrote, as the server counted it."""
    if "judge_tokens" not in annotations.columns or annotations["served_by"].null_count() == len(annotations):
        return []
    asked = annotations.filter(pl.col("served_by").is_not_null())
    served = ", ".join(sorted(set(asked["served_by"]) - {""})) or "a model without a name"
    return [
        f"{2 * len(asked):,} answers of {served}: {asked['judge_prompt_tokens'].sum():,} prompt tokens and "
        f"{asked['judge_tokens'].sum():,} sampled, as if every pair were asked anew."
    ]


def _rate(rate: Estimate) -> str:
    return percent(rate) if not np.isnan(rate.value) else "none"
