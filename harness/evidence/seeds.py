"""What runs that differ in the seed alone show together: one table over prompts and seeds, from stored runs; no torch.

python -m harness report imdb-b042 imdb-7cd6

OUT/seeds/<task>-<hash of the run ids>/ holds table.parquet and report.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.nested import flatten
from harness.core.statistics import stats
from harness.evidence.markdown import markdown_table, name_of, p_value
from harness.evidence.store import Run
from harness.evidence.table import GOLD, answers_by_row, flat_row, repeats_value

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


def write_seeds(runs: Sequence[Run], out: Path) -> Path:
    """Write table.parquet and report.md of several runs, in any order; the path of report.md.

    Raises UserError where they differ in more than the seed, share a seed, or share no prompts.
    """
    _require_seeds_of_one_run(runs)
    runs = sorted(runs, key=_seed)
    rows = over_seeds(runs)
    folder = out / "seeds" / f"{runs[0].about['config']['task']}-{digest([run.id for run in runs])[:10]}"
    with whole(folder / "table.parquet") as part:
        pl.DataFrame([flat_row(row) for row in rows], infer_schema_length=None).write_parquet(part)
    with whole(folder / "report.md") as part:
        part.write_text(_markdown(folder.name, runs, rows))
    return folder / "report.md"


def over_seeds(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per method, iteration and final pick: gold over prompts and seeds, against best-of-n and iteration 1.

    Only prompts that all runs answered count. All golds are in sd of the base samples of the first run.
    """
    units = runs[0].about["units"]
    common = _common_prompts(runs)
    seeds = np.repeat([_seed(run) for run in runs], len(common))  # (S * P,)
    prompts = np.tile(common, len(runs))
    parts = [
        {row: part.filter(pl.col("prompt_id").is_in(common)) for row, part in answers_by_row(run).items()}
        for run in (replace(run, about={**run.about, "units": units}) for run in runs)
    ]
    golds = {row: [part[row][GOLD].to_numpy() for part in parts] for row in parts[0]}  # S of (P,)
    best = next((golds[row] for row in golds if row[0] == "best_of_n"), None)
    rows = []
    for (method, iteration, pick), gold in golds.items():
        if all(repeats_value(part, (method, iteration, pick)) for part in parts):
            continue
        rivals = None if method == "best_of_n" else best
        first = golds.get((method, 1, pick)) if iteration > 1 else None
        flat, zeros = np.concatenate(gold), np.zeros(len(seeds))
        rows.append(
            {
                "method": method,
                "iteration": iteration,
                "final_pick": pick,
                "run_ids": [run.id for run in runs],
                "seeds": [_seed(run) for run in runs],
                "gold": replace(stats.difference_over_seeds(flat, zeros, prompts, seeds), p=float("nan")),
                "unscored": int(np.isnan(flat).sum()),
                "against_best_of_n": None
                if rivals is None
                else stats.difference_over_seeds(flat, np.concatenate(rivals), prompts, seeds),
                "against_first": None
                if first is None
                else stats.difference_over_seeds(flat, np.concatenate(first), prompts, seeds),
                **{
                    _column(run): None if rivals is None else stats.difference(gold[i], rivals[i])
                    for i, run in enumerate(runs)
                },
            }
        )
    family = [row for row in rows if row["against_best_of_n"] is not None]
    for row, p in zip(family, stats.holm([row["against_best_of_n"].p for row in family]), strict=True):
        row["p_holm"] = p
    return rows


def _seed(run: Run) -> int:
    return run.about["config"]["seed"]


def _column(run: Run) -> str:
    """The column of the differences of one run alone."""
    return f"against_best_of_n_seed_{_seed(run)}"


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
        if _seed(a) == _seed(b):
            raise UserError(f"{a.id} and {b.id} both have seed {_seed(a)}; give one run for each seed")


def _made_with(run: Run) -> dict[str, Any]:
    """What shapes the run's numbers, by name: settings as `--set` writes them, then facts of model, reward and code."""
    config, about = run.about["config"], run.about
    plain = {name: value for name, value in config.items() if name != "settings"}
    facts = {name: about[name] for name in _FACTS}
    return dict(flatten({**plain, **config["settings"], **facts}))


def _markdown(name: str, runs: Sequence[Run], rows: Sequence[Mapping[str, Any]]) -> str:
    config, count = runs[0].about["config"], len(_common_prompts(runs))
    answered = [
        f"{run.id} (seed {_seed(run)}, {run.completions['prompt_id'].n_unique()} prompts, commit "
        f"{run.about['commit'][:10]}{' with uncommitted changes' if run.about['dirty'] else ''})"
        for run in runs
    ]
    sections = [
        f"# {name}",
        f"{config['task']} ({runs[0].about['task_source']}), {config['model']}: the {count} "
        f"{config['settings']['evaluate']['slice']} prompts that all of {len(runs)} runs answered, which differ in the "
        f"seed alone: {', '.join(answered)}. `python -m harness report {' '.join(run.id for run in runs)}`.",
        "\n".join(markdown_table([_cells(row, runs) for row in rows], unknown="")),
        f"Gold is in standard deviations of the base samples of {runs[0].id}, above their mean, in all rows. "
        "Differences are paired by prompt and seed; beside those from best-of-n are those of each seed alone, on the "
        "same prompts, with intervals over prompts. All other intervals are over prompts and seeds. Intervals are 95%; "
        "Holm's correction is over the rows of the table.",
        _FEW,
    ]
    return "\n\n".join(sections) + "\n"


def _cells(row: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, str | None]:
    against, first = row["against_best_of_n"], row["against_first"]
    alone = {f"gold - best-of-n, seed {_seed(run)}": row[_column(run)] for run in runs}
    return {
        "method": name_of(row),
        "final pick": row["final_pick"],
        "gold (sd)": str(row["gold"]) + (f" ({row['unscored']} unscored)" if row["unscored"] else ""),
        "gold - best-of-n": against and against.shown("+.2f"),
        "p (Holm)": against and p_value(row["p_holm"]),
        **{name: difference and difference.shown("+.2f") for name, difference in alone.items()},
        "gold - iteration 1": first and first.shown("+.2f"),
        "prompts": str(row["gold"].n),
        "seeds": str(len(runs)),
    }
