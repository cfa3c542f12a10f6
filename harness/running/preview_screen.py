"""What `--dry-run` prints: of one run its methods with what is left for each, of several a line each.

show_preview(preview(config, workspace))
show_previews("iro.chunk", {"4": one, "8": another})
"""

from collections.abc import Mapping, Sequence
from math import ceil

from harness.core.ledger import Phase
from harness.core.progress import duration
from harness.evidence.markdown import dollars
from harness.evidence.names import display_name
from harness.evidence.screen import MOST
from harness.evidence.terminal import Column, Terminal, grid
from harness.running.preview import Preview

_NOT = "Nothing was done, and no result written: leave --dry-run out to do it."


def show_preview(found: Preview, terminal: Terminal | None = None) -> None:
    """One run, method by method."""
    screen = terminal or Terminal()
    screen.say(f"{found.name}  {found.facts}", "bold")
    for line in found.introduction:
        screen.say(line)
    if found.is_done:
        screen.say("It is done: the command would show it, and compute nothing.")
        return
    methods = list(dict.fromkeys(ahead.stage.method for ahead in found.stages))
    of = {name: [ahead for ahead in found.stages if ahead.stage.method == name] for name in methods}
    work = {name: found.work(method=name) for name in methods}
    columns = [
        Column("", ["base samples" if name == "harness" else display_name(name) for name in methods], is_text=True),
        Column("stages", [str(len(of[name])) for name in methods]),
        Column("in the cache", [_share(sum(ahead.is_stored for ahead in of[name]), len(of[name])) for name in methods]),
        Column("policy tokens", [_tokens(found, name) for name in methods]),
        Column("reward calls", [f"{work[name].reward_calls:,}" for name in methods], may_go=True),
    ]
    screen.show(grid(columns, screen.width))
    part = sum(0 < ahead.stored < ahead.batches for ahead in found.stages)
    whole = sum(ahead.is_stored for ahead in found.stages)
    screen.say(
        f"{len(found.stages)} stages, {whole} of them in the cache" + (f" and {part} in part" if part else "") + "."
    )
    screen.say_after("cost", cost_of(found))
    screen.say_after("time", time_of(found))
    show_unknown(found, screen)
    screen.say(_NOT, "dim")


def show_unknown(found: Preview, screen: Terminal) -> None:
    """Which stages are left out of cost and time, where there are any."""
    if found.unknown:
        screen.say_after("not counted", in_words(found.unknown), "yellow")


def show_previews(
    title: str, found: Mapping[str, Preview], notes: Sequence[str], terminal: Terminal | None = None
) -> None:
    """Several runs of one command, a line each. Stages that they share are made once, and counted for each."""
    screen = terminal or Terminal()
    runs = list(found.items())[:MOST]
    columns = [
        Column(title, [name for name, _ in runs], is_text=True),
        Column("run", [one.name for _, one in runs], is_text=True),
        Column("in the cache", ["done" if one.is_done else _stored(one) for _, one in runs]),
        Column("policy tokens", [f"{one.work().policy_tokens:,}" + "+" * bool(one.unknown) for _, one in runs]),
        Column("time", [_time(one) for _, one in runs]),
    ]
    screen.say(f"{len(found)} runs  {next(iter(found.values())).facts}", "bold")
    screen.show(grid(columns, screen.width))
    if more := len(found) - len(runs):
        screen.say(f"{more} more", "dim")
    for note in notes:
        screen.say(note)
    unknown = list(dict.fromkeys(label for one in found.values() for label in one.unknown))
    if unknown:
        screen.say_after("not counted", in_words(unknown), "yellow")
    screen.say(f"Tokens are at most. {_NOT}", "dim")


def cost_of(found: Preview) -> str:
    """Tokens and FLOPs that are left, by phase."""
    parts = []
    phases: Mapping[Phase, str] = {"fit": "fitting", "generate": "answering"}
    for phase, what in phases.items():
        work, flops = found.work(phase), found.flops(phase)
        if found.prices is not None:
            usd = found.usd(phase)
            priced = "" if usd is None else f" ({dollars(usd)})"
            parts.append(f"{what} {work.sent_tokens:,} tokens sent and {work.written_tokens:,} written{priced}")
            continue
        priced = "" if flops is None else f" ({flops / 1e12:,.3g} TFLOPs)"
        parts.append(f"{what} {work.policy_tokens:,} policy tokens{priced}")
    scored = found.work("score")
    return f"at most {' and '.join(parts)}; {scored.gold_calls:,} scores or more. Texts that end early take less."


def time_of(found: Preview) -> str:
    """About how long it takes, and how that is known."""
    if found.prices is not None and not all(ahead.is_stored for ahead in found.stages):
        return "the server decides; prompts are counted at four characters a token, without what a chat template adds"
    if found.speed is None:
        return "no stage is left: tables and figures alone, in seconds"
    per_second = 1 / found.speed.token if found.speed.token else 0.0
    how = f"{per_second:,.0f} tokens a second and process, {found.speed.rows} rows at a time, as measured now"
    left = f"about {duration(ceil(found.seconds))} in {found.workers} process{'es' * (found.workers > 1)}: {how}"
    fits = [ahead.stage.label for ahead in found.stages if ahead.stage.kind == "fit" and not ahead.is_stored]
    if timed := len(fits) - len(found.untimed):
        left += f"; {timed} fit{'s' * (timed > 1)} as in stored runs of this model"
    if found.untimed:
        left += f"; without {in_words(found.untimed)}, of which no stored run tells"
    return left


def tries_in_words(found: Mapping[str, Preview], tries: int, most: int) -> str:
    """What becomes of first tries, which alone are known before a search."""
    said = (
        f"These are first tries, of the defaults. Each method has {tries}, and up to {most} while its best lies at an "
        "edge: "
    )
    speed = next((one.speed for one in found.values() if one.speed is not None), None)
    if any(one.prices is not None for one in found.values()):
        return said + "the server decides how long those take."
    if speed is None:
        return said + "how long those take is not known before, since nothing of the first was left to time."
    seconds = sum(one.seconds_anew(speed) for one in found.values())
    return (
        said + f"about {duration(ceil(seconds * tries))} to {duration(ceil(seconds * most))} if all cost as much and "
        "share nothing but the base samples."
    )


def in_words(labels: Sequence[str], most: int = 3) -> str:
    more = len(labels) - most
    return ", ".join(labels[:most]) + (f" and {more} more" if more > 0 else "")


def _tokens(found: Preview, method: str) -> str:
    """At most; with a +, of the stages that it can be said of, or at least where it can be of none."""
    tokens, unsaid = found.work(method=method).policy_tokens, found.unsaid(method)
    return f"{tokens:,}" if unsaid is None else f"{tokens or unsaid.policy_tokens:,}+"


def _share(part: int, of: int) -> str:
    return f"{part} of {of}" if part else ""


def _stored(found: Preview) -> str:
    return _share(sum(ahead.is_stored for ahead in found.stages), len(found.stages))


def _time(found: Preview) -> str:
    if found.prices is not None:
        return ""
    return "" if found.is_done else duration(ceil(found.seconds)) + "+" * bool(found.untimed or found.unknown)
