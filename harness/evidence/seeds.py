"""What runs that differ in the seed alone show together: one table over prompts and seeds, from stored runs; no torch.

python -m harness report imdb-b042 imdb-7cd6

OUT/seeds/<task>-<hash of the run ids>/ holds table.parquet and report.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.nested import flatten
from harness.core.printable import without_controls
from harness.core.slug import slug
from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate, Floats
from harness.evidence.budgets import Beside, TooLarge, beside, rival
from harness.evidence.clusters import clusters_in, column_of, count_of, few, resampled
from harness.evidence.cost import costs
from harness.evidence.markdown import markdown_table, over, p_value, signed
from harness.evidence.proven_table import write_proven
from harness.evidence.row import WHERE_TESTED, frame
from harness.evidence.schema import GOLD, Row
from harness.evidence.store import Run
from harness.evidence.table import Answers, answers_by_row, answers_of, edges_of, repeats_value

_MAY_DIFFER = ("seed", "evaluate.prompts", "evaluate.trace")  # neither of the last two changes an answer
_FACTS = ("model_fingerprint", "task_facts", "stages")  # of run.json: weights, rewards, versions of the code's stages
_NOT_RECORDED = "not recorded"
_FEW = (  # see stats.difference_over_seeds
    "Everything is fitted anew under a seed, and its luck is shared by all its prompts; so prompts and seeds are drawn "
    "independently and crossed (the pigeonhole bootstrap, arXiv 0712.1111). **Few seeds stay few**: where the luck of "
    "a seed is as large as the error over prompts, 95% intervals of two, three and five seeds cover 95%; where it is "
    "five times that, 71%, 84% and 89%; where it is all there is, 50%, 75% and 87%, and p-values claim too much "
    "accordingly."
)


@dataclass(frozen=True)
class OverSeeds:
    """A row of the runs' tables over prompts and seeds, in sd of base samples; None: not compared."""

    key: Row
    run_ids: list[str]
    seeds: list[int]
    gold: Estimate
    unscored: int
    against_best_of_n: Estimate | None
    against_first: Estimate | None  # iteration 1
    alone: Mapping[str, Estimate | None]  # against_best_of_n of each run alone, by column
    p_holm: float | None = field(default=None, metadata=WHERE_TESTED)
    beside: str | None = None  # "best-of-9"
    cost_over_beside: float | None = None  # where that is not at equal rows
    cost_unit: str | None = None
    not_compared: str | None = None
    edges: str | None = field(default=None, metadata=WHERE_TESTED)  # at which its tuning stopped


def write_seeds(runs: Sequence[Run], out: Path) -> Path:
    """Write table.parquet and report.md of several runs, in any order; the path of report.md.

    Raises UserError where they differ in more than the seed, share a seed, or share no prompts.
    """
    _require_seeds_of_one_run(runs)
    runs = sorted(runs, key=lambda run: run.record.seed)
    rows = over_seeds(runs)
    folder = out / "seeds" / f"{slug(runs[0].record.config.task)}-{digest([run.id for run in runs])[:10]}"
    write_proven(frame(rows), folder / "table.parquet")
    with whole(folder / "report.md") as part:
        part.write_text(without_controls(_markdown(folder.name, runs, rows)), encoding="utf-8")
    return folder / "report.md"


def over_seeds(runs: Sequence[Run]) -> list[OverSeeds]:
    """One row per method, iteration and final pick: gold over prompts and seeds, against best-of-n and iteration 1.

    Only prompts that all runs answered count. All golds are in sd of the base samples of the first run.
    """
    runs = [run.in_units_of(runs[0]) for run in runs]
    common = _common_prompts(runs)
    seeds = np.repeat([run.record.seed for run in runs], len(common))  # (S * P,)
    prompts = np.tile(common, len(runs))
    parts = [_on(common, answers_by_row(run)) for run in runs]
    clusters = clusters_in(next(iter(parts[0].values())))
    of_pairs = None if clusters is None else clusters * len(runs)

    def against(ours: Sequence[Floats], theirs: Sequence[Floats]) -> Estimate:
        a, b = np.concatenate(ours), np.concatenate(theirs)
        return stats.difference_over_seeds(a, b, prompts, seeds, clusters=of_pairs)

    rows = []
    for key in parts[0]:
        if all(repeats_value(part, key) for part in parts):
            continue
        gold = [part[key][GOLD].to_numpy() for part in parts]  # S of (P,)
        first = key._replace(iteration=1) if key.iteration > 1 else None
        row = OverSeeds(
            key=key,
            run_ids=[run.id for run in runs],
            seeds=[run.record.seed for run in runs],
            gold=replace(against(gold, [np.zeros(len(common))] * len(runs)), p=float("nan")),
            unscored=int(np.isnan(np.concatenate(gold)).sum()),
            against_best_of_n=None,
            against_first=None
            if first is None or first not in parts[0]
            else against(gold, [part[first][GOLD].to_numpy() for part in parts]),
            alone=dict.fromkeys(map(_column, runs)),
            edges=edges_of(runs[0].record, key.method),
        )
        best = [own for part in parts if (own := answers_of(part, "best_of_n")) is not None]
        of = None if key.method == "best_of_n" or not best else beside(runs[0].record, key.method)
        if isinstance(of, TooLarge):
            row = replace(row, not_compared=str(of))
        elif of is not None:
            theirs = [rival(run, of, own) for run, own in zip(runs, best, strict=True)]
            alone = {
                _column(run): stats.difference(a, b, clusters=clusters)
                for run, a, b in zip(runs, gold, theirs, strict=True)
            }
            row = replace(row, against_best_of_n=against(gold, theirs), alone=alone, beside=of.name)
            row = _with_cost(row, runs, parts, of)
        rows.append(row)
    tested = {i: row.against_best_of_n.p for i, row in enumerate(rows) if row.against_best_of_n is not None}
    adjusted = dict(zip(tested, stats.holm(list(tested.values())), strict=True))
    return [replace(row, p_holm=adjusted.get(i)) for i, row in enumerate(rows)]


def _on(prompts: Sequence[str], parts: Answers) -> dict[Row, pl.DataFrame]:
    return {row: part.filter(pl.col("prompt_id").is_in(prompts)) for row, part in parts.items()}


def _with_cost(row: OverSeeds, runs: Sequence[Run], parts: Sequence[Answers], of: Beside) -> OverSeeds:
    """The row with its cost over that of the runs' own best-of-n, on average over seeds, where rows are not equal."""
    if of.at_equal_rows:
        return row
    ratios, unit = [], ""
    for run, part in zip(runs, parts, strict=True):
        best = answers_of(part, "best_of_n")
        assert best is not None
        own = costs(run, part[row.key], row.key.method, row.key.iteration)
        ratios.append(own.over(costs(run, best, "best_of_n", 0)))
        unit = own.unit
    return replace(row, cost_over_beside=float(np.mean(ratios)), cost_unit=unit)


def _column(run: Run) -> str:
    """The column of the differences of one run alone."""
    return f"against_best_of_n_seed_{run.record.seed}"


def _common_prompts(runs: Sequence[Run]) -> list[str]:
    """Ids, sorted, of the prompts that all runs answered."""
    answered = [set(run.completions.select("prompt_id", "prompt").iter_rows()) for run in runs]
    common = sorted(prompt_id for prompt_id, _ in set.intersection(*answered))
    if not common:
        counts = ", ".join(f"{run.id} ({len(prompts)})" for run, prompts in zip(runs, answered, strict=True))
        raise UserError(f"{counts} share no prompts; give runs that answered prompts of the same data")
    return common


def _require_seeds_of_one_run(runs: Sequence[Run]) -> None:
    for a, b in combinations(runs, 2):
        if a.id == b.id:
            raise UserError(f"run {a.id} is given twice; give runs of different seeds")
        ours, theirs = _made_with(a), _made_with(b)
        for name in sorted({**ours, **theirs}, key=lambda name: name.split(".")[0] in _FACTS):  # settings first
            one, other = ours.get(name, _NOT_RECORDED), theirs.get(name, _NOT_RECORDED)
            new_stage = name.startswith("stages.") and _NOT_RECORDED in (one, other)  # a version that knew fewer
            if one != other and name not in _MAY_DIFFER and not new_stage:
                raise UserError(
                    f"{a.id} and {b.id} are not one command at two seeds: {name} is {one} in the first and {other} in "
                    "the second. Give runs that differ in --seed, and in --limit if need be"
                )
        if a.record.seed == b.record.seed:
            raise UserError(f"{a.id} and {b.id} both have seed {a.record.seed}; give one run for each seed")


def _made_with(run: Run) -> dict[str, Any]:
    """What shapes the run's numbers, by name: settings as `--set` writes them, then facts of model, reward and code."""
    config, about = run.about["config"], run.about
    plain = {name: value for name, value in config.items() if name != "settings"}
    facts = {name: about.get(name) for name in _FACTS}
    return dict(flatten({**plain, **config["settings"], **facts}))


def _markdown(name: str, runs: Sequence[Run], rows: Sequence[OverSeeds]) -> str:
    record, count = runs[0].record, len(_common_prompts(runs))
    clusters, column = count_of(runs[0]), column_of(record)
    over_what = resampled(clusters, column)
    answered = [
        f"{run.id} (seed {run.record.seed}, {run.completions['prompt_id'].n_unique()} prompts, commit "
        f"{run.record.short_commit})"
        for run in runs
    ]
    sections = [
        f"# {name}",
        f"{record.task_name} ({record.task_source}), {record.model_name}: the {count} "
        f"{record.settings('evaluate').get('slice')} prompts that all of {len(runs)} runs answered, which differ in "
        f"the seed alone: {', '.join(answered)}. `python -m harness report {' '.join(run.id for run in runs)}`.",
        "\n".join(markdown_table([_cells(row, runs) for row in rows], unknown="")),
        f"Gold is in standard deviations of the base samples of {runs[0].id}, above their mean, in all rows. "
        "Differences are paired by prompt and seed; beside those from best-of-n are those of each seed alone, on the "
        f"same prompts, with intervals over {over_what}. All other intervals are over {over_what} and seeds. Intervals "
        "are 95%; "
        "Holm's correction is over the rows of the table. `set beside` names the best-of-n: at as many rows a prompt "
        "as the method takes, or, for methods that rows do not measure and for the base, the runs' own, with the row's "
        "cost over its.",
        _FEW,
        f"**Mind: {said}.**" if (said := few(clusters, column)) else "",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _cells(row: OverSeeds, runs: Sequence[Run]) -> dict[str, str | None]:
    alone = {f"gold - best-of-n, seed {run.record.seed}": row.alone[_column(run)] for run in runs}
    return {
        "method": row.key.name + (f" (tuned to an edge: {row.edges})" if row.edges else ""),
        "final pick": row.key.final_pick,
        "gold (sd)": str(row.gold) + (f" ({row.unscored} unscored)" if row.unscored else ""),
        "set beside": row.beside,
        "cost over its (rows not equal)": over(row.cost_over_beside, row.cost_unit or "") or None,
        "gold - best-of-n": row.not_compared or signed(row.against_best_of_n),
        "p (Holm)": p_value(row.p_holm) or None,
        **{name: signed(difference) for name, difference in alone.items()},
        "gold - iteration 1": signed(row.against_first),
        "prompts": str(row.gold.n),
        "seeds": str(len(runs)),
    }
