"""Two systems on the same prompts: which scored more, how sure that is, and what could have been told apart.

found = compare(*read_sides(out, ["a.jsonl", "b.jsonl"]))
found.difference             # A - B, paired by prompt, with a 95% interval and a p-value
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan

import numpy as np

from harness.comparing.records import TEXT, Record, Records, plain, shortened
from harness.core.errors import UserError, unknown
from harness.core.statistics import stats
from harness.core.statistics.stats import Estimate


@dataclass(frozen=True)
class Side:
    """One system's scores on the prompts that both have."""

    source: str
    kind: str
    metric: str
    mean: Estimate  # over the pairs
    prompts: int  # in its file
    alone: Sequence[str]  # prompts that the other side lacks
    unscored: Mapping[str, int]  # why -> prompts that both have and this side does not score
    notes: Sequence[str]


@dataclass(frozen=True)
class Compared:
    """Paired by prompt. `detectable` is the true difference that so many pairs show with 80% power."""

    a: Side
    b: Side
    paired_by: str
    pairs: int
    difference: Estimate  # A - B
    wins: Estimate  # share of prompts where A scores more, ties half; p by McNemar's exact test, or flips of clusters
    won: int
    lost: int
    detectable: float
    clusters: int | None = None  # that intervals and tests are over; None: over prompts


def compare(a: Records, b: Records, metric: str | None = None, other_metric: str | None = None) -> Compared:
    """Raises UserError where metrics or prompts cannot be paired, or a file has a prompt twice."""
    metrics = _metric(a, metric), _metric(b, other_metric or metric)
    _require_one_scorer(a, b)
    kind = _common_naming(a, b)
    scored = [_scores(of, kind, name) for of, name in zip((a, b), metrics, strict=True)]
    both = [name for name in scored[0] if name in scored[1]]
    _require_same_texts(a, b, kind, set(both))
    x, y = (np.array([of[name][0] for name in both]) for of in scored)
    known = ~np.isnan(x) & ~np.isnan(y)
    pairs = int(known.sum())
    if not pairs:
        raise UserError(f"none of the {len(both)} prompts of both files has two finite scores; choose another metric")
    apart = x[known] - y[known]
    of = stats.of_known(_clusters((a, b), kind, both), known)
    side_a = _side(a, metrics[0], x[known], scored[0], scored[1], both, of)
    side_b = _side(b, metrics[1], y[known], scored[1], scored[0], both, of)
    return Compared(
        side_a,
        side_b, kind, pairs,
        stats.difference(x[known], y[known], clusters=of), stats.win_rate(x[known], y[known], of),
        int((apart > 0).sum()), int((apart < 0).sum()),
        stats.detectable_difference(stats.sd_of_a_pair(apart, of), pairs), None if of is None else len(set(of)),
    )  # fmt: skip


def _clusters(sides: Sequence[Records], kind: str, both: Sequence[str]) -> list[str] | None:
    """The cluster of each prompt, by the first side that knows it of all; None where neither does."""
    for side in sides:
        of = {_name(record, kind): record.cluster for record in side.records}
        labels = [label for name in both if (label := of[name]) is not None]
        if len(labels) == len(both):
            return labels
    return None


def _metric(of: Records, wanted: str | None) -> str:
    """The metric that is compared: as asked, the file's own, or the only one."""
    metrics = of.metrics
    if not metrics:
        raise UserError(
            f"{of.source} ({of.kind}) holds no scores; `harness import {of.source} --run RUN --method NAME` grades "
            "the answers of a file, and the import is compared"
        )
    if wanted is None:
        wanted = of.metric or (metrics[0] if len(metrics) == 1 else None)
    if wanted is None:
        raise UserError(f"{of.source} has several metrics: {', '.join(metrics)}; choose one with --metric")
    if wanted not in metrics:
        raise unknown(f"metric of {of.source}", wanted, metrics)
    return wanted


def _require_one_scorer(a: Records, b: Records) -> None:
    """Raises UserError where files say that something else gave their scores."""
    if a.scored_by is None or b.scored_by is None or a.scored_by[1] == b.scored_by[1]:
        return
    which = " of another version or with other data" if a.scored_by[0] == b.scored_by[0] else ""
    raise UserError(
        f"{a.source} has {a.scored_by[0]}, {b.source} {b.scored_by[0]}{which}: such scores do not compare; give files "
        "that were scored alike"
    )


def _name(record: Record, kind: str) -> str:
    """What pairs it: the name that its file gives, of a text what it asks."""
    return plain(record.names[TEXT]) if kind == TEXT else record.names[kind]


def _common_naming(a: Records, b: Records) -> str:
    """The first way of naming prompts by which the files share one. Raises UserError where none does."""
    theirs = b.naming()
    common = [kind for kind in a.naming() if kind in theirs]
    if not common:
        raise UserError(
            f"{a.source} names prompts by {', '.join(a.naming())}, {b.source} by {', '.join(theirs)}: they cannot be "
            "paired; give files that name them alike, or hold the prompts' texts"
        )
    for kind in common:
        if {_name(record, kind) for record in a.records} & {_name(record, kind) for record in b.records}:
            return kind
    of_a, of_b = (shortened(of.records[0].names[common[0]]) for of in (a, b))
    raise UserError(
        f"{a.source} and {b.source} share no prompt (by {' or '.join(common)}: {of_a} in the one, {of_b} in the "
        "other); compare files over the same prompts"
    )


def _scores(of: Records, kind: str, metric: str) -> dict[str, tuple[float, str]]:
    """Name of a prompt -> its score and, of a NaN, why. Raises UserError where a prompt stands there twice."""
    names = Counter(_name(record, kind) for record in of.records)
    if twice := [name for name, times in names.items() if times > 1]:
        raise UserError(
            f"{of.source} has {len(twice)} prompts more than once (by {kind}), e.g. {shortened(twice[0])} "
            f"{names[twice[0]]} times; keep one score a prompt"
        )
    found = {}
    for record in of.records:
        name, value = _name(record, kind), record.scores.get(metric)
        if value is not None and isfinite(value):
            found[name] = (value, "")
        else:
            found[name] = (nan, record.missing or ("none" if value is None else _odd(value)))
    return found


def _odd(value: float) -> str:
    return "NaN" if isnan(value) else "infinite"


def _require_same_texts(a: Records, b: Records, kind: str, both: set[str]) -> None:
    """Raises UserError where prompts that are named alike ask something else."""
    if kind == TEXT:
        return
    texts = [{r.names[kind]: plain(r.names[TEXT]) for r in of.records if TEXT in r.names} for of in (a, b)]
    known = [name for name in texts[0] if name in both and name in texts[1]]
    if other := [name for name in known if texts[0][name] != texts[1][name]]:
        if a.kind == b.kind and kind == "doc_hash":
            return  # the same document behind another template or other examples: that is what may be compared
        raise UserError(
            f"{len(other)} prompts of {a.source} and {b.source} have the same {kind} but another text, e.g. "
            f"{shortened(other[0])}; compare files over the same prompts"
        )


def _side(
    of: Records,
    metric: str,
    values: np.ndarray,
    mine: Mapping[str, tuple[float, str]],
    theirs: Mapping[str, tuple[float, str]],
    both: Sequence[str],
    clusters: stats.Clusters,
) -> Side:
    unscored = Counter(why for name in both if (why := mine[name][1]))
    alone = [name for name in mine if name not in theirs]
    mean = stats.mean(values, clusters=clusters)
    return Side(of.source, of.kind, metric, mean, len(mine), alone, dict(unscored), of.notes)
