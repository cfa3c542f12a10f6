"""What `harness plan` prints: checks, downloads, memory and hours of a run whose models are not here."""

from math import ceil

from harness.core.progress import duration
from harness.evidence.names import display_name
from harness.evidence.terminal import Column, Terminal, grid
from harness.running.config import RunConfig
from harness.running.unloaded import Unloaded


def show_unloaded(config: RunConfig, found: Unloaded, terminal: Terminal | None = None) -> None:
    """On at most 80 columns."""
    screen = terminal or Terminal()
    screen.say(f"{config.task}: {config.model}, {config.profile}, seed {config.seed}", "bold")
    names = ("policy", "proxy", "gold")
    sizes = (found.policy, found.proxy, found.gold)
    columns = [
        Column("model", names, is_text=True),
        Column("parameters", [f"{size.parameters / 1e9:.2f} B" for size in sizes]),
        Column("memory", [_gb(found.weight_bytes[name]) for name in names]),
        Column("download", [_gb(size.download) if size.download else "here" for size in sizes]),
    ]
    screen.show(grid(columns, screen.width))
    methods = list(dict.fromkeys(stage.method for stage in found.stages))
    of = {name: [stage for stage in found.stages if stage.method == name] for name in methods}
    columns = [
        Column("", ["base samples" if name == "harness" else display_name(name) for name in methods], is_text=True),
        Column("stages", [str(len(of[name])) for name in methods]),
        Column(
            "policy tokens", [f"{sum((s.counts or s.at_least).policy_tokens for s in of[name]):,}" for name in methods]
        ),
        Column("hours, at least", [f"{sum(found.seconds[s.label] for s in of[name]) / 3600:.1f}" for name in methods]),
    ]
    screen.show(grid(columns, screen.width))
    rows = found.rows * found.row_bytes
    room = "" if found.memory <= found.gpu.gigabytes * 1e9 else f", more than the {found.gpu.gigabytes} GB of one"
    screen.say_after(
        "memory",
        f"{_gb(found.memory)}: weights {_gb(sum(found.weight_bytes.values()))}, {found.rows} rows "
        f"{_gb(rows)}{room}; fits keep states of fit texts on the disk and in main memory",
    )
    screen.say_after(
        "time",
        f"at least {duration(ceil(3600 * found.hours))} on one {found.gpu.name} ({found.gpu.source}): reading weights, "
        "multiplying, or launching kernels, whichever is more; fits of values, minutes each, are left out",
    )
    fetched = sum(one.bytes for one in found.downloads)
    screen.say_after("download", f"{_gb(fetched)}, of it data sets {_gb(sum(d.bytes for d in found.downloads[3:]))}")
    for name, size in zip(names, sizes, strict=True):
        screen.say_after(name, f"{size.name}, counted from {size.source}", "dim")
    for line in found.assumed:
        screen.say_after("assumed", line, "dim")
    for caution in found.cautions:
        screen.say_after("mind", caution, "yellow")
    for problem in found.problems:
        screen.say_after("problem", problem, "red")
    ends = "The run would end at these problems. " if found.problems else ""
    screen.say(
        f"{ends}Not checked: access to gated models, what rewards give, true lengths of prompts. Nothing was "
        "downloaded, and nothing done.",
        "dim",
    )


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
