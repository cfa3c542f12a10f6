"""The sections of a report that compare: gains, the best-of-n that is as good, over-optimisation and drift."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

import polars as pl

from harness.core.statistics.stats import Estimate
from harness.evidence.drift import WORDS
from harness.evidence.markdown import (
    counted,
    giga,
    in_range,
    markdown_table,
    nats,
    number,
    p_value,
    percent,
    reached,
    share,
    signed,
)
from harness.evidence.row import Comparison
from harness.evidence.table import CurvePoint


def gains(table: Sequence[Comparison]) -> str:
    """What each row gains over base, best-of-n's gain being 1, and what each iteration adds to the one before."""
    known = [row for row in table if row.drift.gold_gain or row.against_previous]
    if not known:
        return ""
    rows = []
    for row in known:
        gain, part, wins = row.drift.gold_gain, row.share_of_best_of_n, row.win_rate_over_best_of_n
        before, first = row.against_previous, row.against_first
        test = "McNemar" if row.clusters is None else "sign flips"
        rows.append(
            {
                "method": row.key.name,
                "final pick": row.key.final_pick,
                "gold - base": signed(gain),
                "p (Holm)": p_value(row.p_gain_holm) if gain else None,
                "set beside": row.beside if part or wins else None,
                "gain / best-of-n's gain": str(part) if part and not isnan(part.value) else None,
                "win rate over best-of-n": percent(wins) if wins else None,
                f"p ({test}, Holm)": p_value(row.p_wins_over_best_of_n_holm) if wins else None,
                "gold - previous iteration": signed(before),
                "p": p_value(before.p) if before else None,
                "gold - iteration 1": signed(first),
                "p ": p_value(first.p) if first else None,
            }
        )
    return "## Gains over base, and what iterations add\n\n" + "\n".join(markdown_table(rows, unknown=""))


def equivalents(table: Sequence[Comparison], curve: Sequence[CurvePoint]) -> str:
    """The n at which best-of-n is as good as each row, what the row costs over that; best-of-n at each doubling."""
    compared = [(row, row.equivalent.as_good_as) for row in table if row.equivalent.as_good_as is not None]
    if not compared:
        return ""
    most, some_smaller = len(curve), any(row.against_largest for row in table)
    rows = []
    for row, n in compared:
        found = row.equivalent
        whole_pool = row.against_largest or row.against_best_of_n
        rows.append(
            {
                "method": row.key.name,
                "final pick": row.key.final_pick,
                "rows": None if row.budget is None else str(row.budget),
                "as good as best-of-n at n =": reached(n, most),
                "share of its policy tokens": _at_most(found.share_of_tokens, n),
                "share of its FLOPs": _at_most(found.share_of_flops, n),
                "share of its FLOPs, with fitting": _at_most(found.share_of_flops_with_fitting, n),
                f"gold - best-of-{most}": signed(whole_pool) if some_smaller else None,
            }
        )
    what = "prompts" if table[0].clusters is None else "clusters of prompts"
    text = (
        f"Where the curve of best-of-n, from a pool of {most} base samples of each test prompt, reaches the row's mean "
        f"gold (between whole n by straight lines), and the row's cost over that of best-of-n there. `>{most}`: better "
        f"than best-of-{most}, and its share is less than shown (`<`). Intervals are 95% over {what}, n = "
        f"{in_range(n.n for _, n in compared)}; costs are taken as known. `rows` are those that the method takes for "
        "a prompt, where they measure it."
    )
    return "\n\n".join(["## The best-of-n that is as good", "\n".join(markdown_table(rows)), text, _doublings(curve)])


def _doublings(curve: Sequence[CurvePoint]) -> str:
    """Table of best-of-1, 2, 4, ... and of the whole pool."""
    shown = [point for point in curve if point.n.bit_count() == 1 or point is curve[-1]]
    rows = [
        {
            "best of": str(point.n),
            "gold (sd)": str(point.gold),
            "proxy (sd)": str(point.proxy),
            "policy tokens": f"{point.policy_tokens:,.0f}",
            "GFLOPs": None if point.flops is None else giga(point.flops),
        }
        for point in shown
    ]
    return "\n".join(markdown_table(rows))


def _at_most(part: Estimate | None, n: Estimate) -> str | None:
    """What the row costs over best-of-n at n; the more samples best-of-n needs, the less."""
    return None if part is None else share(part, Estimate(n.value, n.high, n.low, n.n), "<")


def kl_cells(row: Comparison, unit: str = "") -> dict[str, str | None]:
    """KL(method || base) in nats: an estimate from the answers or a bound from the settings, never both of one row."""
    bound = None if row.kl is not None or row.kl_bound is None else f"{row.kl_bound:.1f}"
    return {f"KL estimated{unit}": None if row.kl is None else str(row.kl), f"KL at most{unit}": bound}


def _nll_text(table: Sequence[Comparison]) -> str:
    """Why base NLL is not known of some rows; empty where it is of all."""
    if not any(isnan(row.base_nll) for row in table):
        return ""
    return (
        " It is n/a where nobody told all log-probabilities under the base: of a model behind an API they are known of "
        "answers that its server wrote in one piece, where it tells those of the model itself; of answers made "
        "elsewhere they are not."
    )


def _kl_text(table: Sequence[Comparison]) -> str:
    """What the columns of KL hold; empty where there are none."""
    if all(row.kl is None and row.kl_bound is None for row in table):
        return ""
    return (
        " KL is the divergence of the whole text from the base's, in nats, in two columns that do not compare: "
        "`estimated` is the mean over the answers of log p(method) - log p(base), at temperature 1 and before top-k "
        "and top-p, for the base (0) and for methods that sample a policy of their own; `at most` is a bound from "
        "the settings, which the truth may be far below. n/a: not known."
    )


def drifts(table: Sequence[Comparison], curve: Sequence[CurvePoint]) -> str:
    """What proxy gains are worth in gold, and how far the texts went from the base's."""
    rows = [
        {
            "method": row.key.name,
            "final pick": row.key.final_pick,
            "proxy gain (sd)": signed(row.drift.proxy_gain) or "",
            "gold gain (sd)": signed(row.drift.gold_gain) or "",
            "gold / proxy": str(row.drift.gold_per_proxy) if row.drift.gold_per_proxy else "",
            **kl_cells(row, " (nats)"),
            "base NLL": nats(row.base_nll),
            "distinct-2": number(row.drift.distinct_2),
            "distinct-3": number(row.drift.distinct_3),
            "repetition": percent(row.drift.repetition),
            "tokens": counted(row.tokens),
        }
        for row in table
    ]
    text = (
        f"n = {in_range(row.gold.n for row in table)} prompts. Gains are paired differences to the base's answers; "
        "gold / proxy is their ratio, which falls where the proxy is optimised past what the gold agrees with. Base "
        "NLL is the negative log-likelihood per token of the answers under the base, in nats; distinct-k the share of "
        f"word k-grams of all the answers that are different ones; repetition the share of answers in which some "
        f"{WORDS} words occur twice in the same order; tokens the mean length.{_nll_text(table)}{_kl_text(table)}"
    )
    figure = "![proxy against gold](proxy_against_gold.png)"
    parts = ["## Over-optimisation and drift", "\n".join(markdown_table(rows)), text, _peak(curve), figure]
    return "\n\n".join(part for part in parts if part)


def _peak(curve: Sequence[CurvePoint]) -> str:
    """Where best-of-n's gold is highest, and what its proxy's gain is worth."""
    if len(curve) < 2:
        return ""
    first, last = curve[0], curve[-1]
    best = max(curve, key=lambda point: point.gold.value)
    two, most = (_worth(first, point) for point in (curve[1], last))
    return (
        f"Best-of-n from the pool of {last.n}: mean gold is highest at n = {best.n}, {best.gold} sd. Its gain "
        f"over one sample is {two} of the proxy's at n = 2 and {most} at n = {last.n}."
    )


def _worth(first: CurvePoint, point: CurvePoint) -> str:
    """What a unit of proxy gained from one sample to best-of-n is worth in gold."""
    gold, proxy = point.gold.value - first.gold.value, point.proxy.value - first.proxy.value
    return f"{gold / proxy:.2f}" if proxy else "n/a"


def layers(tried: Sequence[Mapping[str, Any]]) -> str:
    """How well values on each layer and pooling rank held-out prefixes of one prompt, after ridge regression."""
    groups: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in tried:
        name = f"{row['method']} V{row['iteration']}"
        groups.setdefault((name, row["pooling"]), {})[_column(row)] = row
    ordered = sorted(tried, key=lambda row: (row.get("kind") is not None, row["layer"] or 0))
    known = list(dict.fromkeys(_column(row) for row in ordered))
    if len(groups) * len(known) < 2:
        return ""
    rows = []
    for (name, pooling), of in groups.items():
        cells: dict[str, str | None] = dict.fromkeys(known)
        for column, row in of.items():
            cells[column] = f"{number(row['within_prompt_correlation'])} ({number(row['r2'])})"
        rows.append({"method": name, "pooling": pooling, **cells})
    text = (
        "Correlation with the final reward among prefixes of one prompt and length, by which layer and pooling are "
        "chosen, and in brackets R²; both on held-out fit prompts after ridge regression, before a network is trained."
    )
    return "\n\n".join(["### Layers and poolings", "\n".join(markdown_table(rows)), text])


def read_by(fit: Mapping[str, Any]) -> str:
    """What a value function reads, from its row of fits: layer and pooling, n-grams, or a model of its own."""
    return f"{_column(fit)}, {fit['pooling']}"


def _column(row: Mapping[str, Any]) -> str:
    match row.get("kind"):
        case "text":
            return "the text"
        case "lm":
            return f"{row['layer']} blocks of its own"
        case _:
            return f"layer {row['layer']}"


def calibrated(values: pl.DataFrame) -> str:
    """Each V_i on held-out rollouts of every iteration: base samples (1), and those of the searches of V_1 .. V_j-1."""
    rows = []
    places = [*sorted(p for p in values["position"].unique() if p >= 0), -1]
    for (method, value, rollouts), part in values.group_by("method", "value", "rollouts", maintain_order=True):
        at = {row["position"]: row for row in part.iter_rows(named=True)}
        rows.append(
            {
                "method": f"{method} V{value}",
                "rollouts": "base samples" if rollouts == 1 else f"iteration {rollouts}",
                "texts": f"{at[-1]['n']:,}" if -1 in at else None,
                **_at(at, places, "r2", "R²"),
                **_at(at, places, "within_prompt_correlation", "within-prompt corr."),
                **_at(at, places[-1:], "bias", "bias"),
                **_at(at, places[-1:], "slope", "slope"),
            }
        )
    text = (
        "Each value function on the rollouts that every iteration's fit held out: V_i has seen texts of iteration i "
        "only, and its layer, penalty and epoch were chosen on the held-out texts of that iteration. R² is 1 - squared "
        "error / variance of the final proxy reward on those texts: below 0 their mean says more. Bias is mean V "
        "- mean reward of finished texts, in sd of base samples; slope is the reward's on V, 1 where differences are "
        "worth what V says. The figure shows tenths of the prefixes half-way, by V."
    )
    parts = ["\n".join(markdown_table(rows)), text, "![calibration of the values](calibration.png)"]
    return "\n\n".join(["### On the texts of every iteration", *parts])


def _at(at: Mapping[int, Mapping[str, Any]], places: Sequence[int], name: str, shown: str) -> dict[str, str | None]:
    return {
        f"{shown}, {'end' if place < 0 else place}": number(at[place][name]) if place in at else None
        for place in places
    }
