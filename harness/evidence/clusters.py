"""Clusters of prompts, such as those of one customer: what a run drew whole for its intervals, and how that is said.

clusters_in(part)            # of each answer of a table, None where every prompt stands for itself
resampled(31, "customer")    # "31 clusters of prompts with the same customer, drawn whole"
"""

import polars as pl

from harness.evidence.record import RunRecord
from harness.evidence.schema import CLUSTER
from harness.evidence.store import Run

FEW = 30  # clusters; percentile intervals of 5 normal ones cover 84%, of 10 90%, of 20 93%, of 30 94%


def clusters_in(answers: pl.DataFrame) -> list[str] | None:
    """The cluster of each answer of one row; None where the run has none."""
    return answers[CLUSTER].to_list() if CLUSTER in answers.columns else None


def clusters_of(run: Run) -> list[str] | None:
    """Of the evaluated prompts by id."""
    if CLUSTER not in run.completions.columns:
        return None
    return run.completions.unique("prompt_id").sort("prompt_id")[CLUSTER].to_list()


def count_of(run: Run) -> int | None:
    labels = clusters_of(run)
    return None if labels is None else len(set(labels))


def column_of(record: RunRecord) -> str:
    """The column of the data that says which prompts belong together."""
    return " ".join(str(record.task_facts.get("cluster", "cluster")).split()).replace("|", "/").replace("`", "'")


def resampled(count: int | None, column: str = "") -> str:
    """What intervals are over: 'prompts', or '31 clusters of prompts with the same customer, drawn whole'."""
    same = f" with the same {column}" if column else ""
    return "prompts" if count is None else f"{count:,} clusters of prompts{same}, drawn whole"


def few(count: int | None, column: str) -> str:
    """What must be said of few clusters; empty of many, and where there are none."""
    if count is None or count >= FEW:
        return ""
    return f"{count} clusters ({column}) are few: 95% intervals over 5 cover about 84%, over 10 90%, over 20 93%"
