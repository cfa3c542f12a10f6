"""A run's table for a paper: its numbers in each format, of the rows and columns that are named."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.core.errors import UserError
from harness.evidence.choice import chosen_rows
from harness.evidence.export import Part, caption, csv_text, latex, markdown, part_of
from harness.evidence.export_answers import answer_lines
from harness.evidence.export_columns import COLUMNS, USUAL, values_of
from harness.evidence.figures.by_method import lines_of
from harness.evidence.row import frame
from harness.evidence.schema import Row
from harness.evidence.store import TABLES, Run, write_about, write_table
from harness.evidence.table import comparison

ROWS = [Row("base", 0, "first"), Row("iro", 1, "value"), Row("iro", 2, "value"), Row("iro", 2, "reward")]


def cells(text: str) -> list[list[str]]:
    """The rows of a LaTeX table, its header first."""
    body = re.search(r"\\toprule\n(.*)\\bottomrule", text, re.S)[1].replace("    \\midrule\n", "")
    return [line.strip().removesuffix(" \\\\").split(" & ") for line in body.splitlines() if line.strip()]


@pytest.mark.parametrize(
    "text, kept",
    [
        (None, [0, 1, 2, 3]),
        ("iro", [1, 2, 3]),
        ("iro:2,base", [2, 3, 0]),
        ("iro:last:reward", [3]),
        ("iro::reward, iro", [3, 1, 2]),
    ],
)
def test_rows_are_chosen_by_method_iteration_and_pick_in_the_order_named(text, kept):
    assert chosen_rows(ROWS, text, "toy") == [ROWS[i] for i in kept]


@pytest.mark.parametrize("text", ["iro:3", "irp", "iro:2:first", "iro:2:value:more", "", "base,"])
def test_a_row_that_is_not_there_is_answered_with_those_that_are(text):
    with pytest.raises(UserError, match="Its rows: base, iro:1:value, iro:2:value, iro:2:reward"):
        chosen_rows(ROWS, text, "toy")


def test_every_column_of_a_row_is_known_and_written(planted):
    for row in comparison(planted):
        values = values_of(row)
        assert set(values) == set(COLUMNS) and set(USUAL) <= set(COLUMNS)
        for name, value in values.items():
            assert value is None or isinstance(COLUMNS[name].shown(value), str), name
    stored = set(frame(comparison(planted)).columns)
    assert {name for name in COLUMNS if name not in stored} <= {  # of what this run has not
        "usd", "usd_with_fitting", "fit_usd",
        "refits", "gold_of_refits", "sd_of_refits", "gold_over_refits", "against_best_of_n_over_refits",
        "against_previous_over_refits", "against_first_over_refits", "clusters",
    }  # fmt: skip


def test_csv_has_the_numbers_of_the_stored_table(planted):
    """Digit for digit; what is not known is empty, and every line says which row it is."""
    text = csv_text(part_of(planted, "iro,base", "gold,p_holm,policy_tokens,share_of_best_of_n,kl"))
    table = {(row["method"], row["iteration"], row["final_pick"]): row for row in frame(comparison(planted)).to_dicts()}
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [(line["method"], line["final_pick"]) for line in lines] == [
        ("iro", "value"), ("iro", "reward"), ("base", "first")
    ]  # fmt: skip
    for line in lines:
        row = table[line["method"], int(line["iteration"]), line["final_pick"]]
        for name, shown in line.items():
            known = row[name] if row[name] == row[name] else None
            assert shown == ("" if known is None else str(known)), name
    assert "gold_p" not in lines[0] and "gold_high" in lines[0] and lines[2]["share_of_best_of_n_low"] == ""


def test_the_best_of_the_rows_that_train_no_weights_is_bold(planted):
    columns = "method,final_pick,gold,against_best_of_n,proxy"
    trained = replace(planted, about={**planted.about, "trained": ["iro"]})
    for run, best in ((planted, 3), (trained, 1)):
        part = part_of(run, None, columns)
        table = cells(latex(part))
        gold = [row[2].startswith("\\textbf{") for row in table[1:]]
        assert gold == [i == best for i in range(4)]
        assert not any("\\textbf" in cell for row in table for cell in (row[0], row[1], row[4]))
        lines = markdown(part).splitlines()[2:6]
        assert [line.split(" | ")[2].startswith("**") for line in lines] == gold
    assert "IRO (weights trained)" in latex(part_of(trained, None, columns))


def test_latex_is_whole_and_escaped(planted):
    config = {**planted.about["config"], "task": "50%_of & #1\\ {x} ~^<>|", "model": "a_b"}
    text = latex(part_of(replace(planted, about={**planted.about, "config": config}), None, ",".join(COLUMNS)))
    assert text.count("{") - text.count("\\{") == text.count("}") - text.count("\\}")
    assert r"50\%\_of \& \#1\textbackslash{} \{x\} \textasciitilde{}\textasciicircum{}$<$$>$\textbar{}, a\_b" in text
    assert {len(row) for row in cells(text)} == {len(COLUMNS)}
    assert re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1].count("l") == sum(c.is_text for c in COLUMNS.values())
    assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
        ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table")
    ]  # fmt: skip
    assert "best-of-n" in text and "$-$" in text and "-0." not in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(planted, tmp_path):
    table = latex(part_of(planted, None, None))
    document = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{table}\\end{{document}}"
    (tmp_path / "table.tex").write_text(document)
    subprocess.run(["pdflatex", "-interaction=batchmode", "-halt-on-error", "table.tex"], cwd=tmp_path, check=True)


def test_the_caption_says_n_slice_test_and_intervals_of_what_is_shown(planted):
    said = caption(part_of(planted, "iro", "gold,p_holm,win_rate_over_base,p_wins_holm"))
    for words in ("n = 60 test prompts", "95% bootstrap intervals over prompts", "two-sided bootstrap test of paired",
                  "Holm's correction over all rows", "McNemar's exact test", "Best-of-n: best-of-8",
                  "Gold is in standard deviations", "toy-planted"):  # fmt: skip
        assert words in said, words
    alone = caption(part_of(planted, "iro", "method,policy_tokens,fit_proxy_calls"))
    rows = [replace(row, not_compared="too many rows", beside=None) for row in comparison(planted)]
    apart = caption(Part(planted, rows, ["against_best_of_n"]))
    assert (
        "No row is compared with best-of-n." in apart and "iro (iteration 1) is not compared: too many rows." in apart
    )
    assert not any(words in alone for words in ("bootstrap", "Holm", "Bold", "standard deviations"))


def test_answers_are_a_json_object_a_line(planted):
    scores = planted.scores.with_columns(
        value=pl.when(pl.col("prompt_id") == "p00").then(float("nan")).otherwise(pl.col("value"))
    )
    answers = [json.loads(line) for line in answer_lines(replace(planted, scores=scores), "iro:1:reward,base")]
    assert len(answers) == 120 and [answers[0]["method"], answers[60]["method"]] == ["iro", "base"]
    assert list(answers[0]) == [
        "run", "method", "iteration", "pick", "prompt_id", "prompt", "response", "proxy", "gold", "reference"
    ]  # fmt: skip
    assert answers[0] | {"gold": None, "proxy": None, "response": "a b"} == answers[0]
    wanted = planted.scores.filter(method="iro", final_pick="reward", prompt_id="p01", metric="gold_reward")
    assert answers[1]["gold"] == wanted["value"][0]


@pytest.fixture
def stored(planted) -> Run:
    """The planted run in its folder."""
    for name in TABLES:
        write_table(planted.folder, name, vars(planted)[name].to_dicts())
    write_about(planted.folder, {**planted.about, "status": "done"})
    return planted


def test_the_command_writes_where_it_is_told_and_never_into_a_run(stored, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = str(stored.folder)
    assert cli.main(["export", run, "--latex", "--rows", "iro"]) == 0
    shown = capsys.readouterr().out
    assert cli.main(["export", run, "--latex", "--rows", "iro", "--to", "paper/table.tex"]) == 0
    assert Path("paper/table.tex").read_text() == shown == latex(part_of(stored, "iro", None))
    capsys.readouterr()
    for words, says in (
        (["--csv", "--to", str(stored.folder / "table.csv")], "lies in the folder of a run"),
        (["--csv", "--to", "paper"], "is a folder; name a file in it"),
        (["--csv", "--columns", "glod"], "unknown column 'glod'. Did you mean 'gold'?"),
        (["--csv", "--rows", "irp"], "Its rows: base, best_of_n, iro:1:value, iro:1:reward"),
        (["--jsonl", "--columns", "gold"], "--jsonl has one answer a line"),
        (["--jsonl", "--rows", "iro:2"], "no row of toy-planted is 'iro:2'"),
        (["--csv", "--latex"], "not allowed with argument --csv"),
        ([], "--csv --latex --markdown --jsonl is required"),
    ):
        assert cli.main(["export", run, *words]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and says in said


@pytest.mark.skipif(os.name != "posix", reason="it has no /dev/null")
def test_a_link_and_a_device_stay_what_they_are(stored, tmp_path, capsys, monkeypatch):
    """`--to /dev/null` put a file in the place of the device, for whoever may write there."""
    monkeypatch.chdir(tmp_path)
    Path("null").symlink_to(os.devnull)
    Path("table.csv").write_text("before")
    Path("link.csv").symlink_to("table.csv")
    Path("sly.csv").symlink_to(stored.folder / "scores.parquet")
    for name in ("null", "link.csv"):
        assert cli.main(["export", str(stored.folder), "--csv", "--to", name]) == 0
        assert Path(name).is_symlink()
    assert not Path(os.devnull).is_file() and Path("table.csv").read_text().startswith("method,")
    assert cli.main(["export", str(stored.folder), "--csv", "--to", "sly.csv"]) == 2
    assert "lies in the folder of a run" in capsys.readouterr().err


def test_oracles_are_marked_in_every_form(planted):
    """Of a run whose grader reads the answer key; a value's pick asks for nothing."""
    facts = {**planted.about["task_facts"], "reward_reads": ["answer"]}
    run = replace(planted, about={**planted.about, "task_facts": facts})
    asked = {row.key: row.is_oracle for row in comparison(run)}
    assert any(asked.values()) and not all(asked.values())
    part = part_of(run, None, None)
    assert markdown(part).count("(oracle)") == sum(asked.values()) == latex(part).count("(oracle)")
    assert "ask a grader while they answer, and it reads columns of the row (answer)" in caption(part)
    lines = list(csv.DictReader(io.StringIO(csv_text(part))))
    assert [line["is_oracle"] for line in lines] == [str(is_oracle) for is_oracle in asked.values()]
    said = [json.loads(line) for line in answer_lines(run, None)]
    assert {(one["method"], one["iteration"], one["pick"]): one["is_oracle"] for one in said} == asked
    names = [line.name for line in lines_of(part.rows, ["gold"])]
    assert "best-of-n (oracle)" in names and not any("base" in name for name in names if "oracle" in name)
    plain = part_of(planted, None, None)
    assert "is_oracle" not in csv_text(plain) and "oracle" not in caption(plain)
