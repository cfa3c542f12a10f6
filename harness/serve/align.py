"""Aligns a model with a reward that is a Python function, and leaves a folder that answers new prompts.

    aligned = harness.align("smollm2-135m-instruct", prompts, reward=my_reward, method="iro", out="aligned/")

The stages are those of a run, whose tables lie in the cache: interrupted or repeated, it goes on from what is there.
"""

import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness.core.api.use import Use
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import cache_folder, renewed
from harness.core.given_prompts import prompts_of
from harness.core.given_reward import Reward
from harness.core.lock import LOCKS
from harness.core.nested import flatten
from harness.core.printable import printable
from harness.evidence.markdown import digits_for
from harness.evidence.store import load_run, read_json
from harness.methods import METHODS
from harness.running.config import FEWEST, iterations_of, resolve
from harness.running.fitted import Fitted, asked_from_anywhere, read_about_fitted, read_fitted, write_about_fitted
from harness.running.ranks import Ranks, join_ranks
from harness.running.request import NO_TREES, Request, Workspace
from harness.running.run import complete
from harness.serve.aligned import Aligned
from harness.serve.opening import open_aligned
from harness.tasks import TASKS
from harness.tasks.own import NAME, own_task, settings_of

_MOST = {"fit": 400, "held_out": 64}  # prompts taken unless fit.prompts, evaluate.prompts say otherwise


def align(
    model: str,
    prompts: Iterable[Any],
    reward: Callable[..., Any],
    method: str = "iro",
    *,
    out: str | Path,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    workers: int | None = None,
    key_variable: str | None = None,
    replace_out: bool = False,
    **settings: Any,
) -> Aligned:
    """Fit a method on prompts and a reward, write what it takes to answer others into `out`, and open that.

    `prompts` are texts, lists of messages, rows (dicts with `prompt` or `messages`), or Prompts. `reward` takes
    (prompt, response, **row) and returns a number, or (prompts, responses, **columns) and returns a list. `settings`
    are those of --set: width=4, or iro={"width": 4}, sampler={"max_new_tokens": 64}. A fifth of the prompts, 64 at
    most, is answered at the end instead of being fitted on; each iteration has its own share of the others.
    `key_variable` is the environment variable with the key of a model behind an API.

    Raises UserError for too few prompts, for a reward that never gives a number, and where `out` holds something else.
    """
    given, scorer = prompts_of(prompts), Reward.of(reward)
    scorer.require_columns(given)
    name, folder = METHODS.name_of(method), Path(out)
    TASKS.hold(NAME, own_task(given, scorer, model))
    asked = Request(("base", name), NAME, model, seed=seed, only=True, device=device, dtype=dtype)
    asked = asked.with_given(NO_TREES, *flatten(settings))
    asked = asked.with_given(*_shares(asked, name, len(given)))
    held_out = resolve(asked).settings["evaluate"].prompts
    config = resolve(asked.with_given(*flatten({NAME: settings_of(given, scorer, held_out)})))
    ranks = join_ranks()
    use = Use(key_variable)
    with alone_in(folder, cache_folder(), ranks):
        require_free(folder, asked_from_anywhere(config), replace_out)
        run = complete(config, Workspace(cache_folder() / "aligned", cache_folder(), workers, use=use), ranks)
        if ranks.first:
            _say(run, name)
            fitted = read_fitted(run / "fitted")
            keep(
                run / "fitted",
                folder,
                replace(fitted, reward=scorer.source.reference, reward_source=scorer.source.identity),
            )
        ranks.wait()
    ranks.leave()
    return open_aligned(folder, name, None, scorer, None, device, use)


def _shares(asked: Request, name: str, count: int) -> list[tuple[str, Any]]:
    """How many prompts are for fitting, in each iteration, and how many for the end, where nothing else was asked."""
    chosen = resolve(asked)
    iterations, named = max(1, iterations_of(METHODS[name], chosen.settings[name])), dict(asked.given)
    fewest = FEWEST * iterations + 1
    if count < fewest:
        raise UserError(
            f"{count} prompts are too few for {name}: {iterations} iteration(s) need {FEWEST} each to fit on, and one "
            f"is held out; give at least {fewest}" + (f", or {name}={{'iterations': 1}}" if iterations > 1 else "")
        )
    held_out = named.get("evaluate.prompts", max(1, min(count // 5, _MOST["held_out"], count - FEWEST * iterations)))
    each = named.get("fit.prompts", min((count - held_out) // iterations, _MOST["fit"]))
    return [("evaluate.prompts", held_out), ("fit.prompts", each)]


def alone_in(folder: Path, cache: Path, ranks: Ranks) -> AbstractContextManager[None]:
    """One command at a time makes what OUT holds; whoever comes second waits, says for whom, and finds it done."""
    name = f"aligned-{digest(str(folder.resolve()))[:20]}"
    return ranks.alone(cache / LOCKS / name, f"the aligned model in {folder}")


def require_free(folder: Path, asked: dict[str, Any], replace_out: bool) -> None:
    """Raises UserError where OUT holds anything but the same aligned model, or one that may be replaced."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "about.json").is_file():
        raise UserError(f"out={str(folder)!r} holds other things; give a folder that is empty, or not there")
    if not replace_out and asked_of(folder) not in (None, asked):
        raise UserError(
            f"out={str(folder)!r} holds a model that was aligned with other prompts, another reward or other settings; "
            "give another folder, or replace_out=True (--replace)"
        )


def asked_of(folder: Path) -> dict[str, Any] | None:
    """What an aligned folder was asked for; None where that is damaged, so that nobody can answer from it any more.

    Raises UserError where another version wrote it.
    """
    try:
        read_json(folder / "about.json")
    except UserError:
        return None
    return read_about_fitted(folder).asked


def keep(fitted: Path, folder: Path, about: Fitted) -> None:
    """Write what the run fitted into OUT, with `about`, which says where the reward can be imported from."""
    if (folder / "about.json").is_file():
        try:
            if read_fitted(folder) == about:
                return
        except UserError as error:
            print(printable(f"{error}. It is made again"), file=sys.stderr)
    with renewed(folder) as part:
        shutil.copytree(fitted, part)
        write_about_fitted(part, about)


def _say(run: Path, name: str) -> None:
    """On stderr: the reward of the held-out answers, and how many responses had none."""
    stored = load_run(run)
    proxy = stored.scores.filter(pl.col("metric") == "proxy_reward")
    last = proxy.filter((pl.col("method") == "base") | (pl.col("iteration") == proxy["iteration"].max()))
    means = last.group_by("method", "final_pick", maintain_order=True).agg(pl.col("value").fill_nan(None).mean())
    digits = digits_for(float(np.nanstd(last["value"].to_numpy())))
    of_picks = ", ".join(
        f"{method} ({pick}) {mean:{digits}}" for method, pick, mean in means.iter_rows() if mean is not None
    )
    n = stored.completions["prompt_id"].n_unique()
    print(f"{name}: mean reward on {n} prompts kept for the end: {of_picks}", file=sys.stderr)
    values = np.concatenate([proxy["value"].to_numpy(), stored.pool["proxy_reward"].to_numpy()])
    if np.isnan(values).any():
        print(f"the reward gave no number for {np.isnan(values).sum()} of {len(values)} responses", file=sys.stderr)
