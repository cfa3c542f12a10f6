"""What a run of models and data of the hub takes, before anything is downloaded: memory, hours, what is wrong.

found = unloaded(resolve(request))
found.memory, found.hours, found.downloads, found.problems

Names and ranges of settings are checked by `resolve`; here: columns, splits and numbers of prompts, lengths against
contexts. Stages and their tokens are those of `plan`. Seconds are a bound from below: what GPU["h100"] needs to read
weights, keys and values, or to multiply, and what the in-process loop needs to launch its kernels, whichever is more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.errors import UserError
from harness.methods import METHODS
from harness.running.config import RunConfig, iterations_of
from harness.running.known import DATA, KnownData
from harness.running.plan import Counts, PlannedStage, stages_of
from harness.running.sizes import Size, size_of
from harness.tasks import TASKS

HUB = "hub"  # the task of such runs
_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4, "auto": 2}


@dataclass(frozen=True)
class Gpu:
    name: str
    flops: float  # a second, dense, 16 bits
    bytes: float  # a second, of its memory
    gigabytes: int
    source: str


GPUS = {
    "h100": Gpu("H100 SXM", 989e12, 3.35e12, 80, "NVIDIA's data sheet"),
    "a100": Gpu("A100 80GB SXM", 312e12, 2.04e12, 80, "NVIDIA's data sheet"),
}
_LAUNCH = 17e-3 / 32  # seconds of a step and block of the model: 1,960 launches of a Llama with 32 blocks, counted


@dataclass(frozen=True)
class Prompts:
    """Prompts of a data set of which only number and length are known."""

    count: int
    each: int  # tokens
    rows_together: int

    @property
    def tokens(self) -> int:
        return self.count * self.each

    def batches(self, rows: int, memory_factor: int = 1) -> int:
        return -(-self.count // max(1, self.rows_together // rows))

    @property
    def is_elsewhere(self) -> bool:
        return False

    def asked(self, prefixes: Sequence[int], rows: int) -> Counts:
        return Counts()


@dataclass(frozen=True)
class Download:
    name: str
    bytes: float
    source: str


@dataclass(frozen=True)
class Unloaded:
    """A run that is planned without its model."""

    policy: Size
    proxy: Size
    gold: Size
    gpu: Gpu
    stages: Sequence[PlannedStage]
    rows: int  # written together
    row_bytes: int
    weight_bytes: Mapping[str, float]  # of each model, as it is loaded
    seconds: Mapping[str, float]  # of each stage, at least
    downloads: Sequence[Download]
    problems: Sequence[str]  # that the run would end at
    cautions: Sequence[str]  # that it would not end at
    assumed: Sequence[str]

    @property
    def memory(self) -> float:
        """Bytes on the accelerator: all weights, and the rows of a batch."""
        return sum(self.weight_bytes.values()) + self.rows * self.row_bytes

    @property
    def hours(self) -> float:
        return sum(self.seconds.values()) / 3600

    @property
    def work(self) -> Counts:
        return sum((stage.counts for stage in self.stages if stage.counts is not None), Counts())


def unloaded(config: RunConfig, gpu: str = "h100") -> Unloaded:
    """Raises UserError for a run of another task, which --dry-run plans with its model at hand."""
    if config.task != HUB:
        raise UserError(
            f"plan is for runs of the task hub, and this is {config.task}; `run --dry-run` plans such a run"
        )
    asked, settings = config.settings[HUB], config.settings
    missing = [f"hub.{name}" for name in ("data", "proxy", "gold") if not getattr(asked, name)]
    if missing:
        raise UserError(f"the task hub needs {', '.join(missing)}; see the files in tasks/setups/")
    policy, proxy, gold = (size_of(config.model, False), size_of(asked.proxy, True), size_of(asked.gold, True))
    length, wanted = settings["sampler"].max_new_tokens, settings["batch"]
    data, test = _data(asked.data), _data(asked.test or asked.data)
    problems, cautions = _problems(config, data, test), []
    each = max(data.tokens, test.tokens)
    for size, role in ((policy, "policy"), (proxy, "proxy"), (gold, "gold")):
        if size.context is not None and each + length > size.context:
            what = (
                f"the {role} reads {size.context:,} tokens, and prompts of {each:,} and answers of {length:,} are more"
            )
            if size is policy:
                problems.append(f"{what}: they would be refused")
            else:
                cautions.append(f"{what}: such texts are cut at their end")
    most = max(METHODS[name].rows_per_prompt(settings[name]) for name in config.methods)
    row = _row_bytes(policy, each, length, most)
    rows = max(most, min(wanted.rows, int(wanted.memory_gb * 2**30 / row)))
    iterations = max([1, *(iterations_of(METHODS[name], settings[name]) for name in config.methods)])
    fit = Prompts(settings["fit"].prompts, data.tokens, rows)
    evaluated = Prompts(settings["evaluate"].prompts, test.tokens, rows)
    stages = stages_of(config, _methods(config), [fit] * iterations, evaluated, TASKS[HUB].gold_reads_base)
    sizes = {"policy": policy, "proxy": proxy, "gold": gold}
    return Unloaded(
        policy=policy,
        proxy=proxy,
        gold=gold,
        gpu=GPUS[gpu],
        stages=stages,
        rows=rows,
        row_bytes=row,
        weight_bytes={
            name: size.parameters * (_BYTES[config.dtype] if name == "policy" else size.stored_bytes)
            for name, size in sizes.items()
        },
        seconds={one.label: _seconds(one, sizes, GPUS[gpu], rows, each, length) for one in stages},
        downloads=[
            *(Download(size.name, size.download, size.source) for size in sizes.values()),
            *(Download(name, 1e6 * found.megabytes, found.source) for name, found in _named(asked, data, test)),
        ],
        problems=problems,
        cautions=cautions,
        assumed=[f"{name}: {found.notes}" for name, found in _named(asked, data, test) if found.notes],
    )


def _named(asked: Any, data: KnownData, test: KnownData) -> list[tuple[str, KnownData]]:
    return [(asked.data, data)] + ([(asked.test, test)] if asked.test and asked.test != asked.data else [])


def _data(name: str) -> KnownData:
    if name not in DATA:
        raise UserError(f"the size of the data set {name!r} is not known; plan knows {', '.join(DATA)}")
    return DATA[name]


def _problems(config: RunConfig, data: KnownData, test: KnownData) -> list[str]:
    """Columns and splits that are not there, and fewer prompts than are asked for."""
    asked, settings = config.settings[HUB], config.settings
    is_other = bool(asked.test) and asked.test != asked.data
    found = []
    for name, known, split, column in (
        (asked.data, data, asked.split, asked.column),
        (asked.test or asked.data, test, "train" if is_other and "://" in asked.test else asked.test_split,
         asked.test_column or asked.column),
    ):  # fmt: skip
        if column not in known.columns:
            found.append(f"{name} has no column {column!r}; its columns: {', '.join(known.columns)}")
        if split not in known.rows:
            found.append(f"{name} has no split {split!r}; its splits: {', '.join(known.rows)}")
        elif known is test and settings["evaluate"].prompts > known.rows[split]:
            found.append(f"evaluate.prompts={settings['evaluate'].prompts}, and {name} has {known.rows[split]:,}")
    iterations = max([1, *(iterations_of(METHODS[name], settings[name]) for name in config.methods)])
    needed, there = iterations * settings["fit"].prompts, min(asked.most, data.rows.get(asked.split, asked.most))
    if needed > there:
        found.append(
            f"{iterations} iterations of fit.prompts={settings['fit'].prompts} need {needed:,} fit prompts; the task "
            f"takes {there:,} (hub.most)"
        )
    return list(dict.fromkeys(found))  # one data set may be both


def _methods(config: RunConfig) -> dict[str, Any]:
    """Methods with their settings and no model: all that a plan asks of them."""
    made = {}
    for name in config.methods:
        made[name] = METHODS[name].__new__(METHODS[name])
        made[name].config = config.settings[name]
    return made


def _row_bytes(policy: Size, prompt: int, new: int, rows_per_prompt: int) -> int:
    """As the policy counts them when it is loaded, on its faster path: keys and values twice, logits three times."""
    return policy.cache_bytes * (prompt // rows_per_prompt + 2 * new) + 3 * 4 * policy.vocabulary


def _seconds(one: PlannedStage, sizes: Mapping[str, Size], gpu: Gpu, rows: int, prompt: int, new: int) -> float:
    """Of a stage, at least; fits of heads take minutes and are left out."""
    counts = one.counts or one.at_least
    policy = sizes["policy"]
    seconds = 2 * policy.parameters * (counts.policy_tokens + counts.read_tokens) / gpu.flops
    if one.kind == "sampling":
        step = (2 * policy.parameters + rows * policy.cache_bytes * (prompt + new / 2)) / gpu.bytes
        seconds = max(seconds, one.batches * new * max(step, _LAUNCH * policy.blocks))
    for name, calls in (("proxy", counts.reward_calls), ("gold", counts.gold_calls)):
        size = sizes[name]
        text = max(2 * size.parameters * (prompt + new) / gpu.flops, size.stored_bytes * size.parameters / gpu.bytes)
        seconds += calls * max(text, _LAUNCH * size.blocks)
    return seconds
