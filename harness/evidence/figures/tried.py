"""What a search of settings tried: gold against each setting, a panel each."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from harness.core.statistics.stats import Estimate
from harness.evidence.figures.legends import entry, legend_below
from harness.evidence.figures.style import (
    BARS,
    FAINT,
    INCHES,
    INK,
    SMALL,
    STYLE,
    Width,
    colour,
    letters,
    marker,
    wrapped,
)

_ACROSS: dict[Width, int] = {"column": 2, "full": 4}  # panels
_PANEL, _LEFT = 1.55, 0.6  # inches: height of a panel, and what the vertical axis takes


@rc_context(STYLE)
def gold_against_settings(
    method: str,
    tunables: Mapping[str, Mapping[str, Any]],
    edges: Sequence[str],
    tries: Sequence[Mapping[str, Any]],
    width: Width,
) -> Figure:
    """Gold with its interval against each setting, other settings varying; the chosen try is ringed."""
    across = min(_ACROSS[width], len(tunables))
    down = -(-len(tunables) // across)
    fig = Figure(figsize=(INCHES[width], _PANEL * down + 0.4), layout="constrained")
    axes = fig.subplots(down, across, sharey=True, squeeze=False)
    inches = (INCHES[width] - _LEFT) / across
    for ax, (label, tunable) in zip(axes.flat, tunables.items(), strict=False):
        _panel(ax, method, label, tunable, tries, inches)
        at_edge = [edge for edge in edges if edge.startswith(f"{label}:")]
        said = label + "".join(f"\nedge{edge.removeprefix(label)}" for edge in at_edge)
        ax.set_xlabel(wrapped(said, inches, SMALL), fontsize=SMALL)
    for ax in axes.flat[len(tunables) :]:
        ax.set_axis_off()
    n = tries[0]["gold_n"]
    fig.supylabel(wrapped(f"gold (sd of base samples), n = {n}", _PANEL * down), fontsize=STYLE["axes.labelsize"])
    ring = entry("chosen", color=INK, marker="o", markersize=8, fillstyle="none")
    legend_below(fig, [entry("a try", color=colour(method), marker=marker(method)), ring])
    return fig


def _panel(
    ax: Axes, method: str, label: str, tunable: Mapping[str, Any], tries: Sequence[Mapping[str, Any]], inches: float
) -> None:
    choices = [shown(value) for value in tunable.get("values", ())]
    for row in tries:
        point = json.loads(row["point"])
        if tunable["when"] is not None and point[tunable["when"]["name"]] != tunable["when"]["value"]:
            continue  # it meant nothing in this try
        gold = Estimate(row["gold"], row["gold_low"], row["gold_high"], row["gold_n"])
        x = choices.index(shown(point[label])) if choices else point[label]
        error = None if gold.low != gold.low else [[gold.value - gold.low], [gold.high - gold.value]]
        ax.errorbar(x, gold.value, yerr=error, color=colour(method), marker=marker(method), alpha=0.7, **BARS)
        if row["chosen"]:
            ax.plot(x, gold.value, "o", markersize=9, fillstyle="none", color=INK, zorder=5, markeredgewidth=0.9)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    if choices:
        room = inches / len(choices)
        wide = max(map(len, choices)) > letters(room)
        ax.set_xticks(range(len(choices)), choices, rotation=90 if wide else 0)
        ax.set_xlim(-0.5, len(choices) - 0.5)
        return
    if tunable["scale"] == "log":
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(numticks=4))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(3))
    for end in (tunable["low"], tunable["high"]):  # where the range ends
        ax.axvline(end, **{**FAINT, "linestyle": ":"})


def shown(value: Any) -> str:
    """A value of a choice in few letters."""
    return " x ".join(map(str, value.values())) if isinstance(value, Mapping) else str(value)
