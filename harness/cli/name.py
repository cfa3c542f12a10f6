"""`harness name`: give a stored run a name, or free one."""

import argparse

from harness.cli.command import Command
from harness.cli.options import add_out
from harness.core.errors import UserError
from harness.core.printable import printable


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="path, id or its beginning, another name, or latest")
    parser.add_argument("name", nargs="?", metavar="NAME", help="what to call it, wherever a RUN is asked for")
    parser.add_argument("--remove", metavar="NAME", help="free a name instead; its run stays as it is")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    from harness.evidence.run_names import checked_name, free_name, give_name

    if arguments.remove is not None:
        if arguments.run is not None:
            raise UserError("--remove frees a name and takes nothing else")
        print(printable(f"{arguments.remove} was {free_name(arguments.out, arguments.remove)}, and is free"))
        return
    if arguments.name is None:
        raise UserError("say which run and what to call it, as in `harness name latest my-run`")
    checked_name(arguments.name)
    from harness.evidence.store import find_run

    folder = find_run(arguments.out, arguments.run)
    give_name(arguments.out, arguments.name, folder.name)
    print(printable(f"{folder.name} is called {arguments.name}"))


COMMAND = Command("name", "give a run a name, or free one", "name latest my-run", add_options, run)
