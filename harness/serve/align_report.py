"""The report of an aligned folder, for whoever decides whether to deploy it: a verdict, one table, costs, what to mind.

found = judged(run, comparison(run), "iro", intervals_of(run))
found.verdict.said, found.verdict.gains          # "No gain: do not deploy. ...", False
report_of(found, run, "aligned/")                # Markdown
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from statistics import fmean

import numpy as np
import polars as pl

from harness.core.progress import duration
from harness.core.statistics.stats import Estimate
from harness.evidence.clusters import column_of, count_of, few, resampled
from harness.evidence.graders import graders_in_words, oracle_columns
from harness.evidence.markdown import digits_of, markdown_table, one_line
from harness.evidence.names import display_name
from harness.evidence.record import Unit
from harness.evidence.row import Comparison
from harness.evidence.schema import GOLD
from harness.evidence.store import Run
from harness.evidence.table import answers_by_row

_PICKS = ("value", "first", "reward")  # cheapest first
_FEW = 100  # held-out prompts below which small gains do not show


@dataclass(frozen=True)
class Verdict:
    gains: bool
    said: str


@dataclass(frozen=True)
class Intervals:
    """What is said of the intervals of a table, and a section about how they came about."""

    said: str
    section: str = ""


@dataclass(frozen=True)
class Judged:
    """The row that speaks for the method (its last iteration, the pick that asks least), and what it is set beside."""

    row: Comparison
    base: Comparison
    best: Comparison | None  # best-of-n of as many rows
    rows: Sequence[Comparison]
    unit: Unit
    intervals: Intervals
    means: tuple[float, float]  # of row and base, in the grader's points, over the prompts that the gain is of
    seconds: float | None = None  # wall clock of the command that made the run, of all looks together; None: unknown

    @property
    def gain(self) -> Estimate:
        """Over the unaligned model, paired by prompt, in units of the grader."""
        of = self.row.drift.gold_gain
        return Estimate(float("nan"), float("nan"), float("nan"), 0) if of is None else scaled(of, self.unit.sd)

    @property
    def verdict(self) -> Verdict:
        gain = self.gain
        ours, unaligned = (f"{mean:{self.digits}}" for mean in self.means)
        means = f"{self.name} scores {ours} where the unaligned model scores {unaligned}"
        clusters = "" if self.row.clusters is None else f" in {self.row.clusters:,} clusters"
        change = f"{means}: {self.signed(gain)} points a prompt on {gain.n} held-out prompts{clusters}"
        cost = f"An answer takes {self.times(self.row):.1f} times the compute of the unaligned model's."
        if isnan(gain.low):
            return Verdict(False, f"Not known: do not deploy. {self._unknown}")
        if gain.low > 0:
            return Verdict(True, f"Gain. {change}. {cost}{self._beaten}")
        if gain.high < 0:
            return Verdict(False, f"Worse: do not deploy. {change}. {cost}")
        return Verdict(False, f"No gain: do not deploy. {change}, an interval that includes 0. {cost}")

    @property
    def _unknown(self) -> str:
        """Why there is no interval."""
        if self.gain.n < 2:
            return "Too few held-out prompts have a score in both models."
        return f"On {self.gain.n} held-out prompts hardly any answer has another score than the unaligned model's."

    @property
    def _beaten(self) -> str:
        """Where best-of-n, which fits nothing, is better and can answer new prompts, that is part of the verdict."""
        of, best = self.row.against_best_of_n, self.best
        if of is None or best is None or best.is_oracle or not of.high < 0:
            return ""
        return f" {self.row.beside}, which fits nothing, scores more: {self.signed(scaled(of, -self.unit.sd))}."

    @property
    def name(self) -> str:
        return display_name(self.row.key.method)

    @property
    def digits(self) -> str:
        """How its points are written."""
        return digits_of(scaled(row.gold, self.unit.sd) for row in self.rows)

    def signed(self, of: Estimate) -> str:
        return f"{of.value:+{self.digits}} [{of.low:+{self.digits}}, {of.high:+{self.digits}}]"

    def times(self, row: Comparison) -> float:
        """Compute of an answer, in those of the unaligned model: FLOPs, or policy tokens where nothing is priced."""
        if row.costs.flops is None or not self.base.costs.flops:
            return row.costs.policy_tokens / self.base.costs.policy_tokens
        return row.costs.flops / self.base.costs.flops


def speaking(table: Sequence[Comparison], method: str) -> Comparison:
    """The row that speaks for a method: its last iteration, and the pick that asks least."""
    of_method = [row for row in table if row.key.method == method]
    last = max(row.key.iteration for row in of_method)
    picks = {row.key.final_pick: row for row in of_method if row.key.iteration == last}
    return next(picks[pick] for pick in (*_PICKS, *picks) if pick in picks)


def judged(run: Run, table: Sequence[Comparison], method: str, intervals: Intervals) -> Judged:
    row = speaking(table, method)
    (base,) = [one for one in table if one.key.method == "base"]
    best = next((one for one in table if one.key.method == "best_of_n" and one is not row), None)
    shown = [one for one in table if one.key.method != method or one.key.iteration == row.key.iteration]
    unit = run.record.required(f"units.{GOLD}", run.record.units.get(GOLD))
    answers = answers_by_row(run)
    golds = np.stack([answers[one.key][GOLD].to_numpy() for one in (row, base)])  # (2, P), by the same prompts
    ours, unaligned = golds[:, ~np.isnan(golds).any(0)].mean(1) * unit.sd + unit.mean
    means = float(ours), float(unaligned)
    return Judged(row, base, best, shown, unit, intervals, means, run.record.seconds)


def intervals_of(run: Run) -> Intervals:
    """As a run has them: over its held-out prompts, or over clusters of those."""
    clusters, column = count_of(run), column_of(run.record)
    over_what = "the held-out prompts" if clusters is None else resampled(clusters, column)
    return Intervals(f"with 95% bootstrap intervals over {over_what}; differences are paired by prompt")


def report_of(found: Judged, run: Run, folder: str) -> str:
    """Markdown."""
    record, verdict = run.record, found.verdict
    sections = [
        f"# {found.name} on {record.model_name}",
        f"**{verdict.said}**",
        *_minds(found, run),
        "\n".join(markdown_table([_cells(found, row) for row in found.rows])),
        f"Scores are those of the grader that judges, in its own points, {found.intervals.said}. Costs are of one "
        "answer: tokens that the model reads and writes, discarded ones included, and calls of the grader while "
        "answering.",
        _against_best(found),
        found.intervals.section,
        "## What was done",
        _done(run),
        "## What it cost",
        _cost(found, run),
        "## How to use it",
        f'`harness generate {folder} --prompt "..."`, or `harness.load({folder!r}).generate(["..."])` in Python. Made '
        f"by run {run.id}, commit {record.short_commit}.",
        "## Answers side by side",
        _samples(run, found),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def scaled(of: Estimate, sd: float) -> Estimate:
    """In other units; a negative `sd` turns a difference round."""
    low, high = sorted((of.low * sd, of.high * sd))
    return Estimate(of.value * sd, low, high, of.n, of.p)


def _cells(found: Judged, row: Comparison) -> dict[str, str | None]:
    sd, mean = found.unit.sd, found.unit.mean
    of = scaled(row.gold, sd)
    score = Estimate(of.value + mean, of.low + mean, of.high + mean, of.n)
    gain = None if row.key.method == "base" or row.drift.gold_gain is None else scaled(row.drift.gold_gain, sd)
    return {
        "model": _named(row),
        "score [95%]": score.shown(found.digits),
        "more than unaligned [95%]": "" if gain is None else gain.shown(f"+{found.digits}"),
        "tokens worked": f"{row.costs.policy_tokens:,.0f}",
        "times the compute": f"{found.times(row):.1f}",
        "grader calls": f"{row.costs.reward_calls:.1f}".removesuffix(".0"),
        "tokens of the answer": f"{row.tokens:.0f}",
    }


def _named(row: Comparison) -> str:
    names = {"base": "unaligned", "base_greedy": "unaligned, greedy"}
    name = names.get(row.key.method, display_name(row.key.method))
    picks = {"value": ", picked by its value", "reward": ", picked by the grader"}
    chosen = picks.get(row.key.final_pick, "") if row.key.method not in ("best_of_n", *names) else ""
    return f"{name}{chosen}" + (" (oracle)" if row.is_oracle else "")


def _minds(found: Judged, run: Run) -> list[str]:
    """What a reader has to know before believing the verdict, a paragraph each."""
    said, n = [], found.gain.n
    if found.row.is_one_reward:
        said.append(
            "The grader that judges is the one that was optimised: a gain says that the grader is pleased, not that "
            "answers are better. `--gold GRADER` judges by another one."
        )
    if columns := oracle_columns(run.record):
        said.append(
            f"The grader reads {', '.join(columns)} of the row. Rows marked oracle ask it while they answer, which is "
            "possible only for prompts whose answer is known."
        )
    if line := few(found.row.clusters, column_of(run.record)):
        said.append(f"{line}.")
    if n < _FEW:
        said.append(f"{n} held-out prompts show large differences alone; more rows in the file show smaller ones.")
    return [f"*{line}*" for line in said]


def _against_best(found: Judged) -> str:
    of = found.row.against_best_of_n
    if found.best is None or of is None or found.row.beside is None:
        return ""
    of, oracle = scaled(of, found.unit.sd), " (an oracle)" if found.best.is_oracle else ""
    if isnan(of.low) or of.low <= 0 <= of.high:
        compared = "is not told apart from"
    else:
        compared = "is better than" if of.value > 0 else "is worse than"
    return (
        f"Beside the usual way to spend as much: {found.name} {compared} {found.row.beside}{oracle}, by "
        f"{found.signed(of)} points."
    )


def _done(run: Run) -> str:
    facts, fit = run.record.task_facts, run.record.settings("fit")
    slices = facts.get("slices", {})
    parts = ", ".join(f"{count} {part}" for part, count in slices.items())
    return (
        f"{facts.get('rows')} rows, of which {parts}; no held-out prompt was fitted on. {fit.get('prompts')} prompts "
        f"with {fit.get('samples')} samples each were fitted on in every iteration. {graders_in_words(run.record)}"
    )


def _cost(found: Judged, run: Run) -> str:
    costs = found.row.costs
    flops = "" if costs.fit_flops is None else f" ({costs.fit_flops / 1e12:,.3g} TFLOPs)"
    took = ""
    if found.seconds is not None:
        took = f" Making this took {duration(found.seconds)}, without what earlier commands had left in the cache."
    return (
        f"Fitting, once: {costs.fit_policy_tokens:,} tokens{flops} and {costs.fit_proxy_calls:,} calls of the grader. "
        f"Then {found.times(found.row):.1f} times the compute of the unaligned model for every answer, and "
        f"{costs.reward_calls:.1f} calls of the grader.{took}"
    )


def _samples(run: Run, found: Judged) -> str:
    """The first, the middle and the last held-out prompt by id."""
    ids = sorted(run.completions["prompt_id"].unique())
    lines = []
    for prompt_id in dict.fromkeys([ids[0], ids[len(ids) // 2], ids[-1]]):
        rows = []
        for row in (found.base, found.row):
            key = row.key
            of = run.completions.filter(
                pl.col("prompt_id") == prompt_id,
                pl.col("method") == key.method,
                pl.col("iteration") == key.iteration,
                pl.col("final_pick") == key.final_pick,
            )
            scores = run.scores.filter(
                pl.col("prompt_id") == prompt_id,
                pl.col("method") == key.method,
                pl.col("iteration") == key.iteration,
                pl.col("final_pick") == key.final_pick,
                pl.col("metric") == GOLD,
            )["value"]
            rows.append(
                {
                    "model": _named(row),
                    "score": f"{fmean(scores):{found.digits}}",
                    "answer": one_line(of["response"][0]),
                }
            )
            prompt = of["prompt"][0]
        lines += [f"**{one_line(prompt)}**", "\n".join(markdown_table(rows))]
    return "\n\n".join(lines)
