"""What a row's gold is over several fits of the same thing, with intervals over prompts and fits; no torch.

python -m harness run --method iro --refits 3

An interval over prompts leaves out the luck of a fit, which all prompts share. So prompts and refits are drawn crossed
(`stats.difference_over_seeds`); few refits stay few, as few seeds do.
"""

from collections.abc import Mapping, Sequence
from statistics import stdev

import numpy as np
import polars as pl

from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate, Floats
from harness.evidence.clusters import clusters_in
from harness.evidence.row import OverRefits
from harness.evidence.schema import GOLD, Row
from harness.evidence.store import Run


def over_refits(run: Run, parts: Mapping[Row, pl.DataFrame], key: Row, rival: Floats | None) -> OverRefits | None:
    """A row over all its fits; None where it was fitted once. `rival` is the gold (P,) of what it is set beside."""
    golds = golds_by_fit(run, parts, key)
    if len(golds) < 2:
        return None
    prompts, clusters = parts[key]["prompt_id"].to_list(), clusters_in(parts[key])
    alone = tuple(float(np.nanmean(gold)) for gold in golds)

    def against(theirs: Sequence[Floats] | None) -> Estimate | None:
        if theirs is None or len(theirs) != len(golds):
            return None
        refits = np.repeat(np.arange(len(golds)), len(prompts))
        pairs = np.concatenate(golds), np.concatenate(list(theirs))
        of_pairs = None if clusters is None else clusters * len(golds)
        return stats.difference_over_seeds(*pairs, prompts * len(golds), refits, clusters=of_pairs)

    def of_iteration(iteration: int) -> list[Floats] | None:
        other = key._replace(iteration=iteration)
        return golds_by_fit(run, parts, other) if 1 <= iteration < key.iteration and other in parts else None

    gold = against([np.zeros(len(prompts))] * len(golds))
    assert gold is not None
    return OverRefits(
        refits=len(golds),
        gold_of_refits=alone,
        sd_of_refits=stdev(alone),
        gold_over_refits=Estimate(gold.value, gold.low, gold.high, gold.n),
        against_best_of_n_over_refits=None if rival is None else against([rival] * len(golds)),
        against_previous_over_refits=against(of_iteration(key.iteration - 1)),
        against_first_over_refits=against(of_iteration(1)) if key.iteration >= 3 else None,
    )


def golds_by_fit(run: Run, parts: Mapping[Row, pl.DataFrame], key: Row) -> list[Floats]:
    """Gold (P,) of a row in sd of base samples after every fit, the run's own first, by the prompts of the run."""
    own = parts[key]
    golds: list[Floats] = [own[GOLD].to_numpy()]
    if run.refits is None:
        return golds
    theirs = run.refits.filter(**key._asdict())
    for refit in sorted(theirs["refit"].unique().to_list()):
        part = theirs.filter(pl.col("refit") == refit).select("prompt_id", GOLD)
        joined = own.select("prompt_id").join(part, on="prompt_id", how="left", maintain_order="left")
        golds.append(run.record.standardised(GOLD, joined[GOLD].fill_null(float("nan"))).to_numpy())
    return golds
