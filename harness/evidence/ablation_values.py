"""What values of several kinds know and cost, side by side: a section of an ablation whose runs' values read different
things. None where they all read the policy's states.

values_section(ablation)        # Markdown, or None
"""

from collections.abc import Mapping
from typing import Any

from harness.evidence.ablation_rows import Ablation, Varied
from harness.evidence.markdown import markdown_table, number
from harness.evidence.report_sections import read_by
from harness.evidence.store import Run


def values_section(ablation: Ablation) -> str | None:
    """A row for each value function: its quality on held-out fit prompts, and what answering and fitting took."""
    if not any("kind" in run.fits.columns for run in ablation.runs.values()):
        return None
    seen: dict[tuple[Any, ...], Varied] = {}
    for row in ablation.rows:  # the first pick of each iteration, which all cost the values the same
        seen.setdefault((row.point, row.row.key.method, row.row.key.iteration), row)
    shown = [
        _row(row, fits)
        for row in seen.values()
        if (fits := _fits(ablation.runs[row.point], row.row.key.method, row.row.key.iteration))
    ]
    said = (
        "R² and correlation with the final proxy reward within prompts, on held-out fit prompts of the iteration: "
        "half-way (the middle one of the lengths that the fit reports) and of finished texts. Answering: a prompt, by "
        "all values so far; value tokens are those that models of their own read. Fitting: all iterations so far, with "
        "the searches for their training data; seconds as the machine was then."
    )
    return "\n\n".join(["## What the values know and cost", "\n".join(markdown_table(shown)), said])


def _fits(run: Run, method: str, iteration: int) -> list[Mapping[str, Any]]:
    """The rows of a fit, by prefix length, the finished text last; none of a method that fitted none."""
    if "r2" not in run.fits.columns:
        return []
    rows = [
        row
        for row in run.fits.drop_nulls("r2").iter_rows(named=True)
        if row["method"] == method and row["iteration"] == iteration
    ]
    return sorted(rows, key=lambda row: (row["position"] < 0, row["position"]))


def _row(varied: Varied, fits: list[Mapping[str, Any]]) -> dict[str, str | None]:
    *before, end = fits
    middle, costs = before[len(before) // 2] if before else end, varied.row.costs
    return {
        "value": " x ".join(map(str, varied.point)),
        "method": varied.row.key.name,
        "reads": read_by(end),
        "R², half-way": number(middle["r2"]),
        "R², end": number(end["r2"]),
        "within-prompt corr., half-way": number(middle["within_prompt_correlation"]),
        "within-prompt corr., end": number(end["within_prompt_correlation"]),
        "GFLOPs an answer": _scaled(costs.flops, 1e9),
        "value tokens an answer": f"{costs.value_tokens:,.0f}",
        "seconds an answer": None if costs.busy_seconds is None else f"{costs.busy_seconds:.2f}",
        "TFLOPs of fitting": _scaled(costs.fit_flops, 1e12),
        "seconds of fitting": f"{costs.fit_seconds:,.0f}",
    }


def _scaled(flops: float | None, unit: float) -> str | None:
    return None if flops is None else f"{flops / unit:,.1f}"
