"""An aligned model from a run's folder or one of `align`, on the model that it was fitted on.

harness.load("results/runs/imdb-3f2a")         # or the folder that harness.align wrote
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.core.api.use import USUAL, Use
from harness.core.errors import UserError, unknown
from harness.core.files import cache_folder
from harness.core.given_reward import Reward
from harness.core.results_folder import results_folder
from harness.evidence.store import find_run
from harness.methods import METHODS
from harness.running.config import MODEL_ARGS, SECTIONS, RunConfig
from harness.running.fitted import Fitted, read_fitted, stored_settings
from harness.running.material import open_policy, require_capabilities
from harness.serve.aligned import Aligned
from harness.tasks.own import NAME as OWN


def load(
    source: str | Path,
    method: str | None = None,
    iteration: int | None = None,
    reward: Callable[..., Any] | None = None,
    *,
    model: str | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    key_variable: str | None = None,
) -> Aligned:
    """An aligned model from a run (path, id or its beginning in OUT/runs, name, or `latest`), or a folder of `align`.

    `method` may be left out where only one fitted something, `iteration` means the last. `reward` is for folders of
    `align` whose function cannot be imported; `model` says where the model lies now, `key_variable` which
    environment variable has the key of its server. Raises UserError for another model than the one that was fitted on.
    """
    folder, use = fitted_folder(source, results_folder(out)), Use(key_variable)
    return open_aligned(folder, method, iteration, reward and Reward.of(reward), model, device, use)


def fitted_folder(source: str | Path, out: Path) -> Path:
    """The folder with about.json. Raises UserError where there is none."""
    for folder in (Path(source), Path(source) / "fitted"):
        if (folder / "about.json").is_file():
            return folder
    run = find_run(out, str(source))
    if not (run / "fitted" / "about.json").is_file():
        raise UserError(
            f"run {run.name} has no fitted/: an earlier version made it, or it was copied without (git leaves it out). "
            "Run its command with --fresh"
        )
    return run / "fitted"


def open_aligned(
    folder: Path,
    method: str | None,
    iteration: int | None,
    reward: Reward | None,
    model: str | None,
    device: str,
    use: Use = USUAL,
) -> Aligned:
    """See `load`; with a reward that was read before, and how a server is asked."""
    about = read_fitted(folder)
    name = _chosen_method(about, method)
    of_method = about.methods[name]
    iteration = max(of_method.iterations) if iteration is None else iteration
    if iteration not in of_method.iterations:
        there = ", ".join(map(str, of_method.iterations))
        raise UserError(f"iteration {iteration} of {name}: {folder} has {there}")
    asked, settings = about.asked, about.asked["settings"]
    if reward is not None and asked["task"] != OWN:
        raise UserError(f"the reward of {folder} is that of task {asked['task']!r}; leave reward out")
    METHODS.name_of(of_method.reference or name)
    typed = {n: stored_settings(n, SECTIONS[n], settings.get(n, {})) for n in ("sampler", "batch", MODEL_ARGS)}
    typed[name] = stored_settings(name, METHODS[name].Config, settings[name])
    given = asked["model"] if model is None else model
    config = RunConfig(asked["task"], given, asked["profile"], asked["seed"], device, about.dtype, (name,), typed)
    policy = open_policy(config, cache_folder(), use)
    if policy.fingerprint != about.fingerprint:
        raise UserError(
            f"model {given!r} is not the one that {folder} was fitted on (fingerprint {policy.fingerprint}, there "
            f"{about.fingerprint}); give that one"
        )
    require_capabilities(config, policy)
    return Aligned(folder, about, name, iteration, config, policy, reward)


def _chosen_method(about: Fitted, method: str | None) -> str:
    if method is not None:
        if method not in about.methods:
            raise unknown(f"method of {about.run}", method, about.methods)
        return method
    fitted = [name for name, of in about.methods.items() if of.iterations != [0]]
    others = [name for name in about.methods if name not in ("base", "base_greedy")]
    for names in (fitted, [name for name in others if name != "best_of_n"], others, list(about.methods)):
        if len(names) == 1:
            return names[0]
    raise UserError(f"{about.run} has {', '.join(about.methods)}: say which of these methods is to answer")
