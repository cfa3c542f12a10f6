"""`harness list`: methods and tasks in a line each, or the settings of one."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.cli.command import Command
from harness.cli.options import add_key_option

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.listing import Described, Offered

_MOST = {"default": 12, "range": 14, "source": 12}  # columns of the table of settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a method or a task, or one of your own as FILE.py:Class: its settings; or settings, presets, axes: "
        "those of the harness",
    )

    parser.add_argument("--model", help="which methods run with a model, and why not the others: folder, hub id, "
                        "embedded name, or openai:BASE_URL#MODEL, which is probed")  # fmt: skip
    add_key_option(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.cli.tables import show

    if arguments.model is not None:
        show(*_of_model(arguments.model, arguments.key_variable))
        return
    for name in arguments.names:
        show(*_one(name))
    if not arguments.names:
        show(*_all())


def _all() -> list["RenderableType"]:
    from harness.cli.tables import cell
    from harness.listing import TOPICS, methods, tasks

    more = "; ".join(f"`list {name}`: {about}" for name, about in TOPICS.items())
    parts = [_offered("method", methods(), "needs"), "", _offered("task", tasks(), "model"), ""]
    return [*parts, cell(f"`list NAME`: the settings of one, also as FILE.py:Class; {more}.")]


def _offered(kind: str, rows: Sequence["Offered"], needs: str) -> "RenderableType":
    from harness.cli.tables import cell, made_table

    whole = (kind, "source") if kind == "method" else (kind,)
    table = made_table(kind, "what it is", "source", needs, whole=whole, most={"needs": 12, "model": 24})
    for row in rows:
        table.add_row(cell(row.name, style="bold"), *map(cell, (row.about, row.source, row.needs)))
    return table


def _of_model(model: str, key_variable: str | None) -> list["RenderableType"]:
    from harness.cli.tables import cell, made_table
    from harness.core.api.use import Use
    from harness.listing import of_model

    found = of_model(model, Use(key_variable))
    facts = made_table(found.model, "what was found", whole=())
    for name, words in found.facts.items():
        facts.add_row(cell(name, style="bold"), cell(words))
    table = made_table("method", "runs", "why not", whole=("method",))
    for name, why in found.methods.items():
        table.add_row(cell(name, style="bold"), cell("no" if why else "yes"), cell(why))
    return [facts, "", table, "", cell("At their default settings: `list NAME` shows what else can be set.")]


def _one(name: str) -> list["RenderableType"]:
    from harness.cli.tables import cell, made_table
    from harness.listing import SHARED, axes, described, presets, shared

    if name == SHARED:
        return [part for section in shared() for part in _described(section)]
    if name == "presets":
        table = made_table("--preset", "settings", whole=("--preset",))
        for preset, settings in presets().items():
            table.add_row(cell(preset, style="bold"), cell(settings))
        return [table]
    if name == "axes":
        table = made_table("--axis", "what is varied", "values", whole=("--axis",))
        for axis, about in axes().items():
            table.add_row(cell(axis, style="bold"), *map(cell, about))
        return [table, "", cell("Any other setting of a method is an axis, too: --axis METHOD.SETTING --values 1,2,3.")]
    return _described(described(name))


def _described(one: "Described") -> list["RenderableType"]:
    from harness.cli.tables import cell, made_table

    parts: list[RenderableType] = [cell(f"{one.section} ({one.kind}): {one.about}.")]
    parts += [cell(f"{name}: {words}") for name, words in one.notes.items() if words]
    if not one.settings:
        return [*parts, "", "No settings.", ""]
    table = made_table("setting", "default", "range", "what it means", "source", whole=("setting",), most=_MOST)
    for setting in one.settings:
        name, *rest = vars(setting).values()
        table.add_row(cell(name, style="bold"), *map(cell, rest))
    first = one.settings[0]
    return [*parts, "", table, "", cell(f"Set one by --set {one.section}.{first.name}={first.default}."), ""]


COMMAND = Command("list", "methods, tasks and their settings", "list iro", add_options, run)
