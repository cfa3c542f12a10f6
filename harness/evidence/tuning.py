"""What a search on development prompts found: report.md and a figure a method, from its stored tries; no torch.

write_tuning(Path("results/tuning/imdb-standard-0f3a"))      # reads tries.parquet and about.json

A reader sees gold against each setting, where the ranges ended, which try was chosen, and what all of it cost.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from harness.core.files import whole
from harness.core.printable import without_controls
from harness.core.statistics.stats import Estimate
from harness.core.yaml_text import read_yaml
from harness.evidence.figures.kinds import Drawing, draw_all
from harness.evidence.figures.tried import gold_against_settings, shown
from harness.evidence.markdown import markdown_table
from harness.evidence.store import read_json, read_parquet

_FILES = ("tries.parquet", "about.json")
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
    tries, about = _read(folder)
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
            parts.append(f"![gold against the settings of {name}]({name}.png)")
    draw_all(of_tuning(folder), folder)
    with whole(folder / "report.md") as part:
        part.write_text(without_controls("\n\n".join(parts) + "\n"), encoding="utf-8")
    return folder / "report.md"


def find_tuning(out: Path, reference: str) -> Path | None:
    """The folder of a tuning given by path or name; None where there is none."""
    folders = (Path(reference), out / "tuning" / reference)
    return next((folder for folder in folders if all((folder / name).is_file() for name in _FILES)), None)


def of_tuning(folder: Path) -> dict[str, Drawing]:
    """A figure a method that has settings to search, by its name."""
    tries, about = _read(folder)
    drawings: dict[str, Drawing] = {}
    for name, method in about["methods"].items():
        rows = list(tries.filter(pl.col("method") == name).iter_rows(named=True))
        if method["tunables"]:
            drawings[name] = partial(gold_against_settings, name, method["tunables"], method["edges"], rows)
    return drawings


def _read(folder: Path) -> tuple[pl.DataFrame, dict[str, Any]]:
    tries, about = (folder / name for name in _FILES)
    return read_parquet(tries), read_json(about)


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
                "iterations of a try": str(method["iterations"]) if "iterations" in method else None,
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
        return ", ".join(map(shown, tunable["values"]))
    return f"{tunable['low']:g} to {tunable['high']:g} ({tunable['scale']})"
