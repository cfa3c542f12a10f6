"""What `python -m harness ablate --axis AXIS` can vary: an axis's own values, and the settings of each.

A new axis is one line in AXES. Those that are columns of one run's table (`iteration`, `final_pick`) need one run only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

from harness.core.errors import UserError
from harness.running.config import RunConfig, names_of
from harness.tasks import TASKS

Settings = list[tuple[str, Any]]


@dataclass(frozen=True)
class Axis:
    label: str  # of the figure
    values: tuple[Any, ...]  # tried unless others are asked for
    settings: Callable[[Any, RunConfig], Settings]  # of one value, given the run as it would be without
    method: str = "iro"  # whose setting it is
    is_budget: bool = False  # then best-of-n is run at the largest value, and read off its curve at the others
    column: str | None = None  # the values are those of a column of the table of one run

    def shown(self) -> dict[str, Any]:
        """What a report needs of it."""
        return {name: getattr(self, name) for name in ("label", "method", "is_budget", "column")}


def _sets(*names: str) -> Callable[[Any, RunConfig], Settings]:
    return lambda value, plain: [(name, value) for name in names]


def _width(value: Any, plain: RunConfig) -> Settings:
    """U rows a prompt, as many prefixes as successors; values are fitted at the width of the plain run."""
    root = isqrt(value) if isinstance(value, int) and value > 0 else 0
    if root * root != value or not root:
        raise UserError(f"--values {value!r}: the axis width takes squares, U = width x successors, such as 4,9,16")
    iro = plain.settings["iro"]
    fit = [("iro.rollout_width", iro.rollout_width or iro.width)]
    fit += [("iro.rollout_successors", iro.rollout_successors or iro.successors)]
    return [*fit, ("iro.width", root), ("iro.successors", root)]


def _beta(value: Any, plain: RunConfig) -> Settings:
    """`top`: beta of later iterations over that of the first, since only ratios matter; `resample`: every beta."""
    alone = value == 1.0 or plain.settings["iro"].select == "resample"
    return [("iro.beta", [value] if alone else [1.0, value])]


def _single(name: str) -> Callable[[Any, RunConfig], Settings]:
    """A setting that takes a list, of one value."""
    return lambda value, plain: [(name, [value])]


def _proxy(value: Any, plain: RunConfig) -> Settings:
    if "proxy_reviews" not in names_of(TASKS[plain.task].Config):
        raise UserError(f"axis reward_quality: task {plain.task!r} has no setting proxy_reviews, which imdb has")
    return [(f"{plain.task}.proxy_reviews", value)]


def _one_run(value: Any, plain: RunConfig) -> Settings:
    return []


AXES: Mapping[str, Axis] = {
    "width": Axis("rows per prompt, U", (4, 9, 16, 25, 36), _width, is_budget=True),
    "iteration": Axis("iteration", (), _one_run, column="iteration"),
    "final_pick": Axis("who picks among the finalists", (), _one_run, column="final_pick"),
    "chunk": Axis("tokens of a chunk", (4, 8, 16, 32), _sets("iro.chunk")),
    "beta": Axis("beta of later iterations / of the first (top); beta (resample)", (0.25, 0.5, 1.0, 2.0, 4.0), _beta),
    "strength": Axis(
        "strength, lambda", (1.0, 2.0, 4.0, 8.0), _sets("controlled_decoding.strength"), "controlled_decoding"
    ),
    "rollouts": Axis("fit prompts an iteration", (50, 100, 200, 400), _sets("fit.prompts")),
    "keep": Axis("training data of a search", ("argmax", "random", "all", "rows", "reweight"), _sets("iro.keep")),
    "select": Axis("selection", ("top", "resample"), _sets("iro.select")),
    "diversity": Axis("equal texts after all different ones", (True, False), _sets("iro.diversity")),
    "layer": Axis("layer that values read", (6, 9, 12, 18, 24), _single("fit.layers")),
    "pooling": Axis("pooling of states", ("last", "mean_all", "mean_response"), _single("iro.value.poolings")),
    "value_size": Axis("hidden units of a value head", (8, 32, 128, 512), _sets("iro.value.hidden")),
    "reward_quality": Axis("reviews that the proxy learnt from (0: all)", (100, 1000, 0), _proxy),
    "temperature": Axis("temperature of the base", (0.7, 1.0, 1.3), _sets("sampler.temperature")),
}
