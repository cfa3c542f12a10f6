"""A comparison on a terminal, and as plain data for programs."""

from dataclasses import asdict
from math import isnan
from typing import Any

from harness.comparing.compare import Compared, Side
from harness.comparing.records import shortened
from harness.evidence.clusters import few
from harness.evidence.markdown import p_value
from harness.evidence.terminal import Column, Terminal, grid


def show_compared(found: Compared, terminal: Terminal | None = None) -> None:
    screen = terminal or Terminal()
    sides = (found.a, found.b)
    means = [side.mean for side in sides]
    columns = [
        Column("", ["A", "B"], is_text=True),
        Column("mean [95%]", [mean.shown(".3f") for mean in means]),
        Column("metric", [side.metric for side in sides], is_text=True),
        Column("system", [side.source for side in sides], is_text=True, wraps=True),
    ]
    screen.show(grid(columns, screen.width, plain=screen.is_plain))
    apart, wins = found.difference, found.wins
    over, test = f"{found.pairs:,} prompts", "McNemar"
    if found.clusters is not None:
        over, test = f"{over} in {found.clusters:,} clusters, drawn whole", "sign flips of clusters"
    screen.say(f"A - B = {apart.shown('+.3f')}, p {_p(apart.p)} (paired bootstrap, {over})", "bold")
    screen.say(
        f"A scores more on {found.won:,} prompts and less on {found.lost:,}, equal on "
        f"{found.pairs - found.won - found.lost:,}: {wins.value:.0%} with ties half, p {_p(wins.p)} ({test})"
    )
    if not isnan(found.detectable):
        screen.say(f"{found.pairs:,} pairs of this spread show a true difference of {found.detectable:.3f} or more in "
                   "80% of trials", "dim")  # fmt: skip
    for i, line in enumerate(notes_of(found)):
        screen.say_after("    " if i else "mind", line, "yellow")


def notes_of(found: Compared) -> list[str]:
    """What was left out, and why."""
    lines = [line for name, side in (("A", found.a), ("B", found.b)) for line in _left_out(name, side)]
    said = few(found.clusters, "of prompts")
    return [f"paired by {found.paired_by}", *([said] if said else []), *lines]


def as_json(found: Compared) -> dict[str, Any]:
    """NaN is null."""
    plain: dict[str, Any] = _without_nan(asdict(found))
    return plain


def _left_out(name: str, side: Side) -> list[str]:
    lines = [f"{name}: {'; '.join(side.notes)}"] if side.notes else []
    if side.alone:
        lines.append(f"{name}: {len(side.alone):,} of {side.prompts:,} prompts are in this file alone, e.g. "
                     f"{shortened(side.alone[0])}")  # fmt: skip
    lines += [f"{name}: {count:,} prompts have no score ({why})" for why, count in side.unscored.items()]
    return lines


def _p(p: float) -> str:
    said = "" if isnan(p) else p_value(p)
    return "unknown" if not said else said if said[0] == "<" else f"= {said}"


def _without_nan(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_nan(part) for name, part in value.items()}
        case list() | tuple():
            return [_without_nan(part) for part in value]
        case float():
            return None if isnan(value) else value
    return value
