"""`python -m harness ablate --axis keep`: the same run at several values of one setting, or of two, side by side.

Each value is a run of its own in OUT/runs, so that repeating one costs nothing and fits and answers are shared where
the setting does not change them. What is made of them lies in OUT/ablations/<task>-<axis>-<hash>/ (see ablation.py).
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.json_file import write_json
from harness.core.lock import LOCKS, alone
from harness.core.statistics.stats import PLANNING_SD, detectable_difference
from harness.core.yaml_text import read_yaml
from harness.evidence.ablation import write_ablation
from harness.evidence.ablation_rows import Point
from harness.evidence.report import write_report
from harness.evidence.store import load_run
from harness.running.config import RunConfig, resolve
from harness.running.preview import Preview, preview
from harness.running.ranks import join_ranks
from harness.running.request import Request, Workspace
from harness.running.run import complete
from harness.sweeps.axes import Axis, axis_of


def ablate(axes: str, values: str | None, request: Request, workspace: Workspace) -> Path | None:
    """Run every value of an axis, or of two by comma; the folder of table, figure and report.

    None in launched processes that write nothing.
    `values` are by comma, those of a second axis after a semicolon.
    """
    plain, varied = resolve(request), _axes(axes, request)
    configs = _configs(varied, values, request)
    points = list(configs)
    n = plain.settings["evaluate"].prompts
    smallest = detectable_difference(PLANNING_SD, n)
    print(
        f"{axes}: {len(points)} runs on {n} prompts; paired differences of {smallest:.2f} sd or more show (80% power)",
        file=sys.stderr,
    )
    ranks = join_ranks()
    folders = {
        point: complete(config, workspace, ranks, place=f"{axes} {_named(point)} ({i} of {len(points)})")
        for i, (point, config) in enumerate(configs.items(), 1)
    }
    ranks.leave()
    if not ranks.first:
        return None
    for folder in folders.values():
        write_report(load_run(folder))
    reference = next((p for p, config in configs.items() if config.asked() == plain.asked()), points[0])
    about: dict[str, Any] = {
        "axes": [{"name": name.replace(".", "_"), **axis.shown()} for name, axis in varied.items()],  # names files
        "reference": reference,
        "runs": [{"point": point, "run": folder.name} for point, folder in folders.items()],
    }
    made_of = digest([entry["run"] for entry in about["runs"]])[:10]
    folder = workspace.out / "ablations" / f"{plain.task}-{'-'.join(axis['name'] for axis in about['axes'])}-{made_of}"
    with alone(workspace.out / LOCKS / f"ablations-{folder.name}", f"the ablation {folder.name}"):
        write_json(folder / "about.json", about)
        write_ablation(folder, workspace.out)
    return folder


def preview_ablation(axes: str, values: str | None, request: Request, workspace: Workspace) -> dict[str, Preview]:
    """The runs that `ablate` would do, by their values, none of them done."""
    found: dict[str, Preview] = {}
    for point, config in _configs(_axes(axes, request), values, request).items():
        speed = next((one.speed for one in found.values() if one.speed is not None), None)
        found[_named(point) or axes] = preview(config, workspace, speed=speed)
    return found


def _axes(axes: str, request: Request) -> dict[str, Axis]:
    """The axes that are named, by comma."""
    plain, names = resolve(request), [name.strip() for name in axes.split(",")]
    if len(set(names)) < len(names):
        raise UserError(f"--axis {','.join(names)} names an axis twice; give one axis, or two different ones")
    return {name: axis_of(name, plain) for name in names}


def _configs(varied: Mapping[str, Axis], values: str | None, request: Request) -> dict[Point, RunConfig]:
    """The run of each point."""
    plain, points, first = resolve(request), _points(varied, values), next(iter(varied.values()))
    # settings of all values first: they refuse those that could not be compared below
    settings = {p: [s for a, v in zip(varied.values(), p, strict=True) for s in a.settings(v, plain)] for p in points}
    configs = {}
    for point, given in settings.items():
        only = first.is_budget and point != max(points)
        configs[point] = resolve(replace(request.with_given(*given), only=only or request.only))
    return configs


def _points(varied: Mapping[str, Axis], values: str | None) -> list[Point]:
    """The values to run: of one axis, or all pairs of two."""
    names, axes = list(varied), list(varied.values())
    if len(axes) > 2 or (len(axes) == 2 and any(axis.is_budget or axis.column for axis in axes)):
        raise UserError(
            f"--axis {','.join(names)}: give one axis, or two of which none is width, iteration, final_pick"
        )
    given: list[str | None] = [None] * len(names) if values is None else [*values.split(";")]
    if len(given) != len(names):
        raise UserError(f"--values {values!r}: {len(names)} axes need as many lists, parted by a semicolon")
    lists = []
    for name, axis, text in zip(names, axes, given, strict=True):
        if text is not None and axis.column:
            raise UserError(f"--values {text!r}: axis {name} shows what a single run has; leave --values out")
        if text is None and not axis.values and not axis.column:
            raise UserError(f"--axis {name} ({axis.label}) has no values of its own: give some, as --values 1,2,4")
        asked = axis.values if text is None else [_value(one, str(values)) for one in text.split(",")]
        lists.append(list(dict.fromkeys(asked)) or [None])
    return list(product(*lists))


def _named(point: Point) -> str:
    return " x ".join(str(value) for value in point if value is not None)


def _value(text: str, values: str) -> Any:
    """One value of a list."""
    value = read_yaml(text, f"--values {values!r}: {text!r}")
    if value is None or isinstance(value, list | dict):
        raise UserError(f"--values {values!r}: {text!r} is no value; give values by comma, such as 1,2,4")
    return value
