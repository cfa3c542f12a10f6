"""Figures of ablations, drawn only from what `ablation.py` computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from harness.core.statistics.stats import Estimate
from harness.evidence.plot_style import STYLE, aside, colour, drawn_as, ends, label, look, save, set_height, shade
from harness.evidence.schema import Row


@dataclass(frozen=True)
class Level:
    """A mean that iterations do not touch: the base, or a best-of-n."""

    method: str
    name: str
    mean: Estimate


@dataclass(frozen=True)
class Drawn:
    """A row at a value of the axis; `mean` is its gold, or another mean over the same prompts."""

    key: Row
    value: Any
    mean: Estimate


def gold_along(
    rows: Sequence[Drawn],
    axis: str,
    curve: Sequence[Estimate],
    path: Path,
    unit: str = "gold reward, sd of base samples",
) -> None:
    """Gold along an axis of numbers, a line an iteration; `curve` is that of best-of-1..N, empty where none is drawn.

    Without a curve best-of-n is a line as well.
    """
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
        if curve:
            x = list(range(1, len(curve) + 1))
            low, high = [mean.low for mean in curve], [mean.high for mean in curve]
            ax.plot(x, [mean.value for mean in curve], "--", color=colour("best_of_n"), label="best-of-n, n = U")
            ax.fill_between(x, low, high, color=colour("best_of_n"), alpha=0.15, linewidth=0)
            ax.axhline(curve[-1].value, color=colour("best_of_n"), linewidth=0.7, linestyle=":")
        groups: dict[Row, list[Drawn]] = {}
        for row in rows:
            if row.key.method != "base" and not (curve and row.key.method == "best_of_n"):
                groups.setdefault(row.key, []).append(row)
        last = max((key.iteration for key in groups), default=0)
        values = list(dict.fromkeys([*(row.value for row in rows), *([len(curve)] if curve else [])]))
        for key, group in groups.items():
            means, x = [row.mean for row in group], [row.value for row in group]
            ax.plot(
                x,
                [mean.value for mean in means],
                **look(key),
                alpha=shade(key.iteration, last),
                markersize=4,
                linestyle=":" if key.final_pick == "reward" else "-",
                label=label(key),
            )
            if key.iteration == last and key.final_pick != "reward":
                low, high = [mean.low for mean in means], [mean.high for mean in means]
                ax.fill_between(x, low, high, color=colour(key.method), alpha=0.1)
        if max(values) >= 12 * min(values):
            ax.set_xscale("log")
        ax.set_xticks(values, [str(v) for v in values])
        ax.minorticks_off()
        ax.set_xlabel(axis)
        ax.set_ylabel(f"{unit} (n = {rows[0].mean.n} prompts)")
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(fig, path)


def gold_by_iteration(rows: Sequence[Drawn], levels: Sequence[Level], path: Path) -> None:
    """Gold with its interval at each iteration, a line a method and pick; `levels` are lines with a band.

    What stands at one iteration stands side by side on the page.
    """
    lines: dict[Row, list[Drawn]] = {}
    for row in rows:
        lines.setdefault(row.key._replace(iteration=0), []).append(row)
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
        for level in levels:
            ax.axhline(level.mean.value, color=colour(level.method), linestyle="--", label=level.name)
            ax.axhspan(level.mean.low, level.mean.high, color=colour(level.method), alpha=0.12, linewidth=0)
        for i, (key, line) in enumerate(lines.items()):
            drawn = drawn_as(key, 0) | {"linestyle": ":" if key.final_pick == "reward" else "-", "linewidth": 1}
            x, means = [row.key.iteration for row in line], [row.mean for row in line]
            moved = ax.transData + aside(fig, i - (len(lines) - 1) / 2)
            ax.errorbar(x, [mean.value for mean in means], yerr=ends(means), transform=moved, **drawn)
        shown = [*(row.mean for row in rows), *(level.mean for level in levels)]
        iterations = sorted({row.key.iteration for row in rows})
        set_height(ax, shown)
        ax.set_xlim(iterations[0] - 0.5, iterations[-1] + 0.5)
        ax.set_xticks(iterations)
        ax.set_xlabel("iteration")
        ax.set_ylabel(f"gold reward, sd of base samples (n = {rows[0].mean.n} prompts)")
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(fig, path)


def gold_by_choice(rows: Sequence[Drawn], axis: str, path: Path) -> None:
    """Gold with its interval at each value of an axis that has no order; rows of one value stand side by side."""
    shown = [row for row in rows if row.key.method != "base"]
    values, names = (
        list(dict.fromkeys(row.value for row in shown)),
        list(dict.fromkeys(label(row.key) for row in shown)),
    )
    last = max(row.key.iteration for row in shown)
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(2.4 + 0.16 * len(values) * (len(names) + 3), 4.2), layout="constrained")
        for x, value in enumerate(values):
            group = [row for row in shown if row.value == value]
            for i, row in enumerate(group):
                mean, at = row.mean, x + (i - (len(group) - 1) / 2) * 0.7 / len(names)
                ends = [[mean.value - mean.low], [mean.high - mean.value]]
                ax.errorbar(at, mean.value, yerr=ends, **drawn_as(row.key, last))
        handles = {name: h for h, name in zip(*ax.get_legend_handles_labels(), strict=True)}
        ax.set_xticks(range(len(values)), [str(value) for value in values])
        ax.set_xlim(-0.6, len(values) - 0.4)
        ax.set_xlabel(axis)
        ax.set_ylabel(f"gold reward, sd of base samples (n = {rows[0].mean.n} prompts)", fontsize=9)
        fig.legend(handles.values(), handles.keys(), frameon=False, fontsize=8, loc="outside right center")
        save(fig, path)


def heat_map(gold: Mapping[tuple[Any, ...], Estimate], labels: Sequence[str], path: Path) -> None:
    """Gold at every pair of values of two axes."""
    down, across = (list(dict.fromkeys(point[i] for point in gold)) for i in (0, 1))
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(1.3 * len(across) + 2.4, 0.8 * len(down) + 1.6), layout="constrained")
        grid = [[gold[a, b].value for b in across] for a in down]
        image = ax.imshow(grid, cmap="cividis", aspect="auto")
        middle = (min(map(min, grid)) + max(map(max, grid))) / 2
        for i, a in enumerate(down):
            for j, b in enumerate(across):
                ink = "black" if grid[i][j] > middle else "white"
                ax.text(j, i, gold[a, b].shown().replace(" ", "\n"), ha="center", va="center", color=ink, fontsize=8)
        ax.set_yticks(range(len(down)), list(map(str, down)))
        ax.set_xticks(range(len(across)), list(map(str, across)))
        ax.set_ylabel(labels[0])
        ax.set_xlabel(labels[1])
        n = next(iter(gold.values())).n
        fig.colorbar(image, label=f"gold, sd of base samples (n = {n})")
        save(fig, path)
