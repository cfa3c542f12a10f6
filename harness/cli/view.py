"""`harness view`: all stored runs, or one, as a page in the browser.

python -m harness view                      # OUT/index.html over all runs
python -m harness view imdb-3f2a            # the page of one run
python -m harness view --site FOLDER        # both as a folder of files, to be put on the web
"""

import argparse
import sys
import webbrowser
from pathlib import Path

from harness.cli.command import Command
from harness.cli.options import add_out
from harness.core.errors import UserError
from harness.core.printable import printable


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="path, id or its beginning, name, or latest (default: all runs)"
    )
    parser.add_argument("--no-open", action="store_true", help="print where the page is, and open nothing")
    parser.add_argument("--site", type=Path, metavar="FOLDER", help="write all pages there, as a site of files")
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write the page asked for, print its path, and open it. Raises UserError where there is no such run."""
    path = _written(arguments)
    print(printable(str(path)))
    if not arguments.no_open and arguments.site is None and not webbrowser.open_new_tab(path.resolve().as_uri()):
        print("no browser could be opened here: open that file in one", file=sys.stderr)


def _written(arguments: argparse.Namespace) -> Path:
    from harness.evidence.foreign import foreign
    from harness.evidence.page.site import write_if_changed, write_index, write_site
    from harness.evidence.store import find_run

    if arguments.site is not None:
        if arguments.run is not None:
            raise UserError(f"--site writes the pages of all runs; leave {arguments.run!r} out")
        return write_site(arguments.out, arguments.site)
    if arguments.run is None:
        return write_index(arguments.out)
    folder = find_run(arguments.out, arguments.run)
    path, home = folder / "report.html", Path("../../index.html")
    with foreign(folder):
        write_if_changed(folder, path, str(home) if (folder / home).is_file() else "")
    return path


COMMAND = Command("view", "all runs, or one with its answers, as pages", "view --no-open", add_options, run)
