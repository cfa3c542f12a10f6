"""`harness figure`: one figure of a run, an ablation or a tuning, in a paper's width; mistakes are told, not traced."""

import re
from pathlib import Path

import pytest
from PIL import Image

from harness import cli
from harness.evidence.schema import Row

pytestmark = pytest.mark.slow  # whole runs

ROOT = Path(__file__).parents[1]
OUT = ["--out", str(ROOT / "results")]
RUN = "imdb-050d22a3a2"  # three iterations of IRO among all methods, values stored
KEYS = [Row("base", 0, "first"), *(Row("iro", i, pick) for i in (1, 2) for pick in ("value", "reward"))]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def figure(*arguments: str) -> int:
    return cli.main(["figure", *arguments, *OUT])


def test_it_is_a_pdf_of_a_column_in_this_folder_named_by_run_and_kind(capsys):
    assert figure(RUN) == 0
    assert capsys.readouterr().out == f"{RUN}-gold_by_method.pdf\n"
    (box,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ", Path(f"{RUN}-gold_by_method.pdf").read_bytes())
    assert float(box) == pytest.approx(3.3 * 72, abs=0.1)


def test_chosen_rows_and_columns_are_all_that_is_drawn(capsys):
    where = ["--to", "paper/figures", "--format", "svg,png", "--width", "full"]
    assert figure(RUN, "--columns", "gold,policy_tokens", "--rows", "base,iro:last:value", *where) == 0
    svg = Path(f"paper/figures/{RUN}-columns.svg").read_text(encoding="utf-8")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"base", "IRO", "gold (sd)", "policy tokens a prompt"} <= set(texts)
    assert "best-of-n" not in texts and "picked by proxy" not in texts
    with Image.open(f"paper/figures/{RUN}-columns.png") as image:
        assert image.width == pytest.approx(6.9 * 200, abs=1)


def test_an_ablation_has_figures_of_its_own(capsys):
    assert figure("imdb-ensemble", "--format", "png") == 0
    (name,) = capsys.readouterr().out.split()
    assert re.fullmatch(r"imdb-ensemble-\w+-gold_by_ensemble\.png", name) and Path(name).exists()


def test_a_kind_that_is_not_there_lists_those_that_are(capsys):
    assert figure(RUN, "--kind", "gold_by_metod") == 2
    said = capsys.readouterr().err
    assert f"unknown kind of figure of {RUN} 'gold_by_metod'. Did you mean 'gold_by_method'?" in said
    assert "Valid: calibration, gold_against_compute, gold_by_iteration, gold_by_method" in said
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--format", "eps"], "unknown format 'eps'. Valid: pdf, png, svg"),
        (["--columns", "golds"], "unknown column 'golds'. Did you mean 'gold'?"),
        (["--rows", "best_of_n", "--columns", "against_best_of_n"], "--columns against_best_of_n: none of these rows"),
        (["--columns", "gold", "--kind", "win_rates"], "name two figures; give one of them"),
        (["--rows", "iro:9"], "no row of imdb-050d22a3a2 is 'iro:9'"),
        (["--rows", "base", "--kind", "calibration"], "unknown kind of figure"),
        (["--to", str(ROOT / "LICENSE")], "is a file; give a folder"),
    ],
)
def test_mistakes_are_told(arguments, says, capsys):
    assert figure(RUN, *arguments) == 2
    assert says in capsys.readouterr().err


def test_rows_of_an_ablation_cannot_be_chosen(capsys):
    assert figure("imdb-ensemble", "--rows", "base") == 2
    assert "--rows chooses from the table of a run, and 'imdb-ensemble' is an ablation" in capsys.readouterr().err
