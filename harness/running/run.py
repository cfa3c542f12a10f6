"""`python -m harness run`: do the stages of each method in order, or find the run done, and show its report."""

import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import PART, to_disk
from harness.core.generator import Generator
from harness.core.lock import LOCKS
from harness.core.manifest import MANIFEST, write_manifest
from harness.core.printable import printable
from harness.core.progress import RunProgress
from harness.core.reward import Scale
from harness.core.statistics.stats import PLANNING_SD, detectable_difference
from harness.core.task import GOLD
from harness.core.types import Prompt
from harness.core.values.calibration import calibration, held_out
from harness.evidence.record import Agreement, read_record
from harness.evidence.report import write_report
from harness.evidence.run_names import give_name, require_free
from harness.evidence.screen import show_run
from harness.evidence.store import Run, load_run, read_about, runs_folder, write_about, write_table
from harness.evidence.table import comparison
from harness.methods import METHODS
from harness.running.artifacts import Artifacts, in_short
from harness.running.config import RunConfig
from harness.running.evaluate import Rows, agreement, evaluate, score_pool, ungraded
from harness.running.finished import holds, problems_of_run
from harness.running.fits import first_key, fits, fitted_again
from harness.running.fitted import write_fitted
from harness.running.identity import made_otherwise, require_same, run_id
from harness.running.material import Material, chosen_in_words, material_of
from harness.running.provenance import PeakMemory, open_slice
from harness.running.ranks import Ranks, join_ranks
from harness.running.request import Workspace
from harness.running.scoring import own_of
from harness.running.settings_source import settings_from
from harness.running.stages import Pool, RunContext, answer, label_of, sample_pool
from harness.running.trees import trace

_FRESH = re.compile(r"-fresh\d+$")


def run_and_report(config: RunConfig, workspace: Workspace, fresh: bool) -> None:
    """Do a run or find it done, and show what it found; `fresh` recomputes next to it and prints the differences."""
    ranks = join_ranks()
    folder = complete(config, workspace, ranks, fresh)
    ranks.leave()
    if not ranks.first:
        return
    run = load_run(folder)
    table = comparison(run)
    write_report(run, table)
    show_run(run, table)
    stored = folder.with_name(_FRESH.sub("", folder.name))
    if stored != folder:
        print(_differences(load_run(stored), run))


def complete(config: RunConfig, workspace: Workspace, ranks: Ranks, fresh: bool = False, place: str = "") -> Path:
    """The folder of the finished run, OUT/runs/<id>; `fresh` makes it anew next to one that is there.

    Model and task are loaded first, for the id holds what they are: a run of another model, other prompts or other
    code is not this one, though it was asked the same. A fresh run has a cache of its own, so that it can resume, which
    goes when the run is done. `place` names it among several runs of one command: "run 2 of 5".
    """
    runs, started = runs_folder(workspace.out), time.time()
    with PeakMemory() as memory:
        material = material_of(config, workspace, ranks)
        name = run_id(material.context.config, material.identity)
        if not fresh and holds(runs / name):
            return _found_done(material, workspace, runs / name)
        with ranks.alone(workspace.out / LOCKS / name, name):
            folder = _next_fresh(runs / name) if fresh else runs / name
            if workspace.name is not None:
                require_free(workspace.out, workspace.name, folder.name)
            if not fresh and ranks.of_first(holds(folder)):
                return _found_done(material, workspace, folder)
            if ranks.first:
                _say_before(material, workspace, folder)
            root = (
                workspace.cache / "fresh" / digest([str(workspace.out.resolve()), folder.name])[:20]
                if fresh
                else workspace.cache
            )
            context = material.context
            context.artifacts = Artifacts(root)
            stages = [stage.planned for stage in material.stages]
            with RunProgress(stages, place, quiet=not ranks.first) as context.progress, _billed(context, folder):
                _execute(material, folder, memory, started)
    _give_name(workspace, folder, ranks)
    if fresh and ranks.first:
        shutil.rmtree(root)
    return folder


def _found_done(material: Material, workspace: Workspace, folder: Path) -> Path:
    """A finished run is shown, and never written again."""
    context = material.context
    require_same(folder, context.config, material.identity)
    _give_name(workspace, folder, context.ranks)
    commit = read_record(folder / "run.json", read_about(folder)).short_commit
    print(printable(f"{folder.name} is done (commit {commit}); --fresh recomputes it"), file=sys.stderr)
    return folder


def _next_fresh(folder: Path) -> Path:
    """The first of <id>, <id>-fresh1, ... that holds no finished run, nor one that is damaged."""
    again = (folder.with_name(f"{folder.name}-fresh{n}") for n in count(1))
    return next(one for one in chain([folder], again) if not holds(one) and not problems_of_run(one))


def _say_before(material: Material, workspace: Workspace, folder: Path) -> None:
    _say_once([*material.introduction, *chosen_in_words(material)], workspace.said)
    context = material.context
    if line := made_otherwise(folder.parent, folder, context.config, material.identity):
        print(printable(line), file=sys.stderr)
    if problems := problems_of_run(folder):
        line = f"{folder.name} is damaged ({in_short(problems)}); made again, from what the cache has"
        print(printable(line), file=sys.stderr)


@contextmanager
def _billed(context: RunContext, folder: Path) -> Iterator[None]:
    """Have run.json say what a server was asked for, by this command and those before it, however this one ends."""
    before = _bills(folder)
    try:
        yield
    finally:
        bills = [*before, *filter(None, [context.policy.bill()])]
        if bills and (folder / "run.json").exists():
            write_about(folder, {**read_about(folder), "served": bills})


def _bills(folder: Path) -> list[dict[str, Any]]:
    """Of commands that did not finish the run; none where nobody can tell any more."""
    with suppress(UserError):
        if (folder / "run.json").exists():
            return list(read_about(folder).get("served", []))
    return []


def _say_once(lines: Sequence[str], said: set[str]) -> None:
    for line in lines:
        if line not in said:
            print(line, file=sys.stderr)
            said.add(line)


def _give_name(workspace: Workspace, folder: Path, ranks: Ranks) -> None:
    if workspace.name is not None and ranks.first:
        give_name(workspace.out, workspace.name, folder.name)
        print(f"{folder.name} is called {workspace.name}", file=sys.stderr)


def _execute(material: Material, folder: Path, memory: PeakMemory, started: float) -> None:
    """Do the run and write its tables; of several ranks, all work and the first writes."""
    context, fit_slices, test = material.context, material.fit_slices, material.test
    config, policy, task, ranks = context.config, context.policy, context.task, context.ranks
    part, smallest = config.settings["evaluate"].slice, detectable_difference(PLANNING_SD, len(test))
    about: dict[str, Any] = {}
    if ranks.first:
        _remove_parts(folder)
        alone = "" if task.cluster(test[0]) is None else ", were each by itself"
        context.progress.say(
            f"{folder.name}: {len(test)} {part} prompts show paired differences of {smallest:.2f} sd or more (80% "
            f"power, planning sd {PLANNING_SD}{alone}); {context.workers * ranks.count} worker(s) on "
            f"{policy.device.type}"
        )
        about = open_slice(folder, config, policy, task, material.identity)
    pool = sample_pool(context, fit_slices[0])
    rows: Rows = {
        "completions": [],
        "scores": [],
        "fits": [],
        "tried": [],
        "pool": score_pool(context, pool),
    }
    gold = np.array([row[GOLD] for row in rows["pool"]])
    about["units"] = {"proxy_reward": asdict(pool.proxy), GOLD: asdict(Scale.of("the gold", gold))}
    about["agreement"] = agreement(rows["pool"])
    if ranks.first and (warning := Agreement(**about["agreement"]).warning):
        context.progress.say(f"warning: {warning}")
    settings = config.settings
    about["left_out"] = dict(config.left_out)
    about["settings_from"] = settings_from(config)
    if config.tuned is not None and about["settings_from"] == f"tune:{config.tuned.name}":
        about["tuned"] = {name: vars(config.tuned)[name] for name in ("name", "edges", "budgets")}
    about["trained"] = [m for m in config.methods if METHODS[m].trains_weights]
    about["budgets"] = {m: METHODS[m].budget(settings[m]) for m in config.methods}
    about["kl_bounds"] = {m: METHODS[m].kl_bound(settings[m], settings["sampler"]) for m in config.methods}
    flops = {name: _run_method(context, name, pool, fit_slices, test, rows) for name in config.methods}
    for refit in range(1, settings["fit"].refits):
        for name in config.methods:
            rows.setdefault("refits", []).extend(fitted_again(context, name, refit, pool, fit_slices, test))
    if not rows.get("refits"):
        rows.pop("refits", None)  # no method fits anything
    if not rows.get("parts"):
        rows.pop("parts", None)  # scores are of one piece
    about["tried"] = rows.pop("tried")  # layers and poolings, and how well their values rank
    prices = {
        "policy_token": 2.0 * policy.active_parameters,
        "reward_call": task.reward_flops,
        "value_call": {name: of["call"] for name, of in flops.items() if "call" in of},
        "value_token": {name: of["token"] for name, of in flops.items() if "token" in of},
    }
    about["flops"] = prices if policy.active_parameters else None  # the toy multiplies nothing
    if not ranks.first:
        return
    if (names := about["task_facts"].get("grader_errors")) is not None:
        about["task_facts"]["ungraded"] = ungraded(rows, names)
    keys = {"run_id": folder.name, "task": config.task, "seed": config.seed}
    tables = {**rows, "ledger": context.usage}
    for table, content in tables.items():
        write_table(folder, table, [{**keys, **row} for row in content])
    write_fitted(folder, context, pool.proxy, rows["completions"])
    counts = {f"{table}.parquet": len(content) for table, content in tables.items()}
    write_manifest(folder, counts, rows=counts)
    to_disk(folder / name for name in (*counts, MANIFEST))
    about |= {
        "status": "done",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": time.time() - started,
        "workers": context.workers * ranks.count,
        "memory_gb": memory.gb,
    }
    write_about(folder, about)
    to_disk([folder / "run.json"])


def _remove_parts(folder: Path) -> None:
    """What a killed process left half written, whose lock is ours now."""
    for path in folder.glob(f".*{PART}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _run_method(
    context: RunContext, name: str, pool: Pool, fit_slices: Sequence[list[Prompt]], test: Sequence[Prompt], rows: Rows
) -> dict[str, float]:
    """Fit and evaluate one method, iteration by iteration; what its values cost (`Generator.value_flops`)."""
    method = context.method(name, pool.proxy)
    held = []  # rollouts of each iteration that its fit has not seen
    if method.iterations == 0:
        _answer(context, name, 0, method, first_key(name, method, pool), test, rows)
    for made in fits(context, name, method, pool, fit_slices):
        iteration = made.iteration
        if method.fitted_values:
            held.append(context.withheld.bare_candidates(held_out(made.rollouts, made.report.held_out)))
        choices = dict(made.report.choices)
        tried = choices.pop("tried", [])
        rows["tried"] += [{"method": name, "iteration": iteration, **row} for row in tried]
        rows["fits"] += [{"method": name, "iteration": iteration, **choices, **row} for row in made.report.rows]
        _answer(context, name, iteration, method, made.key, test, rows)
    for i, value in enumerate(method.fitted_values, 1):
        for j, rollouts in enumerate(held, 1):
            with context.ledger.phase("score"):
                checked = calibration(value, rollouts)
            rows.setdefault("values", []).extend({"method": name, "value": i, "rollouts": j, **row} for row in checked)
    context.usage += [  # of values that have models of their own
        {"method": name, "iteration": method.iterations, "artifact": "calibration", **row, "computed": True}
        for row in context.ledger.drain()
    ]
    return method.value_flops()


def _answer(
    context: RunContext, name: str, iteration: int, method: Generator, key: str, test: Sequence[Prompt], rows: Rows
) -> None:
    """Have the method answer as it stands, evaluate that, and store the trees of its searches that were asked for."""
    answers = answer(context, name, iteration, method, key, test)
    evaluate(context, name, iteration, answers, rows, own_of(method, key))
    if method.searches and context.config.settings["evaluate"].trace:
        trees = trace(context, name, iteration, method, key, test)
        rows.setdefault("trace", []).extend({"method": name, "iteration": iteration, **row} for row in trees)


def _differences(stored: Run, fresh: Run) -> str:
    lines = [f"{fresh.id} against {stored.id}:"]
    for old, new in zip(comparison(stored), comparison(fresh), strict=True):
        change = new.gold.value - old.gold.value
        lines.append(f"  {label_of(new.key.method, new.key.iteration)}, {new.key.final_pick}: gold {change:+.4f} sd")
    shared = [name for name in stored.completions.columns if name != "run_id"]  # a newer version may store more
    same = stored.completions.select(shared).equals(fresh.completions.select(shared))
    lines.append(f"  completions are {'identical' if same else 'not identical'}")
    return "\n".join(lines)
