"""What a search on development prompts found: report.md and a figure a method, from its stored tries; no torch.

write_tuning(Path("results/tuning/imdb-standard-0f3a"))      # reads tries.parquet and about.json

A reader sees gold against each setting, where the ranges ended, which try was chosen, and what all of it cost.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import polars as pl
from matplotlib.axes import Axes

from harness.core.files import whole
from harness.core.statistics.stats import Estimate
from harness.core.yaml_text import read_yaml
from harness.evidence import plot_style
from harness.evidence.markdown import markdown_table
from harness.evidence.store import read_json, read_parquet

_TEXT = (
    "Gold is in standard deviations of base samples above the base's mean, with 95% bootstrap intervals over prompts; "
    "settings not named are the profile's. Every method has the same number of tries, the defaults first; where its "
    "best has no worse try beyond it, the range grows and as many tries follow, up to {most}. **At an edge** is a "
    "method whose last try was spent before that was settled: more tries may lift it. A tuning of few choices alone "
    "ends when all were tried. FLOPs and seconds are those of fitting and answering, as if each try had worked alone. "
    "The best of many tries looks better here than it is: only prompts that no try has seen say how good."
)


def write_tuning(folder: Path) -> Path:
    """Write report.md and the figures of a tuning; the path of report.md."""
    tries, about = read_parquet(folder / "tries.parquet"), read_json(folder / "about.json")
    parts = [f"# {folder.name}", "\n".join(markdown_table(_budgets(tries, about["methods"]), unknown=""))]
    parts.append(_TEXT.format(most=max(most for _, most in about["sessions"])))
    parts.append(f"`python -m harness run --config {folder / 'chosen.yaml'}`")
    for name, method in about["methods"].items():
        own = tries.filter(pl.col("method") == name)
        parts += [f"## {name}", "\n".join(markdown_table([_cells(row) for row in own.iter_rows(named=True)]))]
        if method["tunables"]:
            ranges = "; ".join(f"{label}: {_range(of)}" for label, of in method["tunables"].items())
            at_edges = "".join(f" **At an edge: {edge}.**" for edge in method["edges"])
            parts.append(f"Ranges as they stand: {ranges}.{at_edges}")
            _draw(name, own, method, folder / f"{name}.png")
            parts.append(f"![gold against the settings of {name}]({name}.png)")
    with whole(folder / "report.md") as part:
        part.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return folder / "report.md"


def _budgets(tries: pl.DataFrame, methods: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """A row a method: what was chosen, and the budget of its search."""
    rows: list[dict[str, str | None]] = []
    for name, method in methods.items():
        (best,) = tries.filter(pl.col("method") == name, pl.col("chosen")).iter_rows(named=True)
        rows.append(
            {
                "method": name,
                "chosen": _settings(best),
                "gold (sd)": str(_gold(best)),
                "at an edge": "; ".join(method["edges"]) or None,
                "tries": str(method["tries"]),
                "prompts": str(method["prompts"]),
                "TFLOPs": None if method["flops"] is None else f"{method['flops'] / 1e12:,.3g}",
                "seconds": f"{method['seconds']:,.0f}",
            }
        )
    return rows


def _cells(row: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        "try": str(row["try"]),
        "settings tried": _settings(row),
        "why": row["why"],
        "pick": row["final_pick"],
        "gold (sd)": str(_gold(row)),
        "policy tokens": f"{row['policy_tokens']:.0f}",
        "reward calls": f"{row['reward_calls']:.1f}",
        "GFLOPs": None if row["flops"] is None else f"{row['flops'] / 1e9:,.3g}",
        "chosen": "yes" if row["chosen"] else "",
    }


def _gold(row: Mapping[str, Any]) -> Estimate:
    return Estimate(row["gold"], row["gold_low"], row["gold_high"], row["gold_n"])


def _settings(row: Mapping[str, Any]) -> str:
    settings = read_yaml(row["settings"], f"settings of try {row['try']}")
    named = [f"{name}={value}" for name, value in settings.items()] if isinstance(settings, dict) else []
    return ", ".join(named) or "defaults"


def _range(tunable: Mapping[str, Any]) -> str:
    if tunable["scale"] == "choice":
        return ", ".join(map(_shown, tunable["values"]))
    return f"{tunable['low']:g} to {tunable['high']:g} ({tunable['scale']})"


def _shown(value: Any) -> str:
    return " x ".join(map(str, value.values())) if isinstance(value, Mapping) else str(value)


def _draw(name: str, tries: pl.DataFrame, method: Mapping[str, Any], path: Path) -> None:
    """Gold with its interval against each setting, other settings varying; the chosen try is ringed."""
    tunables: Mapping[str, Mapping[str, Any]] = method["tunables"]
    with plt.rc_context(plot_style.STYLE):
        fig, axes = plt.subplots(
            1, len(tunables), figsize=(2.6 * len(tunables) + 0.8, 3.2), sharey=True, squeeze=False, layout="constrained"
        )
        rows = list(tries.iter_rows(named=True))
        for ax, (label, tunable) in zip(axes[0], tunables.items(), strict=True):
            _panel(ax, name, label, tunable, rows, method["edges"])
        axes[0][0].set_ylabel(f"gold, sd of base samples\n(95% interval, n = {rows[0]['gold_n']})")
        plot_style.save(fig, path)


def _panel(
    ax: Axes, name: str, label: str, tunable: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], edges: Sequence[str]
) -> None:
    choices = [_shown(value) for value in tunable.get("values", ())]
    for row in rows:
        point = json.loads(row["point"])
        if tunable["when"] is not None and point[tunable["when"]["name"]] != tunable["when"]["value"]:
            continue  # it meant nothing in this try
        value = point[label]
        x, gold = (choices.index(_shown(value)) if choices else value), _gold(row)
        error = None if gold.low != gold.low else [[gold.value - gold.low], [gold.high - gold.value]]
        ax.errorbar(x, gold.value, yerr=error, fmt="o", color=plot_style.colour(name), alpha=0.6, capsize=2)
        if row["chosen"]:
            ax.plot(x, gold.value, "o", markersize=12, fillstyle="none", color=plot_style.TEXT, zorder=5)
    if choices:
        ax.set_xticks(range(len(choices)), choices, rotation=30 if len(choices) > 2 else 0)
        ax.set_xlim(-0.5, len(choices) - 0.5)
    else:
        ax.set_xscale("log" if tunable["scale"] == "log" else "linear")
        for end in (tunable["low"], tunable["high"]):  # where the range ends
            ax.axvline(end, color=plot_style.FAINT, linestyle=":", zorder=0)
    at_edge = [edge for edge in edges if edge.startswith(f"{label}:")]
    ax.set_xlabel(label + "".join(f"\nedge{edge.removeprefix(label)}" for edge in at_edge))
