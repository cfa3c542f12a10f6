"""`python -m harness judge RUN --opponent base --judge gold`: how often stored answers beat an opponent's; no torch.

OUT/judgements/<run>-<opponent>-<judge>-<hash>/ holds annotations.parquet (a row a pair), table.parquet, report.md and
about.json (what was asked). What is there is shown and not judged again; where replies were no whole answers, the same
command asks for those once more, and replaces the folder. Of equal commands at once one judges, and the others wait.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness.core.chat.reply import REASONS, Withheld
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import renewed
from harness.core.json_file import write_json
from harness.core.lock import LOCKS, alone
from harness.core.manifest import MANIFEST, problems_of, write_manifest
from harness.core.printable import printable, without_controls
from harness.core.slug import short_enough, slug
from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate
from harness.evidence.clusters import few, resampled
from harness.evidence.figures import files
from harness.evidence.figures.judged import judged
from harness.evidence.foreign import foreign
from harness.evidence.markdown import markdown_table, percent
from harness.evidence.names import display_name
from harness.evidence.proven_table import write_proven
from harness.evidence.row import Judged, frame
from harness.evidence.schema import CLUSTER, ROW, Row
from harness.evidence.store import Run, find_run, load_run, read_json, read_parquet
from harness.judging import alpaca_eval
from harness.judging.judges import Judge, Judgement, Pair, compares_scores
from harness.judging.length_control import CHAT_MODELS, SCORES, by_prompt, length_controlled, of_prompts
from harness.judging.opponents import IN_THE_RUN, Contest, Selection, contests

VERSION = 2  # of what is stored here; raised when a change alters numbers


def judge_run(
    out: Path, reference: str, rows: Selection, opponent: str, opponent_rows: Selection, judge: Judge
) -> Path:
    """The folder of the judgement of a stored run's rows, made or found done.

    `opponent` is base, best_of_n, reference or a stored run. Raises UserError where the sides cannot be compared.
    """
    case = _case(out, reference, rows, opponent, opponent_rows, judge)
    return _once(case.folder, lambda: _judge(case))


def _judge(case: "_Case") -> Path:
    run, asked, judge = case.run, case.asked, case.judge
    with foreign(*case.folders):
        met = case.met()
    judgements = iter(judge.judge([pair for contest in met for pair in contest.pairs]))
    annotations = [
        _annotation(run, contest, judge.annotator, pair, next(judgements)) for contest in met for pair in contest.pairs
    ]
    if CLUSTER in run.completions.columns:
        cluster_of = dict(run.completions.select("prompt_id", CLUSTER).iter_rows())
        annotations = [{**row, CLUSTER: cluster_of[row["prompt_id"]]} for row in annotations]
    first = met[0]
    common = (
        f"{len(first.pairs)} common prompts of task {run.record.task_name} "
        f"({len(first.ours.prompts)} of {run.id}, {len(first.theirs.prompts)} of {asked['opponent']})"
    )
    what = " ".join([f"{common}.", judge.describe(), *_not_at_equal_rows(met)])
    return _write(case.folder, asked, pl.DataFrame(annotations, infer_schema_length=None), what)


def preview_judgement(
    out: Path, reference: str, rows: Selection, opponent: str, opponent_rows: Selection, judge: Judge
) -> list[str]:
    """Lines of what `judge_run` would do; nothing is done. Raises UserError for what it would refuse."""
    case = _case(out, reference, rows, opponent, opponent_rows, judge)
    if _is_done(case.folder):
        return [case.folder.name, "It is done: the command would show it, and ask nobody."]
    with foreign(*case.folders):
        met = case.met()
    pairs = [pair for contest in met for pair in contest.pairs]
    names = ", ".join(dict.fromkeys(display_name(contest.ours.row.method) for contest in met))
    who = f"{len(met)} rows ({names}) over {display_name(opponent)}"
    return [
        case.folder.name,
        f"{len(pairs):,} pairs on {len(met[0].pairs)} prompts: {who}.",
        f"{judge.outlook(pairs)}.",
        *_not_at_equal_rows(met),
    ]


@dataclass(frozen=True)
class _Case:
    """What is to be judged, and where that is stored."""

    run: Run
    other: Run | None
    folder: Path
    asked: Mapping[str, Any]
    rows: Selection
    opponent: str
    opponent_rows: Selection
    judge: Judge

    @property
    def folders(self) -> list[Path]:
        """Of the runs that are judged."""
        return [run.folder for run in (self.run, self.other) if run is not None]

    def met(self) -> list[Contest]:
        """Who meets whom. Raises UserError where the sides cannot be compared."""
        if self.judge.reads_scores and self.other is not None:
            _require_equal_scorers(self.run, self.other)
        return contests(self.run, self.rows, self.opponent, self.other, self.opponent_rows)


def _case(out: Path, reference: str, rows: Selection, opponent: str, opponent_rows: Selection, judge: Judge) -> _Case:
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
    sides = short_enough(f"{run.id}-{rival}-{judge.name}")
    folder = out / "judgements" / f"{sides}-{digest(asked)[:10]}"
    return _Case(run, other, folder, asked, rows, opponent, opponent_rows, judge)


def import_judgement(out: Path, path: Path) -> Path:
    """The folder of the judgement made of AlpacaEval's annotations, or found done."""
    annotations = alpaca_eval.read_annotations(path)
    asked = {"version": VERSION, "import": path.name, "annotations": digest(annotations.to_dicts())}
    sides = slug("-".join(annotations.row(0, named=True)[side] for side in ("generator", "opponent")))
    folder = out / "judgements" / f"{sides}-import-{digest(asked)[:10]}"
    annotators = ", ".join(sorted(set(annotations["judge"]) - {""})) or "not named"
    what = f"From {path.name}; judge: {annotators}."
    return _once(folder, lambda: _write(folder, asked, annotations, what))


def _once(folder: Path, make: Callable[[], Path]) -> Path:
    """Have a judgement made, one process at a time, or find it done."""
    if not _is_done(folder):
        with alone(folder.parent.parent / LOCKS / f"judgements-{folder.name}", folder.name):
            if not _is_done(folder):  # else another process was faster
                if damage := _damage(folder):
                    print(printable(f"{damage}; judged again"), file=sys.stderr)
                return make()
    print(printable(f"{folder.name} is done"), file=sys.stderr)
    return folder


def table_of(annotations: pl.DataFrame) -> list[Judged]:
    """One row for each judged side and opponent: rates in [0, 1], ties and pairs without a verdict as counts,
    the flip rate among prompts asked about in both orders, the difference of lengths in characters."""
    rows = []
    for part in annotations.partition_by("generator", "opponent", maintain_order=True):
        preferences, prompts = part["preference"].to_numpy(), part["prompt_id"].to_list()
        ours, theirs = (part[side].str.len_chars().to_numpy().astype(int) for side in ("response", "opponent_response"))
        flipped = part.filter(pl.col("flipped").is_not_null())
        flips = by_prompt(flipped["flipped"].cast(float).to_numpy(), flipped["prompt_id"].to_list())
        clusters = of_prompts(part[CLUSTER].to_list(), prompts) if CLUSTER in part.columns else None
        asked = flipped["prompt_id"].to_list()
        of_asked = None if clusters is None else of_prompts(flipped[CLUSTER].to_list(), asked)
        prior = SCORES if all(map(compares_scores, part["judge"].unique())) else CHAT_MODELS
        withheld = part["withheld"].to_list() if "withheld" in part.columns else []
        rows.append(
            Judged(
                key=Row(*(part[name][0] for name in ROW)),
                opponent=part["opponent"][0],
                win_rate=stats.mean(by_prompt(preferences, prompts), clusters=clusters),
                length_controlled=length_controlled(preferences, ours, theirs, prompts, prior, clusters),
                pairs=len(part),
                ties=int(np.sum(preferences == 0.5)),
                flip_rate=stats.mean(flips, clusters=of_asked) if len(flips) else None,
                unparsable=int(np.isnan(preferences).sum()) - sum(reason is not None for reason in withheld),
                length_difference=stats.mean(by_prompt((ours - theirs).astype(float), prompts), clusters=clusters),
                withheld={reason.replace(" ", "_"): withheld.count(reason) for reason in REASONS},
            )
        )
    return rows


def table_markdown(table: Sequence[Judged]) -> str:
    some_withheld = any(sum(row.withheld.values()) for row in table)
    rows = [
        {
            "method": row.key.name,
            "final pick": row.key.final_pick,
            "opponent": row.opponent,
            "win rate": _rate(row.win_rate),
            "length-controlled (not AlpacaEval's board)": _rate(row.length_controlled)
            + (" (!)" if row.length_controlled.warning else ""),
            "n": str(row.win_rate.n),
            "ties": str(row.ties),
            "flip rate": _rate(row.flip_rate) if row.flip_rate else "",
            "unparsable": str(row.unparsable),
            "no whole reply": str(sum(row.withheld.values())) if some_withheld else None,
            "length difference": row.length_difference.shown("+.0f"),
        }
        for row in table
    ]
    return "\n".join(markdown_table(rows))


def _write(folder: Path, asked: Mapping[str, Any], annotations: pl.DataFrame, what: str) -> Path:
    table = table_of(annotations)
    clusters = annotations[CLUSTER].n_unique() if CLUSTER in annotations.columns else None
    notes = (
        "Win rates count a tie as half; intervals are 95% bootstrap intervals over "
        f"{resampled(clusters)}, and several pairs of one prompt are averaged. `length-controlled` is the "
        "rate at equal lengths, sigmoid(theta) of logit P(win) = theta "
        "+ phi * tanh(length difference / its sd), with a prior on phi: normal, "
        f"{CHAT_MODELS.mean:g} and {CHAT_MODELS.sd:g} for chat models (mean and sd of AlpacaEval's published fits), "
        f"{SCORES.mean:g} and {SCORES.sd:g} where stored scores are compared. It is not the number of AlpacaEval's "
        "board, which has terms that belong to its own prompts and judge. `n` are prompts with a verdict; `unparsable` "
        "are pairs without: an answer of the judge that names none, or a score that is missing. `flip rate` is the "
        "share of prompts where the judge's two orders disagreed, which makes them ties. Lengths in characters."
    )
    lines = [*_warnings(table), *([f"{said}."] if (said := few(clusters, "of prompts")) else [])]
    withheld = {reason: n for reason in REASONS if (n := sum(row.withheld[reason.replace(" ", "_")] for row in table))}
    about = {**asked, **({"withheld": withheld} if withheld else {})}
    with renewed(folder) as part:  # of one that is there some replies were no whole answers, or it is damaged
        part.mkdir()
        write_proven(annotations, part / "annotations.parquet")
        write_proven(frame(table), part / "table.parquet")
        write_json(part / "about.json", about)
        files.save(judged(table, "full"), part / "win_rates")
        sections = [f"# {folder.name}", what, table_markdown(table), *lines, *_no_whole_reply(withheld)]
        sections += [*_cost(annotations), notes, "![win rates](win_rates.png)"]
        (part / "report.md").write_text(without_controls("\n\n".join(sections) + "\n"), encoding="utf-8")
        write_manifest(part, ["about.json", "report.md"])
    for line in [*lines, *_no_whole_reply(withheld)]:
        print(printable(f"warning: {line}"), file=sys.stderr)
    return folder


def _is_done(folder: Path) -> bool:
    """Whether a judgement is there as it was written, and all its replies are whole."""
    return folder.exists() and not _damage(folder) and not read_json(folder / "about.json").get("withheld")


def _damage(folder: Path) -> str:
    """What is not as it was written; nothing where there is no judgement yet."""
    if not folder.exists():
        return ""
    try:
        for table in ("annotations.parquet", "table.parquet"):
            read_parquet(folder / table)
        read_json(folder / "about.json")
    except UserError as error:
        return str(error)
    if not (folder / "report.md").is_file():
        return f"{folder / 'report.md'} is missing"
    if (folder / MANIFEST).exists() and (problems := problems_of(folder)):  # earlier versions listed nothing
        return f"{folder}: {problems[0]}"
    return ""


def _warnings(table: Sequence[Judged]) -> list[str]:
    return [
        f"(!) Length-controlled rate of {row.key.name} over {row.opponent}: {row.length_controlled.warning}."
        for row in table
        if row.length_controlled.warning
    ]


def _no_whole_reply(withheld: Mapping[Withheld, int]) -> list[str]:
    """What became of replies that are no whole answers."""
    if not withheld:
        return []
    counts = ", ".join(f"{n} {reason}" for reason, n in withheld.items())
    more = "; more room is --request max_tokens=2048" if {"cut short", "unfinished thinking"} & set(withheld) else ""
    return [f"No verdict for pairs without two whole replies: {counts}. The same command asks for those again{more}."]


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
        "task": run.record.task_name,
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
        "withheld": judgement.withheld,
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
