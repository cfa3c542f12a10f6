"""The screen that a run ends on: it fits 80x24 and every width, is plain where nobody looks, and hides no warning."""

import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from harness.core.statistics.stats import Estimate
from harness.evidence.names import display_name
from harness.evidence.screen import best_untrained, chosen_rows, show_run, warnings_of
from harness.evidence.screens import show_ablation, show_judgement, show_seeds
from harness.evidence.table import comparison
from harness.evidence.terminal import Column, Terminal, grid, intervals, one_line
from tests.conftest import PRICES

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def rows(planted):
    return comparison(planted)


def shown(run, table, monkeypatch, width: int = 80) -> list[str]:
    """The lines of the screen where stdout is no terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    file = io.StringIO()
    show_run(run, table, Terminal(file))
    return file.getvalue().splitlines()


def many(rows, names, **changes):
    """A row for each name, like iro's."""
    return [replace(rows[2], key=rows[2].key._replace(method=name), **changes) for name in names]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_whatever_things_are_called(planted, rows, monkeypatch, width):
    names = [
        "日本語の方法",
        "🚀🚀 rocket decoding with a very long name",
        "controlled_decoding",
        "weak_to_strong",
        "x" * 90,
    ]
    config = {**planted.about["config"], "model": "/somewhere/" + "模" * 60 + "/model"}
    run = replace(planted, about={**planted.about, "config": config}, folder=planted.folder / ("deep" * 40) / "toy-run")
    for table in (rows, [*rows, *many(rows, names)]):
        lines = shown(run, table, monkeypatch, width)
        assert max(map(cell_len, lines)) <= width
        assert not any(line != line.rstrip() for line in lines)


def test_a_run_of_many_methods_with_every_warning_fits_80_by_24(planted, rows, monkeypatch):
    names = ("args", "controlled_decoding", "cards", "weak_to_strong", "dpo", "mine", "yours", "base_greedy")
    table = [*rows, *many(rows, names, unscored=3, edges="weight: nothing above was tried", is_one_reward=True)]
    agreement = {"n": 480, "correlation": 1.0, "within_prompt_correlation": 1.0}
    about = {**planted.about, "dirty": True, "agreement": agreement, "left_out": {"other": "needs weights"}}
    priced = replace(planted, about={**about, "flops": PRICES}, folder=Path("results/runs/toy-planted"))
    lines = shown(priced, table, monkeypatch)
    assert len(lines) <= 23 and max(map(len, lines)) <= 80  # and the prompt of the shell
    assert lines[0] == "toy-planted  toy, toy, 60 test prompts, quick, seed 0"
    assert sum(line.startswith(("base", "best-of-n", *map(display_name, names), "IRO")) for line in lines[3:11]) == 8
    text = " ".join(" ".join(lines).split())
    assert "4 more rows in the report" in text and "report results/runs/toy-planted/report.md" in text
    assert "gold and proxy are one function" in text
    assert "24 answers of 8 rows have no score (NaN)" in text and re.search(r"; \d more in the report", text)
    assert "the code had uncommitted changes" in text
    for command in ("harness view", "harness judge", "harness report"):
        assert f"{command} toy-planted" in text


def test_what_is_no_terminal_gets_neither_markdown_nor_colour(planted, rows, monkeypatch):
    text = "\n".join(shown(planted, rows, monkeypatch))
    assert not ANSI.search(text) and "|" not in text and "**" not in text and "![" not in text and "#" not in text


def test_the_numbers_are_those_of_the_report(planted, rows, monkeypatch):
    lines = shown(planted, rows, monkeypatch, 120)
    value = next(line for line in lines if line.startswith("IRO, value"))
    row = rows[2]
    assert row.gold.shown() in value and f"{row.against_best_of_n.value:+.2f} [" in value
    assert f"{row.win_rate_over_base.value:.0%}" in value and value.split()[-1] == "90"  # policy tokens
    priced = replace(planted, about={**planted.about, "flops": {**PRICES, "policy_token": 1e9}})
    lines = shown(priced, comparison(priced), monkeypatch, 120)
    assert next(line for line in lines if line.startswith("IRO, value")).split()[-1] == "257"  # GFLOPs with fitting
    assert "GFLOPs a prompt, fitting shared by these 60" in " ".join(lines)


def test_of_a_long_table_the_last_iteration_and_the_cheapest_pick_of_each_method_are_shown(rows):
    assert chosen_rows(rows) == sorted(rows, key=lambda row: -row.gold.value)  # a short one is whole
    later = [replace(row, key=row.key._replace(iteration=i)) for i in (2, 3) for row in rows[2:]]
    keys = [row.key for row in chosen_rows([*rows, *later, later[-1]])]
    assert {key.method for key in keys} == {"base", "best_of_n", "iro"} and len(keys) == 3
    assert next(key for key in keys if key.method == "iro")[1:] == (3, "value")  # `reward` takes calls of the proxy


def test_the_best_of_those_that_train_no_weights_is_marked(rows, planted, monkeypatch):
    trained = replace(many(rows, ["dpo"])[0], trains_weights=True, gold=Estimate(9.0, 8.0, 10.0, 60))
    unknown = replace(many(rows, ["cards"])[0], gold=Estimate(*[float("nan")] * 3, 0))
    table = chosen_rows([*rows, trained, unknown])
    assert table[0].key.method == "dpo" and table[-1].key.method == "cards"
    assert table[best_untrained(table)].key == rows[3].key
    lines = shown(planted, [*rows, trained, unknown], monkeypatch)
    assert lines[3].startswith("DPO (trained) ") and lines[4].startswith("IRO, reward* ")
    assert best_untrained([trained]) is None


def test_a_run_without_anything_to_warn_of_warns_of_nothing(planted, rows):
    assert warnings_of(planted.record, rows) == []


def test_a_name_cannot_steer_the_terminal(planted, rows, monkeypatch):
    lines = shown(planted, many(rows, ["\x1b[31mred[bold]\x07\n"]), monkeypatch)
    assert any(r"\x1b[31mred[bold]\x07" in line for line in lines)
    assert "\x1b" not in "".join(lines) and one_line("a\tb\x9b\u202e") == r"a b\x9b\u202e"


def test_an_interval_is_drawn_to_scale():
    of = [Estimate(0.5, 0.0, 1.0, 9), Estimate(-0.5, -1.0, -0.5, 9), Estimate(*[float("nan")] * 3, 0)]
    assert intervals(of, 9) == ["    ──●──", "──● ┊    ", "    ┊    "]
    assert intervals(of, 9, plain=True)[0] == "    --o--"
    assert intervals([Estimate(2.0, 2.0, 2.0, 9)], 5) == ["  ●  "]


def test_where_room_is_short_numbers_stay_and_intervals_go_first():
    columns = [
        Column("method", ["iro"], is_text=True),
        Column("gold", ["0.98 [0.90, 1.05]"]),
        Column("against", ["+0.44 [0.36, 0.52]"], ["+0.44"]),
        Column("cost", ["12345"], may_go=True),
    ]

    def text(width: int) -> str:
        file = io.StringIO()
        Terminal(file).show(grid(columns, width))
        return file.getvalue()

    assert "0.52]" in text(60) and "+0.44" in text(40) and "0.52]" not in text(40) and "12345" in text(40)
    assert "12345" not in text(34) and "+0.44" in text(34)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_sweeps_judgements_and_seeds_end_on_a_screen_too(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(ROOT)
    shown = {
        "results/ablations": show_ablation,
        "results/judgements": show_judgement,
        "tests/evidence/seeds": show_seeds,
    }
    for kind, show in shown.items():
        for folder in sorted(Path(kind).iterdir()):
            file = io.StringIO()
            show(folder, Terminal(file))
            lines, text = file.getvalue().splitlines(), file.getvalue().replace("\n       ", "")
            assert lines[0].startswith(folder.name) and max(map(cell_len, lines)) <= width
            assert len(lines) <= 23 and f"report {kind}/{folder.name}/report.md" in text


@pytest.mark.parametrize("no_color", [False, True])
def test_on_a_terminal_it_has_its_width_and_colour_unless_that_is_not_wanted(no_color):
    code = """
import sys
from pathlib import Path
from harness.evidence.screens import show_seeds
show_seeds(next(Path("tests/evidence/seeds").iterdir()))
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_color else {})
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 72, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=theirs, stdin=theirs)
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:  # Linux says so at the end
        pass
    assert process.wait() == 0
    lines = text.decode().splitlines()
    assert 60 < max(cell_len(ANSI.sub("", line)) for line in lines) <= 72
    colours = re.findall(r"\x1b\[(?:[0-9;]*;)?3[0-9](?:;[0-9;]*)?m", text.decode())
    assert bool(colours) != no_color
