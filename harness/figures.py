"""Figures, drawn only from what the report computed. One colour a method, the same everywhere, colour-blind safe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image

from harness.core.files import whole

# Okabe and Ito's palette
COLOURS = {
    "base": "#7f7f7f",
    "best_of_n": "#E69F00",
    "iro": "#0072B2",
    "args": "#D55E00",
    "controlled_decoding": "#009E73",
    "cards": "#CC79A7",
    "weak_to_strong": "#56B4E9",
    "dpo": "#000000",
}
MARKERS = {"value": "o", "reward": "s", "first": "D"}
PICKS = {"value": "picked by value", "reward": "picked by proxy", "first": "first sample"}
_STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "savefig.dpi": 160}


def colour(method: str) -> str:
    return COLOURS.get(method, "#8c564b")


def gold_by_method(table: Sequence[dict[str, Any]], path: Path) -> None:
    """Gold with its interval, one line a row of the table, best-of-n as a dashed reference."""
    with plt.rc_context(_STYLE):
        fig, ax = plt.subplots(figsize=(7.2, 0.42 * len(table) + 1.3), layout="constrained")
        for y, row in enumerate(table):
            gold = row["gold"]
            ax.errorbar(
                gold.value,
                y,
                xerr=[[gold.value - gold.low], [gold.high - gold.value]],
                fmt=MARKERS[row["final_pick"]],
                color=colour(row["method"]),
                capsize=3,
                markersize=6,
            )
            if row["method"] == "best_of_n":
                ax.axvline(gold.value, color=colour("best_of_n"), linestyle="--", linewidth=1, zorder=0)
        ax.set_yticks(range(len(table)), [_label(row) for row in table])
        ax.invert_yaxis()
        ax.axvline(0, color="#cccccc", linewidth=1, zorder=0)
        ax.set_xlabel(f"gold reward, sd of base samples (95% interval, n = {table[0]['gold'].n} prompts)")
        _save(fig, path)


def gold_against_compute(table: Sequence[dict[str, Any]], curve: Sequence[dict[str, Any]], path: Path) -> None:
    """Gold against policy tokens per test prompt: best-of-n as a curve, every other row as a point."""
    with plt.rc_context(_STYLE):
        fig, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
        if curve:
            x = [point["policy_tokens"] for point in curve]
            ax.plot(
                x, [p["gold"].value for p in curve], "-", color=colour("best_of_n"), label=f"best-of-1..{len(curve)}"
            )
            low, high = [p["gold"].low for p in curve], [p["gold"].high for p in curve]
            ax.fill_between(x, low, high, color=colour("best_of_n"), alpha=0.15, linewidth=0)
        last = max(row["iteration"] for row in table)
        for row in table:
            if curve and row["method"] == "best_of_n":
                continue
            gold = row["gold"]
            shift = 1 + 0.05 * _offset(row, last)  # points at equal compute stand side by side
            ax.errorbar(
                row["policy_tokens"] * shift,
                gold.value,
                yerr=[[gold.value - gold.low], [gold.high - gold.value]],
                fmt=MARKERS[row["final_pick"]],
                color=colour(row["method"]),
                capsize=2,
                alpha=1.0 if row["iteration"] in (0, last) else 0.35 + 0.5 * row["iteration"] / last,
                label=_label(row),
            )
        ax.set_xscale("log")
        ax.set_xlabel("policy tokens per test prompt (log scale)")
        ax.set_ylabel("gold reward, sd of base samples")
        ax.axhline(0, color="#cccccc", linewidth=1, zorder=0)
        ticks = _ticks([row["policy_tokens"] for row in table])
        ax.set_xticks(ticks, [f"{t:,}" for t in ticks])
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _save(fig, path)


def gold_along(rows: Sequence[dict[str, Any]], label: str, curve: Sequence[dict[str, Any]], path: Path) -> None:
    """Gold along an axis, a line an iteration; best-of-n as its curve, or as a line of its own where there is none."""
    with plt.rc_context(_STYLE):
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
        for (method, iteration, pick), group in groups.items():
            gold = [row["gold"] for row in group]
            shade = 1.0 if iteration in (0, last) else 0.25 + 0.6 * iteration / last
            ax.plot(
                [row["value"] for row in group],
                [g.value for g in gold],
                color=colour(method),
                alpha=shade,
                marker=MARKERS[pick],
                markersize=4,
                linestyle=":" if pick == "reward" else "-",
                label=_label(group[0]),
            )
            if iteration == last and pick != "reward":
                low, high = [g.low for g in gold], [g.high for g in gold]
                ax.fill_between([row["value"] for row in group], low, high, color=colour(method), alpha=0.1)
        values = list(dict.fromkeys(row["value"] for row in rows))
        ax.set_xticks(values, [str(v) for v in values])
        ax.set_xlabel(label)
        ax.set_ylabel(f"gold reward, sd of base samples (n = {rows[0]['gold'].n} prompts)")
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _save(fig, path)


def leaderboard(rows: Sequence[dict[str, Any]], data: str, path: Path) -> None:
    """Gold with its interval, one line a row, a panel for each task, model and profile; `data` is kept in the file."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        title = f"{row['task']}, {row['model']}, {row['profile']}"
        title += ", steered and judged by one reward" if row["same_reward"] else ""
        panels.setdefault(title, []).append(row)
    heights = [len(panel) + 2 for panel in panels.values()] or [3]
    with plt.rc_context(_STYLE):
        size = (8.4, 0.36 * sum(heights) + 0.6)
        fig, axes = plt.subplots(len(heights), squeeze=False, layout="constrained", height_ratios=heights, figsize=size)
        for ax, (title, panel) in zip(axes[:, 0], panels.items(), strict=False):
            for y, row in enumerate(panel):
                gold, hue = row["gold"], colour(row["method"])
                ax.plot([gold.low, gold.high], [y, y], color=hue)
                ax.plot(gold.value, y, MARKERS[row["final_pick"]], color=hue, markersize=6)
            names = [_label(row) + (", tuned" if row["settings_from"] != "defaults" else "") for row in panel]
            ax.set_yticks(range(len(panel)), names)
            ax.set_ylim(len(panel) - 0.5, -0.5)
            ax.axvline(0, color="#cccccc", linewidth=1, zorder=0)
            ax.set_title(title, loc="left")
        axes[-1, 0].set_xlabel("gold reward, sd of base samples (95% interval)")
        if not rows:
            axes[0, 0].text(0.5, 0.5, "no run stands in the first table yet", ha="center", va="center")
            axes[0, 0].set_axis_off()
        _save(fig, path, {"Data": data})


def data_of(path: Path) -> str | None:
    """What a figure of ours says that it was drawn from."""
    with Image.open(path) as image:
        return image.info.get("Data")


def _offset(row: dict[str, Any], last: int) -> float:
    if not row["iteration"]:
        return 0.0
    return 2 * (row["iteration"] - 1) + (0.8 if row["final_pick"] == "reward" else 0.0) - (last - 1)


def _ticks(values: Sequence[float]) -> list[int]:
    ladder = [10**k * m for k in range(0, 7) for m in (1, 2, 5)]
    return [t for t in ladder if 0.7 * min(values) <= t <= 1.4 * max(values)]


def _label(row: dict[str, Any]) -> str:
    name = f"{row['method']}, iteration {row['iteration']}" if row["iteration"] else row["method"]
    return name if row["method"] == "base" else f"{name}, {PICKS[row['final_pick']]}"


def _save(fig: plt.Figure, path: Path, notes: Mapping[str, str] | None = None) -> None:
    with whole(path) as part:
        fig.savefig(part, format="png", metadata={"Software": None, **(notes or {})})
    plt.close(fig)
