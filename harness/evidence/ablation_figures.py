"""Figures of ablations, drawn only from what `ablation.py` computed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.evidence.plot_style import MARKERS, STYLE, colour, drawn_as, label, plt, save, shade


def gold_along(
    rows: Sequence[dict[str, Any]],
    axis: str,
    curve: Sequence[dict[str, Any]],
    path: Path,
    unit: str = "gold reward, sd of base samples",
) -> None:
    """Gold along an axis of numbers, a line an iteration; best-of-n as its curve, or a line where there is none."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
        if curve:
            x = [point["n"] for point in curve]
            low, high = [p["gold"].low for p in curve], [p["gold"].high for p in curve]
            ax.plot(x, [p["gold"].value for p in curve], "--", color=colour("best_of_n"), label="best-of-n, n = U")
            ax.fill_between(x, low, high, color=colour("best_of_n"), alpha=0.15, linewidth=0)
            ax.axhline(curve[-1]["gold"].value, color=colour("best_of_n"), linewidth=0.7, linestyle=":")
        groups: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
        for row in rows:
            if row["method"] != "base" and not (curve and row["method"] == "best_of_n"):
                groups.setdefault((row["method"], row["iteration"], row["final_pick"]), []).append(row)
        last = max((iteration for _, iteration, _ in groups), default=0)
        values = list(dict.fromkeys([*(row["value"] for row in rows), *([curve[-1]["n"]] if curve else [])]))
        for (method, iteration, pick), group in groups.items():
            gold, x = [row["gold"] for row in group], [row["value"] for row in group]
            ax.plot(
                x,
                [g.value for g in gold],
                color=colour(method),
                alpha=shade(group[0], last),
                marker=MARKERS[pick],
                markersize=4,
                linestyle=":" if pick == "reward" else "-",
                label=label(group[0]),
            )
            if iteration == last and pick != "reward":
                low, high = [g.low for g in gold], [g.high for g in gold]
                ax.fill_between(x, low, high, color=colour(method), alpha=0.1)
        if max(values) >= 12 * min(values):
            ax.set_xscale("log")
        ax.set_xticks(values, [str(v) for v in values])
        ax.minorticks_off()
        ax.set_xlabel(axis)
        ax.set_ylabel(f"{unit} (n = {rows[0]['gold'].n} prompts)")
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(fig, path)


def gold_by_choice(rows: Sequence[dict[str, Any]], axis: str, path: Path) -> None:
    """Gold with its interval at each value of an axis that has no order; rows of one value stand side by side."""
    shown = [row for row in rows if row["method"] != "base"]
    values, names = (list(dict.fromkeys(x)) for x in ([row["value"] for row in shown], [label(row) for row in shown]))
    last = max(row["iteration"] for row in shown)
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(2.4 + 0.16 * len(values) * (len(names) + 3), 4.2), layout="constrained")
        for x, value in enumerate(values):
            here = [row for row in shown if row["value"] == value]
            for place, row in enumerate(here):
                gold, at = row["gold"], x + (place - (len(here) - 1) / 2) * 0.7 / len(names)
                ends = [[gold.value - gold.low], [gold.high - gold.value]]
                ax.errorbar(at, gold.value, yerr=ends, **drawn_as(row, last))
        handles = {name: h for h, name in zip(*ax.get_legend_handles_labels(), strict=True)}
        ax.set_xticks(range(len(values)), [str(value) for value in values])
        ax.set_xlim(-0.6, len(values) - 0.4)
        ax.set_xlabel(axis)
        ax.set_ylabel(f"gold reward, sd of base samples (n = {rows[0]['gold'].n} prompts)", fontsize=9)
        fig.legend(handles.values(), handles.keys(), frameon=False, fontsize=8, loc="outside right center")
        save(fig, path)


def heat_map(rows: Sequence[dict[str, Any]], labels: Sequence[str], path: Path) -> None:
    """Gold at every pair of values of two axes, row["point"]."""
    down, across = (list(dict.fromkeys(row["point"][i] for row in rows)) for i in (0, 1))
    gold = {row["point"]: row["gold"] for row in rows}
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(1.3 * len(across) + 2.4, 0.8 * len(down) + 1.6), layout="constrained")
        grid = [[gold[a, b].value for b in across] for a in down]
        image = ax.imshow(grid, cmap="cividis", aspect="auto")
        middle = (min(map(min, grid)) + max(map(max, grid))) / 2
        for i, a in enumerate(down):
            for j, b in enumerate(across):
                ink = "black" if grid[i][j] > middle else "white"
                ax.text(j, i, gold[a, b].shown().replace(" ", "\n"), ha="center", va="center", color=ink, fontsize=8)
        ax.set_yticks(range(len(down)), map(str, down))
        ax.set_xticks(range(len(across)), map(str, across))
        ax.set_ylabel(labels[0])
        ax.set_xlabel(labels[1])
        fig.colorbar(image, label=f"gold, sd of base samples (n = {rows[0]['gold'].n})")
        save(fig, path)
