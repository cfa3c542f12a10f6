"""What a run works on: the model, the task, the prompts, and the identity that these make.

material = material_of(config, workspace, ranks)
material.context, material.fit_slices, material.test, material.identity
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.core.api.spending import Prices
from harness.core.api.use import USUAL, Use
from harness.core.as_before import hashed
from harness.core.errors import UserError
from harness.core.models import device
from harness.core.models.loading import load_policy
from harness.core.models.policy import Policy
from harness.core.models.served.address import is_served
from harness.core.models.served.policy import open_served, speech_of
from harness.core.models.toy import LONGEST, ToyPolicy
from harness.core.types import Prompt
from harness.evidence.schema import GREEDY
from harness.methods import METHODS
from harness.running.artifacts import Artifacts
from harness.running.config import MODEL_ARGS, PRICES, RunConfig
from harness.running.identity import identity_of
from harness.running.plan import PlannedStage, plan
from harness.running.ranks import Ranks
from harness.running.request import Workspace
from harness.running.stages import RAW, VERSIONS, RunContext
from harness.running.workers import choose_workers
from harness.tasks import TASKS


@dataclass(frozen=True)
class Material:
    """Everything that a run starts from."""

    context: RunContext
    fit_slices: list[list[Prompt]]
    test: list[Prompt]
    identity: dict[str, Any]
    stages: list[PlannedStage]  # in the order in which the run does them
    introduction: list[str] = field(default_factory=list)  # lines that a user should see before any work


def material_of(
    config: RunConfig, workspace: Workspace, ranks: Ranks, context_of: type[RunContext] = RunContext
) -> Material:
    """Model, task, methods and prompts of a run, and its identity: the first rank's, for all ranks must agree."""
    with ranks.first_before_others():
        policy = policy_of(config, workspace.cache, workspace.use)
        task = TASKS[config.task](config.settings[config.task], policy, workspace.cache)
    alone = [m for m in config.methods if METHODS[m].needs_one_process(config.settings[m])]
    if alone and ranks.count > 1:
        raise UserError(
            f"{', '.join(alone)}: their training cannot be shared by {ranks.count} launched processes; run them in one"
        )
    if policy.elsewhere and ranks.count > 1:
        raise UserError(
            f"{policy.name!r} is written by a server, which launched processes do not make faster; run in one process, "
            "with --parallel N requests at a time"
        )
    config = _as_it_draws(config, policy)
    require_capabilities(config, policy)
    workers, need_gb = 1, config.settings["batch"].memory_gb
    if ranks.count == 1:
        workers = _workers(workspace.workers, policy, need_gb)
    context = context_of(config, policy, task, Artifacts(workspace.cache), workers, ranks)
    methods = {name: context.method(name, RAW) for name in config.methods}
    fit_slices, test = _slices(context, max([1, *(method.iterations for method in methods.values())]))
    prompts = {"fit": [p for part in fit_slices for p in part], config.settings["evaluate"].slice: test}
    sampler = config.settings["sampler"]
    introduction = [
        *policy.introduction(sampler),
        *task.introduction(policy.prompt_length, policy.context, sampler.max_new_tokens),
    ]
    for part in prompts.values():
        policy.require_room(part, [config.settings["sampler"].max_new_tokens] * len(part))
    _require_going_on(config, policy, [*prompts["fit"], *test])
    keys = {part: [context.prompt_key(p) for p in of_part] for part, of_part in prompts.items()}
    identity = identity_of(config, policy, task, methods, keys, VERSIONS)
    stages = plan(context, methods, fit_slices, test)
    return Material(context, fit_slices, test, ranks.agreed(identity), stages, introduction)


def chosen_in_words(material: Material) -> list[str]:
    """How many prompts are taken, where a task is as large as a file of the user's."""
    config, task = material.context.config, material.context.task
    if task.sizes(config.settings[config.task]) is None:
        return []
    fit, evaluate, slices = config.settings["fit"], config.settings["evaluate"], material.fit_slices
    each = f"{len(slices)} x {fit.prompts}" if len(slices) > 1 else f"{fit.prompts}"
    return [
        f"taken: {each} fit prompts with {fit.samples} samples each, and {len(material.test)} {evaluate.slice} prompts "
        "(--set fit.prompts=N and --limit N take others)"
    ]


def _workers(asked: int | None, policy: Policy, need_gb: float) -> int:
    """One for a model of a server: its requests run side by side in one process, which minds the budget."""
    if not policy.elsewhere:
        return choose_workers(asked, policy.device.type, need_gb)
    if asked not in (None, 1):
        raise UserError(f"--workers {asked}: a server writes {policy.name!r}; give --parallel N requests at a time")
    return 1


def policy_of(config: RunConfig, cache: Path, use: Use = USUAL) -> Policy:
    """The frozen model of a run."""
    kind = TASKS[config.task]
    if (config.model == "toy") != (kind.default_model == "toy") and not (config.model == "toy" and kind.toy_as_well):
        raise UserError(
            f"model {config.model!r} does not fit task {config.task!r}: the toy model goes with the toy task"
        )
    return open_policy(config, cache, use)


def open_policy(config: RunConfig, cache: Path, use: Use = USUAL) -> Policy:
    """The model of a run, whatever its task; `use` says how a server is asked."""
    prices = config.settings.get(PRICES, Prices())
    if (given := hashed(prices)) and not is_served(config.model):
        raise UserError(f"prices={given}: only tokens of a server (openai:BASE_URL#MODEL) have prices; leave them out")
    if config.model == "toy":
        device.place(config.device, config.dtype)
        length = config.settings["sampler"].max_new_tokens
        if length > LONGEST:
            raise UserError(f"sampler.max_new_tokens={length}: the toy lists all its texts; give at most {LONGEST}")
        if args := hashed(config.settings[MODEL_ARGS]):
            raise UserError(f"model_args={args}: the toy takes none; leave them out")
        return ToyPolicy(length=length)
    args = config.settings[MODEL_ARGS]
    if is_served(config.model):
        if (config.device, config.dtype) != ("auto", "auto"):
            raise UserError(
                f"--device {config.device} --dtype {config.dtype}: a server decides where its model computes; leave "
                "them out"
            )
        return open_served(config.model, cache, use, speech_of(args), prices)
    if args.tp_plan:
        raise UserError(
            f"model_args.tp_plan={args.tp_plan!r}: launched processes share out the prompts of a run, and cannot share "
            "a model besides; give model_args.device_map=auto, which spreads it over the devices of one process"
        )
    return load_policy(config.model, config.device, config.dtype, cache, args)


def require_capabilities(config: RunConfig, policy: Policy) -> None:
    """Raises UserError where a method needs what the policy cannot give, before any work is done."""
    for name in config.methods:
        if missing := METHODS[name].needs(config.settings[name]) - policy.capabilities:
            raise UserError(
                f"{name} needs {' and '.join(sorted(missing))} of the policy; {policy.name!r} gives "
                f"{', '.join(sorted(policy.capabilities))}. Leave the method out, or choose another model"
            )


def _as_it_draws(config: RunConfig, policy: Policy) -> RunConfig:
    """The run without the greedy base where the policy has no temperature of 0.

    Raises UserError where it cannot draw by the run's sampling rule, or nothing else is left to do.
    """
    sampler = config.settings["sampler"]
    if (why := policy.why_not_drawn(sampler)) is not None:
        raise UserError(why)
    if GREEDY not in config.methods or (why := policy.why_not_drawn(replace(sampler, temperature=0.0))) is None:
        return config
    if config.methods == (GREEDY,):
        raise UserError(f"{GREEDY}: {why}; choose other methods, or another model")
    return replace(
        config,
        methods=tuple(name for name in config.methods if name != GREEDY),
        settings={name: value for name, value in config.settings.items() if name != GREEDY},
        left_out={**config.left_out, GREEDY: why},
    )


def _require_going_on(config: RunConfig, policy: Policy, prompts: Sequence[Prompt]) -> None:
    """Raises UserError where a method writes in several rounds what the policy writes in one piece."""
    if (why := policy.why_in_one_piece(prompts)) is None:
        return
    for name in config.methods:
        method, sampler = METHODS[name], config.settings["sampler"]
        if len(method.prefixes(config.settings[name], sampler)) > 1:
            raise UserError(
                f"{name} writes answers in several rounds, and {policy.name!r} cannot: {why}. Give one round, as --set "
                f"{name}.chunk={sampler.max_new_tokens} does, leave the method out, or choose another server"
            )


def _slices(context: RunContext, iterations: int) -> tuple[list[list[Prompt]], list[Prompt]]:
    """Fit prompts of each iteration, and the test prompts; stops where model or task have less than asked for."""
    config = context.config
    context.layers()
    each, prompts = config.settings["fit"].prompts, context.task.prompts("fit")
    if iterations * each > len(prompts):
        raise UserError(
            f"{iterations} iterations of fit.prompts={each} need {iterations * each} fit prompts; task {config.task} "
            f"has {len(prompts)}"
        )
    part, asked = config.settings["evaluate"].slice, config.settings["evaluate"].prompts
    try:
        held_out = context.task.prompts(part)
    except KeyError as error:  # of a task that looks slices up by name and keeps no reserve
        if part != "reserve" or error.args != (part,):
            raise  # a fault of the task's own
        held_out = []
    if asked > len(held_out):
        raise UserError(f"evaluate.prompts={asked}, but task {config.task} has {len(held_out)} {part} prompts")
    if shared := {p.id for p in prompts} & {p.id for p in held_out}:
        example = min(shared)
        raise UserError(f"fit and {part} share {len(shared)} prompts, e.g. {example!r}; give the task disjoint slices")
    return [prompts[i * each : (i + 1) * each] for i in range(iterations)], held_out[:asked]
