"""A run that is looked at after every 50 held-out prompts, and ends where its gain is known well enough.

done = until(0.05, config_of, 400, make, "iro")      # make(config, "look 1 of 8") is the folder of a finished run
done.run, done.looks[-1].half_width                  # in sd of gold over base samples

Each look is a run of its own on the first prompts by id: what it fitted and answered is taken up by the next, so that
an interrupted job goes on, and ends with the same bytes. All intervals of the last are those of
`core/statistics/sequential.py`, which hold whenever one stops.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan
from pathlib import Path

from harness.core.errors import UserError
from harness.core.statistics import sequential
from harness.core.statistics.sequential import half_width
from harness.core.statistics.stats import Estimate
from harness.evidence.budgets import TooLarge, beside, rival
from harness.evidence.markdown import markdown_table, number
from harness.evidence.row import Comparison
from harness.evidence.schema import GOLD
from harness.evidence.store import Run, load_run
from harness.evidence.table import answers_by_row, answers_of, comparison
from harness.running.config import RunConfig
from harness.serve.align_report import Intervals, speaking

EVERY = 50  # prompts
PAPER = "an asymptotic confidence sequence, arXiv 2103.06476, never narrower than the bootstrap interval"


@dataclass(frozen=True)
class Look:
    """What was known after so many prompts: the method less the base, paired, in sd of gold."""

    prompts: int
    gain: Estimate
    seconds: float | None = None  # that its run took, beside what the looks before had left in the cache

    @property
    def half_width(self) -> float:
        return half_width(self.gain)

    def is_enough(self, asked: float) -> bool:
        return self.half_width < asked


@dataclass(frozen=True)
class Stopped:
    """The last run, its rows, and all looks."""

    run: Run
    table: Sequence[Comparison]  # of the run as it stands
    valid: Sequence[Comparison]  # the same rows, with intervals that hold whenever one stops
    asked: float
    most: int  # prompts there were
    looks: Sequence[Look]

    @property
    def seconds(self) -> float | None:
        """Of all looks together; None where one's are unknown."""
        known = [look.seconds for look in self.looks if look.seconds is not None]
        return sum(known) if len(known) == len(self.looks) else None

    @property
    def is_reached(self) -> bool:
        return self.looks[-1].is_enough(self.asked)

    @property
    def said(self) -> str:
        """In a sentence."""
        last = self.looks[-1]
        known = "has no interval yet" if isnan(last.half_width) else f"is known to +-{last.half_width:.3f} sd"
        if self.is_reached:
            left = f", {self.most - last.prompts} spared" if last.prompts < self.most else ""
            return f"stopped after {last.prompts} of {self.most} held-out prompts{left}: the gain {known}"
        return (
            f"all {self.most} held-out prompts do not suffice for +-{self.asked:g} sd: the gain {known}; "
            "add rows to the file, or ask for less"
        )

    @property
    def intervals(self) -> Intervals:
        rows = [
            {
                "held-out prompts": f"{look.prompts:,}",
                "gain over the unaligned model (sd) [95%]": look.gain.shown("+.3f"),
                "half-width": number(look.half_width, ".3f"),
            }
            for look in self.looks
        ]
        said = (
            f"with 95% intervals that hold at all looks together ({PAPER}), of the held-out prompts so far; "
            "differences are paired by prompt"
        )
        text = f"Looked at after every {EVERY} held-out prompts by id, until the half-width is below {self.asked:g} sd "
        text += f"of gold: {self.said}."
        return Intervals(said, "\n\n".join(["## When it stopped", text, "\n".join(markdown_table(rows))]))


def looks_of(asked: float, most: int) -> list[int]:
    """After how many prompts is looked. Raises UserError for a width that is none, and for too few prompts."""
    if not (isfinite(asked) and asked > 0):
        raise UserError(f"--until {asked:g}: give the half-width to stop at, in sd of gold, such as 0.05")
    if most < EVERY:
        raise UserError(
            f"--until looks after every {EVERY} held-out prompts, and there are {most}; leave it out, or take more "
            "(rows of the file, --limit)"
        )
    return [*range(EVERY, most, EVERY), most]


def until(
    asked: float,
    config_of: Callable[[int], RunConfig],
    most: int,
    make: Callable[[RunConfig, str], Path],
    method: str,
    say: Callable[[str], None],
) -> Stopped:
    """Make runs of more and more prompts until the gain of `method` is known well enough, or `most` are answered."""
    looks: list[Look] = []
    planned = looks_of(asked, most)
    for i, prompts in enumerate(planned, 1):
        run = load_run(make(config_of(prompts), f"look {i} of at most {len(planned)}"))
        table = comparison(run)
        valid = valid_table(run, table)
        gain = speaking(valid, method).drift.gold_gain
        assert gain is not None, "only the base has none"
        looks.append(Look(prompts, gain, run.record.seconds))
        say(f"look {i} of at most {len(planned)}: {prompts} held-out prompts, gain {gain.shown('+.3f')} sd")
        if looks[-1].is_enough(asked):
            break
    return Stopped(run, table, valid, asked, most, looks)


def valid_table(run: Run, table: Sequence[Comparison]) -> list[Comparison]:
    """The rows with intervals that hold at all looks together: gold, its gain over the base, and over best-of-n."""
    parts = answers_by_row(run)
    base, best = (answers_of(parts, method) for method in ("base", "best_of_n"))
    made = []
    for row in table:
        gold = parts[row.key][GOLD].to_numpy()
        row = replace(row, gold=sequential.mean(gold))
        if row.drift.gold_gain is not None and base is not None:
            gain = sequential.difference(gold, base[GOLD].to_numpy())
            row = replace(row, drift=replace(row.drift, gold_gain=gain))
        of = None if best is None else beside(run.record, row.key.method)
        if row.against_best_of_n is not None and best is not None and of is not None and not isinstance(of, TooLarge):
            row = replace(row, against_best_of_n=sequential.difference(gold, rival(run, of, best)))
        made.append(row)
    return made
