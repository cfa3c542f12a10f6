"""The figures of a run by name, each as a function of the width alone.

drawings = of_run(table, best_of_n_curve(run), run.values)
drawings["gold_by_method"]("column")       # a matplotlib Figure
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from harness.core.slug import slug
from harness.evidence.figures import files
from harness.evidence.figures.along import gold_by_iteration_of, has_iterations
from harness.evidence.figures.by_method import gold_by_method, win_rates
from harness.evidence.figures.calibration import calibration
from harness.evidence.figures.curves import gold_against_compute, proxy_against_gold
from harness.evidence.figures.style import Width
from harness.evidence.row import Comparison
from harness.evidence.table import CurvePoint

Drawing = Callable[[Width], Figure]


def of_run(table: Sequence[Comparison], curve: Sequence[CurvePoint], values: pl.DataFrame | None) -> dict[str, Drawing]:
    """The kinds that a run has; calibration where values were fitted, iterations where there are several."""
    drawings: dict[str, Drawing] = {"gold_by_method": partial(gold_by_method, table)}
    if has_iterations(table):
        drawings["gold_by_iteration"] = partial(gold_by_iteration_of, table, curve)
    drawings["gold_against_compute"] = partial(gold_against_compute, table, curve)
    drawings["win_rates"] = partial(win_rates, table)
    drawings["proxy_against_gold"] = partial(proxy_against_gold, table, curve)
    if values is not None:
        drawings["calibration"] = partial(calibration, values)
    return drawings


def draw_all(drawings: Mapping[str, Drawing], folder: Path) -> None:
    """Write every figure into a report's folder, as wide as its page, in every format."""
    for name, draw in drawings.items():
        files.save(draw("full"), folder / slug(name))
