"""Files of figures: the same bytes for the same data, whenever and wherever they are drawn, and fit for a page."""

import re
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from harness.evidence.figures.by_method import gold_by_method
from harness.evidence.figures.curves import proxy_against_gold
from harness.evidence.figures.files import FORMATS, data_of, inline_svg, save
from harness.evidence.figures.style import INK, SMALL
from harness.evidence.table import best_of_n_curve, comparison

DRAW = """
import sys
from pathlib import Path
from harness.core.statistics.stats import Estimate
from harness.evidence.figures.along import Drawn, gold_along
from harness.evidence.figures.files import save
from harness.evidence.schema import Row
rows = [Drawn(Row("iro", i, "value"), u, Estimate(u / 10, u / 20, u / 5, 60)) for i in (1, 2) for u in (1, 2, 4)]
save(gold_along(rows, "rows", [], "column"), Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_two_processes_draw_the_same_bytes(tmp_path):
    """Subsets of fonts are named by a hash, which differs from process to process where it is one of texts."""
    for name, seed in (("a", "1"), ("b", "2")):
        command = [sys.executable, "-c", DRAW, str(tmp_path / name)]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed}, cwd=Path(__file__).parents[3])
    for kind in FORMATS:
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes(), kind


@pytest.fixture
def svg(planted, tmp_path) -> Path:
    (path,) = save(gold_by_method(comparison(planted), "column"), tmp_path / "x", ["svg"])
    return path


def test_text_and_axes_of_an_svg_take_the_colour_of_the_page(svg):
    text = svg.read_text(encoding="utf-8")
    assert INK not in text and text.count("currentColor") > 10
    assert re.search(r"<text[^>]*currentColor", text)
    assert "#0072b2" in text  # IRO's
    assert "#ffffff" not in text  # no page of its own


def test_an_svg_stands_in_a_page_beside_others(planted, svg):
    (other,) = save(
        proxy_against_gold(comparison(planted), best_of_n_curve(planted), "column"), svg.parent / "y", ["svg"]
    )
    page = f"<div>{inline_svg(svg)}{inline_svg(other)}</div>"
    assert "<style" not in page  # its rules would hold for the whole page
    xml.etree.ElementTree.fromstring(page)
    used = set(re.findall(r"#([\w.-]+)", page))
    ids = re.findall(r' id="([\w.-]+)"', page)
    assert set(ids) <= used and "figure_1" not in ids
    clips = re.findall(r'<clipPath id="([\w.-]+)"', page)
    assert len(clips) == len(set(clips))


def test_words_of_an_svg_are_words_of_seven_points_or_more(svg):
    sizes = [float(size) for size in re.findall(r"<text[^>]*font-size: ([\d.]+)px", svg.read_text(encoding="utf-8"))]
    assert sizes and min(sizes) >= SMALL


def test_a_png_keeps_notes(planted, tmp_path):
    (path,) = save(gold_by_method(comparison(planted), "column"), tmp_path / "x", ["png"], {"Data": "0f3a"})
    assert data_of(path) == "0f3a"
    with Image.open(path) as image:
        assert image.width == 660 and "Software" not in image.info


@pytest.mark.filterwarnings("ignore:Glyph")  # no font has them
def test_a_name_with_controls_leaves_an_svg_that_can_be_read(tmp_path):
    """A method of somebody's file with an escape in its name made an SVG that no browser shows."""
    fig = Figure()
    fig.text(0.5, 0.5, "a\x1b[31m\x00 <b>")
    (path,) = save(fig, tmp_path / "x", ["svg"])
    assert "\\x1b[31m\\x00 <b>" in "".join(xml.etree.ElementTree.parse(path).getroot().itertext())
