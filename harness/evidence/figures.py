"""Figures, drawn only from what the report computed."""

from collections.abc import Sequence
from itertools import groupby
from math import isnan
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from PIL import Image

from harness.evidence.leaderboard_row import Entry
from harness.evidence.plot_style import (
    FAINT,
    PICKS,
    STYLE,
    TEXT,
    aside,
    colour,
    drawn_as,
    ends,
    label,
    look,
    save,
    set_height,
    shade,
    short_label,
)
from harness.evidence.record import versions_in_words
from harness.evidence.row import Comparison, Costs, Judged
from harness.evidence.table import CurvePoint

_ON_EACH_OTHER = 0.03  # costs that differ by less are drawn in the same place
_BARS = 0.6  # of the height of `win_rates` for bars, the rest for gold


def gold_by_method(table: Sequence[Comparison], path: Path) -> None:
    """Gold with its interval, one line a row of the table, best-of-n as a dashed reference."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(7.2, 0.42 * len(table) + 1.3), layout="constrained")
        for y, row in enumerate(table):
            gold = row.gold
            ax.errorbar(
                gold.value,
                y,
                xerr=[[gold.value - gold.low], [gold.high - gold.value]],
                **look(row.key),
                linestyle="none",
                capsize=3,
                markersize=6,
            )
            if row.key.method == "best_of_n":
                ax.axvline(gold.value, color=colour("best_of_n"), linestyle="--", linewidth=1, zorder=0)
        ax.set_yticks(range(len(table)), [label(row.key) for row in table])
        ax.invert_yaxis()
        ax.axvline(0, color=FAINT, linewidth=1, zorder=0)
        ax.set_xlabel(f"gold reward, sd of base samples\n(95% interval, n = {table[0].gold.n} prompts)")
        save(fig, path)


def gold_against_compute(table: Sequence[Comparison], curve: Sequence[CurvePoint], path: Path) -> None:
    """Gold against GFLOPs per test prompt, or policy tokens: best-of-n as a curve, every other row as a point.

    A point stands at the cost that was measured. Rows of one method that cost the same, as its iterations and picks
    often do, stand side by side on the page; those of different methods never change places.
    """
    unit = "policy tokens" if any(row.costs.flops is None for row in table) else "GFLOPs"

    def cost(of: Costs | CurvePoint) -> float:
        return of.policy_tokens if of.flops is None else of.flops / 1e9

    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
        if curve:
            x = [cost(point) for point in curve]
            ax.plot(x, [p.gold.value for p in curve], "-", color=colour("best_of_n"), label=f"best-of-1..{len(curve)}")
            low, high = [p.gold.low for p in curve], [p.gold.high for p in curve]
            ax.fill_between(x, low, high, color=colour("best_of_n"), alpha=0.15, linewidth=0)
        ax.set_xscale("log")
        last = _last_iterations(table)
        shown = [row for row in table if not (curve and row.key.method == "best_of_n")]
        most = 1
        for row in shown:
            at = cost(row.costs)
            beside = [other for other in shown if other.key.method == row.key.method]
            beside = [other for other in beside if abs(cost(other.costs) / at - 1) < _ON_EACH_OTHER]
            most = max(most, len(beside))
            moved = ax.transData + aside(fig, beside.index(row) - (len(beside) - 1) / 2)
            drawn = drawn_as(row.key, last[row.key.method])
            ax.errorbar(at, row.gold.value, yerr=ends([row.gold]), transform=moved, **drawn)
        costs = [cost(row.costs) for row in shown] + [cost(point) for point in curve]
        ax.set_xlim(min(costs) / 1.3, max(costs) * 1.3)
        set_height(ax, [row.gold for row in shown] + [point.gold for point in curve])
        note = "\n(rows of one method at one cost stand side by side)" if most > 1 else ""
        ax.set_xlabel(f"{unit} per test prompt (log scale){note}")
        ax.set_ylabel("gold reward, sd of base samples")
        ax.axhline(0, color=FAINT, linewidth=1, zorder=0)
        ticks = _ticks([cost(row.costs) for row in table])
        ax.set_xticks(ticks, [f"{t:,.10g}" for t in ticks])
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(fig, path)


def win_rates(table: Sequence[Comparison], path: Path) -> None:
    """Share of prompts won over best-of-n and over base as bars; above them, on the right axis, mean gold as lines."""
    rows = sorted((row for row in table if row.key.method != "base"), key=_by_pick)
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(max(4.8, 0.9 * len(rows) + 1.6), 4.6), layout="constrained")
        bars = {"best_of_n": (-0.2, "///"), "base": (0.2, None)}
        for rival, (side, hatch) in bars.items():
            for x, row in enumerate(rows):
                if rate := row.win_rate_over_base if rival == "base" else row.win_rate_over_best_of_n:
                    ends = [[100 * (rate.value - rate.low)], [100 * (rate.high - rate.value)]]
                    ax.bar(x + side, 100 * rate.value, 0.38, color=colour(rival), hatch=hatch, edgecolor="white")
                    ax.errorbar(x + side, 100 * rate.value, yerr=ends, color="black", capsize=2, linewidth=1)
        ax.axhline(50, color="black", linewidth=0.8, linestyle="--", zorder=3)
        ax.set_ylim(0, 100 / _BARS)
        ax.set_yticks(range(0, 101, 25))
        ax.set_ylabel(f"prompts won, % (n = {table[0].gold.n})", y=_BARS / 2)
        ax.set_xticks(range(len(rows)), [short_label(row.key) for row in rows], fontsize=8)
        ax.set_xlim(-0.6, len(rows) - 0.4)
        _gold_above(ax.twinx(), rows)
        handles = [
            Patch(facecolor=colour("best_of_n"), hatch="///", edgecolor="white", label="won over best-of-n"),
            Patch(facecolor=colour("base"), label="won over base"),
            Line2D([], [], color="black", marker="o", label="mean gold"),
        ]
        fig.legend(handles=handles, frameon=False, fontsize=8, loc="outside upper center", ncols=3)
        save(fig, path)


def judged(table: Sequence[Judged], path: Path) -> None:
    """Win rates of a judgement, raw and at equal lengths, a pair of bars a row."""
    bars = {"win_rate": (-0.2, "#0072B2", None), "length_controlled": (0.2, "#E69F00", "///")}
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(max(4.8, 0.9 * len(table) + 1.6), 3.8), layout="constrained")
        for name, (side, hue, hatch) in bars.items():
            for x, row in enumerate(table):
                rate = row.win_rate if name == "win_rate" else row.length_controlled
                if isnan(rate.value):
                    continue
                ends = [[100 * (rate.value - rate.low)], [100 * (rate.high - rate.value)]]
                ax.bar(x + side, 100 * rate.value, 0.38, color=hue, hatch=hatch, edgecolor="white")
                ax.errorbar(x + side, 100 * rate.value, yerr=ends, color="black", capsize=2, linewidth=1)
        ax.axhline(50, color="black", linewidth=0.8, linestyle="--", zorder=3)
        ax.set_ylim(0, 100)
        opponents = ", ".join(sorted({row.opponent for row in table}))
        ax.set_ylabel(f"won over {opponents}, %", fontsize=8)
        names = [
            short_label(row.key) if row.key.final_pick in PICKS else row.key.method for row in table
        ]  # ours, others'
        ax.set_xticks(range(len(table)), names, fontsize=8)
        handles = [
            Patch(facecolor=hue, hatch=hatch, edgecolor="white", label=name)
            for name, (_, hue, hatch) in zip(
                ("win rate", "length-controlled (not AlpacaEval's board)"), bars.values(), strict=True
            )
        ]
        fig.legend(handles=handles, frameon=False, fontsize=8, loc="outside upper center", ncols=2)
        save(fig, path)


def _gold_above(ax: Axes, rows: Sequence[Comparison]) -> None:
    """Mean gold of the rows in the part of the axes that the bars leave free, a line a method and pick."""
    for _, group in groupby(enumerate(rows), key=lambda item: (item[1].key.method, item[1].key.final_pick)):
        places, gold = zip(*((x, row.gold) for x, row in group), strict=True)
        ends = [[g.value - g.low for g in gold], [g.high - g.value for g in gold]]
        ax.errorbar(places, [g.value for g in gold], yerr=ends, color="black", marker="o", capsize=3)
    bounds = [x for row in rows for x in (row.gold.value, row.gold.low, row.gold.high) if not isnan(x)]
    low, high = min(bounds, default=0.0), max(bounds, default=1.0)
    height = max(high - low, 0.1) / (0.94 - _BARS)  # of the whole axis, the lowest gold a little above the bars
    bottom = low - (_BARS + 0.04) * height
    ax.set_ylim(bottom, bottom + height)
    ax.set_yticks([t for t in MaxNLocator(4).tick_values(low, high) if t >= bottom + _BARS * height])
    ax.spines["right"].set_visible(True)
    ax.set_ylabel("gold (sd)", y=(1 + _BARS) / 2)


def proxy_against_gold(table: Sequence[Comparison], curve: Sequence[CurvePoint], path: Path) -> None:
    """Gold against proxy: best-of-n as a curve along n, every other row as a point; level or falling is too much."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
        if curve:
            x, y = [point.proxy.value for point in curve], [point.gold.value for point in curve]
            ax.plot(x, y, "-", color=colour("best_of_n"), label=f"best-of-1..{len(curve)}")
            low, high = [p.gold.low for p in curve], [p.gold.high for p in curve]
            ax.fill_between(x, low, high, color=colour("best_of_n"), alpha=0.15, linewidth=0)
            for point in curve:
                if point.n & (point.n - 1) == 0:  # 1, 2, 4, 8, ...
                    place = (point.proxy.value, point.gold.value)
                    ax.plot(*place, "o", color=colour("best_of_n"), markersize=4)
                    ax.annotate(
                        f"n = {point.n}", place, xytext=(5, -10), textcoords="offset points", fontsize=8, color=TEXT
                    )
        last = _last_iterations(table)
        for row in table:
            if curve and row.key.method == "best_of_n":
                continue
            proxy, gold = row.proxy, row.gold
            ax.errorbar(
                proxy.value,
                gold.value,
                xerr=[[proxy.value - proxy.low], [proxy.high - proxy.value]],
                yerr=[[gold.value - gold.low], [gold.high - gold.value]],
                **drawn_as(row.key, last[row.key.method]),
            )
        ax.axline((0, 0), slope=1, color=FAINT, linewidth=1, zorder=0, label="gold = proxy")
        ax.set_xlabel("proxy reward, sd of base samples")
        ax.set_ylabel(f"gold reward, sd of base samples (n = {table[0].gold.n} prompts)")
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(fig, path)


def calibration(values: pl.DataFrame, path: Path) -> None:
    """Mean final reward against mean V, in tenths of the prefixes half-way; a panel for the texts of each iteration."""
    panels = sorted(values["rollouts"].unique().to_list())
    positions = values["position"].unique().to_list()
    half = min(positions, key=lambda position: abs(position - max(positions) * 2 / 3))
    with plt.rc_context(STYLE):
        size = (2.9 * len(panels) + 1.8, 3.6)
        fig, axes = plt.subplots(1, len(panels), figsize=size, sharex=True, sharey=True, squeeze=False)
        fig.set_layout_engine("constrained")
        last = max(values["value"].to_list())
        for ax, rollouts in zip(axes[0], panels, strict=True):
            part = values.filter(pl.col("rollouts") == rollouts, pl.col("position") == half)
            for row in part.iter_rows(named=True):
                name = f"{row['method']}, V{row['value']}"
                ax.plot(
                    row["predicted"],
                    row["reward"],
                    "o-",
                    markersize=3,
                    label=name,
                    color=colour(row["method"]),
                    alpha=shade(row["value"], last),
                )
            ax.axline((0, 0), slope=1, color=FAINT, linewidth=1, zorder=0)
            ax.set_title("base samples" if rollouts == 1 else f"rollouts of iteration {rollouts}", fontsize=10)
            ax.set_xlabel(f"V at {half} tokens")
        axes[0, 0].set_ylabel("final proxy reward (sd)")
        handles = {name: h for ax in axes[0] for h, name in zip(*ax.get_legend_handles_labels(), strict=True)}
        fig.legend(handles.values(), handles.keys(), frameon=False, fontsize=8, loc="outside right center")
        save(fig, path)


def _by_pick(row: Comparison) -> tuple[bool, str, int, int]:
    """Best-of-n first, then iterations of one method and pick side by side."""
    return row.key.method != "best_of_n", row.key.method, list(PICKS).index(row.key.final_pick), row.key.iteration


def leaderboard(entries: Sequence[Entry], data: str, path: Path) -> None:
    """Gold with its interval, one line a row, a panel for each section; `data` is kept in the file."""
    panels: dict[str, list[Entry]] = {}
    for entry in entries:
        title = f"{entry.task}, {entry.model}, {entry.profile}"
        title += f", rewards {versions_in_words(entry.rewards)}" if entry.rewards else ""
        title += ", steered and judged by one reward" if entry.same_reward else ""
        panels.setdefault(title, []).append(entry)
    heights = [len(panel) + 2 for panel in panels.values()] or [3]
    with plt.rc_context(STYLE):
        size = (8.4, 0.36 * sum(heights) + 0.6)
        fig, axes = plt.subplots(len(heights), squeeze=False, layout="constrained", height_ratios=heights, figsize=size)
        for ax, (title, panel) in zip(axes[:, 0], panels.items(), strict=False):
            for y, entry in enumerate(panel):
                gold, hue = entry.row.gold, colour(entry.row.key.method)
                ax.plot([gold.low, gold.high], [y, y], color=hue)
                ax.plot(gold.value, y, **look(entry.row.key), markersize=6)
            names = [label(entry.row.key) + (", tuned" if entry.is_tuned else "") for entry in panel]
            ax.set_yticks(range(len(panel)), names)
            ax.set_ylim(len(panel) - 0.5, -0.5)
            ax.axvline(0, color=FAINT, linewidth=1, zorder=0)
            ax.set_title(title, loc="left")
        axes[-1, 0].set_xlabel("gold reward, sd of base samples (95% interval)")
        if not entries:
            axes[0, 0].text(0.5, 0.5, "no run stands in the first table yet", ha="center", va="center")
            axes[0, 0].set_axis_off()
        save(fig, path, {"Data": data})


def data_of(path: Path) -> str | None:
    """What a figure of ours says that it was drawn from."""
    with Image.open(path) as image:
        found = image.info.get("Data")
    return found if isinstance(found, str) else None


def _last_iterations(table: Sequence[Comparison]) -> dict[str, int]:
    """Method -> its last iteration."""
    return {row.key.method: row.key.iteration for row in sorted(table, key=lambda row: row.key.iteration)}


def _ticks(values: Sequence[float]) -> list[float]:
    ladder = [10.0**k * m for k in range(-9, 9) for m in (1, 2, 5)]
    return [t for t in ladder if 0.7 * min(values) <= t <= 1.4 * max(values)]
