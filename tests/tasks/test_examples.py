"""The worked example: 600 prompts, a Python grader and the same as a pair of OpenAI's files, run on a tiny model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.core.data.prompts import read_data
from harness.core.graders.grade import Item
from harness.core.graders.load import load_grader

FOLDER = Path(__file__).parents[2] / "tasks" / "examples"
SUPPORT, PYTHON, OPENAI = FOLDER / "support.jsonl", f"{FOLDER / 'support.py'}:helpful", FOLDER / "support_grader.json"


def test_there_are_600_prompts_in_three_splits_and_the_script_writes_them(tmp_path):
    data = read_data(SUPPORT)
    assert (data.rows, data.merged, data.rule) == (600, 0, "messages") and SUPPORT.stat().st_size < 300_000
    assert data.sizes["test"] >= 190 and data.sizes["fit"] >= 350
    for name in ("make_support.py", "support.py"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    subprocess.run([sys.executable, str(tmp_path / "make_support.py")], check=True)
    for name in ("support.jsonl", "support_grader.json"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_both_forms_of_the_grader_give_the_same_scores():
    row = read_data(SUPPORT).prompts["test"][0].row
    texts = [
        "",
        "No.",
        "I am sorry. Please send a photo and your order number, and we replace or refund it within five working days.",
        "please please please please please [Name]",
    ]
    items = [Item("Where is it?", text, row) for text in texts]
    scores = []
    for named in (PYTHON, str(OPENAI)):
        grader = load_grader(named)
        assert grader.reads == {"reference_answer"}
        scores.append([grade.score for grade in grader.grade(items)])
        grader.close()
    assert scores[0] == scores[1] and scores[0][0] == 0 and scores[0][2] == max(scores[0]) > 0.7


@pytest.fixture
def model(tiny, tmp_path) -> str:
    """The tiny random transformer as a folder."""
    folder = tmp_path / "tiny"
    tiny.untouched_model()[0].save_pretrained(folder)
    tiny.untouched_model()[1].save_pretrained(folder)
    return str(folder)


TINY = ["--limit", "6", "--workers", "1", "--set", "sampler.max_new_tokens=8", "--set", "iro.iterations=1",
        "--set", "iro.chunk=4", "--set", "fit.prompts=6", "--set", "fit.samples=4"]  # fmt: skip


def test_the_pair_of_openai_s_files_is_aligned_by_one_command(place, model, unrendered, capsys):
    words = ["--data", str(SUPPORT), "--grader", str(OPENAI), "--model", model, *TINY]
    assert cli.main(["align", *words, "--out", "aligned"]) in (0, 1)  # of random weights a gain is chance
    report = Path("aligned", "report.md").read_text(encoding="utf-8")
    assert "picked by the grader (oracle)" in report and "The grader reads reference_answer of the row" in report
    assert "600 rows, of which 359 fit, 46 development, 195 test" in report
    capsys.readouterr()
    assert cli.main(["generate", "aligned", "--prompt", "where is my parcel?"]) == 0
    rows = [json.loads(line) for line in SUPPORT.read_text(encoding="utf-8").splitlines()[:1]]
    Path("new.jsonl").write_text(json.dumps(rows[0]) + "\n", encoding="utf-8")
    assert cli.main(["generate", "aligned", "--prompts", "new.jsonl", "--pick", "reward", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["reward_calls"] > 0 and answer["prompt"]["messages"][-1]["content"].startswith("Hello, the parcel")


def test_a_text_that_is_asked_later_is_said_by_the_user(place, model, unrendered, capsys):
    words = ["--data", str(SUPPORT), "--grader", PYTHON, "--model", model, *(w for w in TINY if "iro." not in w)]
    words = [word for word, after in zip(words, [*words[1:], ""], strict=True) if word != "--set" or "=" in after]
    assert cli.main(["align", *words, "--method", "best_of_n", "--out", "best"]) in (0, 1)
    capsys.readouterr()
    assert cli.main(["generate", "best", "--prompt", "hello"]) == 2
    assert "reads reference_answer of the row, which the prompt \"[{'role': 'user', 'content': 'hello'}]\"" in (
        capsys.readouterr().err
    )
