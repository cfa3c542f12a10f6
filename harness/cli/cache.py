"""`harness cache`: what the cache holds, whether it is as it was written, and making room."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.command import Command
from harness.cli.options import add_out
from harness.core.errors import UserError
from harness.core.files import cache_folder
from harness.core.printable import printable

if TYPE_CHECKING:
    from harness.running.cached import Entry


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--verify", action="store_true", help="read everything in full; exit code 1 where it is damaged"
    )
    parser.add_argument("--clear", action="store_true", help="remove what is meant by the options below")
    parser.add_argument("--kind", help="kinds, by comma (default: those that a run makes again)")
    parser.add_argument("--older", type=float, metavar="DAYS", help="written before so many days")
    parser.add_argument("--larger", type=float, metavar="MB", help="more than so many megabytes each")
    parser.add_argument(
        "--unreferenced", action="store_true", help="that no run in OUT was made with, older than a day"
    )
    parser.add_argument("--all", action="store_true", help="with --clear: all of the kinds, which must be said")
    parser.add_argument("--dry-run", action="store_true", help="with --clear: say what would be removed")
    parser.add_argument("--yes", action="store_true", help="with --clear: do not ask")
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    from harness.running.cached import Which, chosen, entries, kind_of

    cache = cache_folder()
    kinds = [kind_of(name.strip()) for name in (arguments.kind or "").split(",") if name.strip()]
    for name in ("older", "larger"):
        value = getattr(arguments, name)
        if value is not None and not 0 <= value < float("inf"):
            raise UserError(f"--{name} {value:g}: give a number from 0 on")
    criteria = arguments.older is not None or arguments.larger is not None or arguments.unreferenced
    which = Which(kinds, arguments.older, arguments.larger, arguments.unreferenced)
    if not arguments.clear:
        if arguments.all or arguments.yes or arguments.dry_run:
            raise UserError("--all, --yes and --dry-run say how to --clear; give that, too")
        found = entries(cache, arguments.out, must_know=arguments.unreferenced)
        meant = chosen(found, which) if criteria else [one for one in found if not kinds or one.kind in kinds]
        return _verified(meant, cache) if arguments.verify else _listed(meant, cache, arguments.out)
    if arguments.verify:
        raise UserError("--verify looks and --clear removes; give one of them")
    if not (criteria or arguments.all):
        raise UserError(
            "--clear removes nothing unless you say what: --older DAYS, --larger MB, --unreferenced, or --all"
        )
    meant = chosen(entries(cache, arguments.out, must_know=arguments.unreferenced), which)
    return _cleared(meant, cache, arguments.dry_run, arguments.yes)


def _listed(found: Sequence["Entry"], cache: Path, out: Path) -> int:
    from harness.cli.tables import cell, made_table, show
    from harness.running.cached import WHAT

    table = made_table("kind", "what it is", "entries", "MB", "of no run", "newest", whole=("kind", "MB", "newest"))
    for kind, what in WHAT.items():
        of_kind = [one for one in found if one.kind == kind]
        if not of_kind:
            continue
        loose = [one for one in of_kind if one.is_referenced is False]
        cells = (kind, what, str(len(of_kind)), _megabytes(of_kind), _megabytes(loose) if loose else "", _age(of_kind))
        table.add_row(*map(cell, cells))
    total = f"{_megabytes(found)} MB in {cache}; `of no run`: MB that no finished run in {out} was made with.\n"
    show(cell(total), table)
    return 0


def _verified(found: Sequence["Entry"], cache: Path) -> int:
    from harness.core.progress import Progress
    from harness.running.cached import problems

    lines = []
    with Progress("reading", len(found), "item") as progress:
        for entry in found:
            lines += [f"{entry.path.relative_to(cache)}: {line}" for line in problems(entry)]
            progress.step()
    for line in lines:
        print(printable(line))
    if lines:
        print("damaged: what needs it makes it again when it is asked for; `harness cache --clear` makes room")
        return 1
    print(f"{len(found)} entries, {_megabytes(found)} MB: all are as they were written")
    return 0


def _cleared(found: Sequence["Entry"], cache: Path, dry_run: bool, yes: bool) -> int:
    from harness.running.cached import remove

    if not found:
        print(f"nothing in {cache} is meant by that")
        return 0
    kinds = ", ".join(
        f"{sum(one.kind == kind for one in found)} {kind}" for kind in dict.fromkeys(e.kind for e in found)
    )
    said = f"{len(found)} entries ({kinds}), {_megabytes(found)} MB, in {cache}"
    if dry_run:
        for entry in found:
            print(printable(f"{entry.path.relative_to(cache)}  {_megabytes([entry])} MB, {entry.days:.0f} days"))
        print(f"would be removed: {said}")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise UserError(f"{said} would be removed; give --yes, or --dry-run to see them")
        if input(f"remove {said}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return 0
    for entry in found:
        remove(entry)
    print(f"removed: {said}")
    return 0


def _megabytes(found: Sequence["Entry"]) -> str:
    size = sum(one.bytes for one in found) / 1e6
    return f"{size:,.0f}" if size >= 10 else f"{size:.1f}"


def _age(found: Sequence["Entry"]) -> str:
    days = min(one.days for one in found)
    return "today" if days < 1 else f"{days:.0f} days"


COMMAND = Command("cache", "what the cache holds; make room", "cache", add_options, run)
