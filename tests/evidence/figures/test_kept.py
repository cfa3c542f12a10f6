"""Which figures git keeps: those that pages show; all others are drawn by command."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [page for page in (ROOT / "README.md", ROOT / "results" / "README.md") if page.exists()]


def ignored(path: Path) -> bool:
    """What git does with a file that it does not know yet."""
    command = ["git", "check-ignore", "--quiet", "--no-index", str(path)]
    code = subprocess.run(command, cwd=ROOT, capture_output=True).returncode
    if code > 1:
        pytest.skip("this is no checkout")
    return code == 0


def test_what_a_page_shows_is_kept_as_png_and_pdf():
    shown = [
        page.parent / name
        for page in PAGES
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+\.png)\)", page.read_text(encoding="utf-8"))
    ]
    assert shown
    for file in shown:
        assert not ignored(file) and not ignored(file.with_suffix(".pdf")), f"{file} needs a line in .gitignore"


def test_other_figures_of_results_are_not_kept():
    for name in ("runs/imdb-0/gold_by_method.png", "ablations/imdb-0/gold_by_beta.svg", "tuning/imdb-0/iro.pdf"):
        assert ignored(ROOT / "results" / name)
    assert not ignored(ROOT / "results" / "runs" / "imdb-0" / "table.parquet")
