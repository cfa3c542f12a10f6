"""What `python -m harness ablate --axis AXIS` can vary: an axis's own values, and the settings of each.

Every setting of a method is an axis, as METHOD.SETTING, whose values are given:

    python -m harness ablate --method cards --axis cards.attempts --values 5,10,20

What has a name of its own, and values to try, is one line in AXES. Those that are columns of one run's table
(`iteration`, `final_pick`) need one run only.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from math import isqrt
from typing import Any, get_origin

from harness.core.errors import UserError, unknown
from harness.methods import METHODS
from harness.running.config import RunConfig, annotation_of, bare, description_of, names_of
from harness.tasks import TASKS

Settings = list[tuple[str, Any]]
AxisSettings = Callable[[Any, RunConfig], Settings]  # of one value, given the run as it would be without


@dataclass(frozen=True)
class Axis:
    label: str  # of the figure
    values: tuple[Any, ...]  # tried unless others are asked for
    settings: AxisSettings
    method: str = "iro"  # whose setting it is
    is_budget: bool = False  # then best-of-n is run at the largest value, and read off its curve at the others
    column: str | None = None  # the values are those of a column of the table of one run

    def shown(self) -> dict[str, Any]:
        """What a report needs of it."""
        return {name: getattr(self, name) for name in ("label", "method", "is_budget", "column")}


def axis_of(name: str, plain: RunConfig) -> Axis:
    """An axis by its name in AXES, or any setting of a method of this run. Raises UserError where it is neither."""
    if name in AXES:
        axis = AXES[name]
    elif "." in name:
        axis = _axis_of_setting(name)
    else:
        raise UserError(f"{unknown('axis', name, AXES)}, or a setting of a method as METHOD.SETTING")
    if axis.method not in plain.settings:
        raise UserError(
            f"axis {name} varies {axis.method}; the methods of this run are {', '.join(plain.methods)}. Name it, as "
            f"--method {axis.method}"
        )
    return axis


def _axis_of_setting(name: str) -> Axis:
    """METHOD.SETTING as an axis without values of its own, labelled by the setting's description less its source."""
    method = METHODS.name_of(name.partition(".")[0])
    annotation = annotation_of(name, {method: METHODS[method].Config})
    kind = bare(annotation)
    if is_dataclass(kind):
        raise UserError(f"--axis {name}: it has parts; vary one: {', '.join(f'{name}.{n}' for n in names_of(kind))}")
    sets = _single(name) if get_origin(kind) is tuple else _sets(name)
    return Axis(f"{re.sub(r' *[(][^()]*[)]$', '', description_of(annotation))} ({name})".strip(), (), sets, method)


def _sets(*names: str) -> AxisSettings:
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


def _single(name: str) -> AxisSettings:
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
    "value_kind": Axis("what values read", ("hidden", "text", "lm"), _sets("iro.value.kind")),
    "value_size": Axis("hidden units of a value head", (8, 32, 128, 512), _sets("iro.value.hidden")),
    "ensemble": Axis("value heads averaged", (1, 3, 5), _sets("iro.value.ensemble")),
    "reward_quality": Axis("reviews that the proxy learnt from (0: all)", (100, 1000, 0), _proxy),
    "temperature": Axis("temperature of the base", (0.7, 1.0, 1.3), _sets("sampler.temperature")),
}
