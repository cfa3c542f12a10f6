"""The page of all runs, and a page for each, as files: beside the runs, or as a site of its own; no torch.

write_index(Path("results"))                       # results/index.html, and report.html of each run that has none yet
write_site(Path("results"), Path("site"))          # site/index.html, site/runs/<id>/index.html, site/leaderboard.html

A page is written again only where what it is made of has changed, so that the second call takes no time.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.progress import Progress
from harness.evidence.foreign import NO_RUN, why_no_run
from harness.evidence.page import page_of
from harness.evidence.page.index import Listing, index_page, listed
from harness.evidence.page.markup import HERE
from harness.evidence.store import load_run

_ID = re.compile(r"[A-Za-z0-9][\w.-]*")  # what a run's name may be made of: it becomes a path and an address
_MADE_OF = "<!-- made of {} -->\n"
_BOARD = ("leaderboard.html", "leaderboard.png")


def write_index(out: Path) -> Path:
    """OUT/index.html, and the page of each run in its folder; the path of the index."""
    listing = listed(out)
    return _write(listing, {run.folder.name: run.folder / "report.html" for run in listing.runs}, out, out.name)


def write_site(out: Path, site: Path) -> Path:
    """The same as a folder that can be copied anywhere. Raises UserError where the folder holds other things."""
    if site.exists() and (not site.is_dir() or (any(site.iterdir()) and not (site / "index.html").is_file())):
        raise UserError(f"--site {str(site)!r} holds other things; give a folder that is empty, or not there")
    listing = listed(out)
    names = [run.folder.name for run in listing.runs]
    path = _write(listing, {name: site / "runs" / name / "index.html" for name in names}, site, out.name)
    for name in _BOARD:
        if (out / name).is_file():
            shutil.copyfile(out / name, site / name)
    return path


def _write(listing: Listing, paths: Mapping[str, Path], top: Path, out_name: str) -> Path:
    """Write the pages of all runs that can be shown, then the index of them."""
    left_out, pages = dict(listing.left_out), {}
    with Progress("pages", len(paths), "page") as progress:
        for run in listing.runs:
            name, path = run.folder.name, paths[run.folder.name]
            try:
                if not _ID.fullmatch(name):
                    raise UserError("its name is none that a run has")
                if write_if_changed(run.folder, path, "../" * (len(path.relative_to(top).parts) - 1) + "index.html"):
                    progress.step()
                else:
                    progress.skip(1)
            except NO_RUN as error:
                left_out[name] = why_no_run(error)
            else:
                pages[name] = path.relative_to(top).as_posix()
    shown = [run for run in listing.runs if run.folder.name in pages]
    with whole(top / "index.html") as part:
        part.write_text(index_page(Listing(shown, left_out), pages, out_name), encoding="utf-8")
    return top / "index.html"


def write_if_changed(folder: Path, path: Path, home: str) -> bool:
    """Write a run's page unless it is there, made of the same; whether it was written. Raises UserError for no run."""
    made_of = _MADE_OF.format(_made_of(folder, home))
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            if file.readline() == made_of:
                return False
    run = load_run(folder)
    if not (folder / "report.md").is_file() or not (folder / "table.parquet").is_file():
        from harness.evidence.report import write_report

        write_report(run)
        made_of = _MADE_OF.format(_made_of(folder, home))
    page = page_of(run, home)
    with whole(path) as part:
        part.write_text(made_of + page, encoding="utf-8")
    return True


def _made_of(folder: Path, home: str) -> str:
    """A hash of what a page shows, files by size and time, and of what draws it."""
    shown = [path for path in sorted(folder.iterdir()) if path.suffix in (".parquet", ".json", ".md", ".png", ".svg")]
    drawn_by = [path for path in sorted(HERE.iterdir()) if path.is_file()]
    stats = [[path.name, (stat := path.stat()).st_size, stat.st_mtime_ns] for path in [*shown, *drawn_by]]
    return digest([home, stats])
