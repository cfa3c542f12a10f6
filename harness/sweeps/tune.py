"""`python -m harness tune --method all --tries 4`: settings of each method, tried on development prompts.

Every method gets as many tries, from its own list (`Generator.tries`), the defaults first; the best mean gold on the
development prompts wins, of the last iteration and the pick that needs least at test time. Fits are shared where a try
does not change them. OUT/tuning/<task>-<profile>-<hash>/ holds every try and a file for `run --config`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.nested import flatten
from harness.evidence.row import Comparison, flat
from harness.evidence.store import load_run
from harness.evidence.table import comparison
from harness.methods import METHODS
from harness.running.config import RunConfig, names_of, resolve
from harness.running.ranks import join_ranks
from harness.running.request import Given, Request, Workspace
from harness.running.run import complete
from harness.running.settings_source import DEFAULTS, settings_from
from harness.tasks import TASKS

PROMPTS = 64  # of the development slice, unless --limit says otherwise
_PICKS = ("value", "first", "reward")  # cheapest first: which row of a method is compared


@dataclass(frozen=True)
class Try:
    """One run of a method alone, and the row of its table that is compared."""

    settings: Mapping[str, Any]  # of the method, beside the profile's
    run_id: str
    row: Comparison


def tune(tries: int, request: Request, workspace: Workspace) -> str:
    """Try, choose, write tries.parquet and chosen.yaml, and return the table of tries."""
    if slices := [value for key, value in request.given if key == "evaluate.slice" and value != "development"]:
        raise UserError(f"evaluate.slice = {slices[0]!r}: tune looks at development prompts only; leave it out")
    asked = replace(request, limit=PROMPTS if request.limit is None else request.limit, only=True)
    asked = asked.with_given(("evaluate.slice", "development"))
    plain = resolve(asked)
    attempts = [(name, dict(settings)) for name in plain.methods for settings in METHODS[name].tries[:tries]]
    folder = workspace.out / "tuning" / f"{plain.task}-{plain.profile}-{digest([plain.asked(), attempts])[:10]}"
    configs = []
    for name, settings in attempts:
        alone = replace(asked, methods=(name,), given=_for(name, plain, asked.given))
        configs.append(resolve(alone.with_given(*flatten(settings, f"{name}."))))
    ranks = join_ranks()
    rows = []
    for (_, settings), config in zip(attempts, configs, strict=True):
        run = complete(config, replace(workspace, out=folder), ranks)
        if ranks.first:
            rows.append(Try(settings, run.name, _judged(run)))
    ranks.leave()
    kept = [(key, value) for key, value in request.given if not key.startswith("evaluate.")]
    return _write(folder, plain, request.preset, kept, rows) if ranks.first else ""


def _for(name: str, plain: RunConfig, given: Given) -> list[tuple[str, Any]]:
    """The settings given that a run of this method alone knows; best-of-n keeps the n it has beside the others."""
    others = set(plain.methods) - {name}
    n = [("best_of_n.n", plain.settings[name].n)] if name == "best_of_n" else []
    bare = {key for key, _ in given if "." not in key and key not in names_of(METHODS[name].Config)}
    return [(key, value) for key, value in given if key.split(".")[0] not in others | bare] + n


def _judged(folder: Path) -> Comparison:
    """The row of the last iteration whose pick costs least."""
    table = comparison(load_run(folder))
    last = max(row.key.iteration for row in table)
    return min((row for row in table if row.key.iteration == last), key=lambda row: _PICKS.index(row.key.final_pick))


def _write(
    folder: Path, plain: RunConfig, preset: str | None, given: list[tuple[str, Any]], tries: Sequence[Try]
) -> str:
    chosen: dict[str, Any] = {name: getattr(plain, name) for name in ("model", "profile", "seed")}
    chosen |= {"task": TASKS.origin(plain.task).reference}
    chosen |= {"preset": preset} if preset else {}
    chosen |= {"method": ",".join(METHODS.origin(name).reference for name in plain.methods), "set": dict(given)}
    if settings_from(plain) == DEFAULTS:  # settings given by hand stay so, whatever was tuned beside them
        chosen["tuned"] = folder.name
    lines = ["| method | settings tried | pick | gold (sd) | policy tokens | reward calls | chosen |", "|" + "---|" * 7]
    for name in plain.methods:
        own = [one for one in tries if one.row.key.method == name]
        best = max(own, key=lambda one: one.row.gold.value)
        if best.settings:
            chosen[name] = dict(best.settings)
        for one in own:
            tried = ", ".join(f"{key}={value}" for key, value in one.settings.items()) or "defaults"
            cells = [name, tried, one.row.key.final_pick, one.row.gold, f"{one.row.costs.policy_tokens:.0f}"]
            cells += [f"{one.row.costs.reward_calls:.1f}", "yes" if one is best else ""]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    with whole(folder / "tries.parquet") as part:
        columns = [
            {
                "method": one.row.key.method,
                "settings": yaml.safe_dump(dict(one.settings)),
                "run_id": one.run_id,
                **flat(one.row),
            }
            for one in tries
        ]
        pl.DataFrame(columns, infer_schema_length=None).write_parquet(part)
    with whole(folder / "chosen.yaml") as part:
        part.write_text(yaml.safe_dump(chosen, sort_keys=False), encoding="utf-8")
    lines += ["", f"{tries[0].row.gold.n} development prompts; python -m harness run --config {folder / 'chosen.yaml'}"]
    report = "\n".join(lines) + "\n"
    with whole(folder / "report.md") as part:
        part.write_text(report, encoding="utf-8")
    return report
