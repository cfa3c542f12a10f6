"""What the sides of a comparison are given as: runs by any of their names, files, and lm-eval's under a filter."""

import json
import shutil
from pathlib import Path

import pytest

from harness import cli
from tests.comparing.test_compare import ONE, TWO, compared, refused
from tests.judging import test_judge as planted


@pytest.fixture
def run(place) -> str:
    planted.store("toy-1", {("base", 0, "first"): ([0.0] * 4, list("abcd"))}, ids=("p0", "p1", "p2", "p3"))
    return "toy-1"


def sample(n: int, chosen: str, score: float) -> dict:
    return {"doc_id": n, "doc": {}, "arguments": {"gen_args_0": {"arg_0": f"say p{n}"}}, "filtered_resps": ["x"],
            "filter": chosen, "metrics": ["em"], "doc_hash": f"h{n}", "em": score}  # fmt: skip


def write(name: str, rows: list[dict]) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


@pytest.fixture
def two_filters(place) -> str:
    return write("two.jsonl", [sample(n, f, x) for f, x in (("strict", 0.0), ("loose", 1.0)) for n in range(4)])


def test_a_filter_is_for_the_sides_that_lm_eval_wrote(run, two_filters, capsys):
    """A run was 'no such file' beside a filter, rows were refused for it, and so was a task without filters."""
    rows = write("rows.jsonl", [{"prompt": f"say p{n}", "em": 0.5} for n in range(4)])
    plain = write("plain.jsonl", [sample(n, "none", 0.5) for n in range(4)])
    for other in (rows, plain):
        for chosen, difference in (("strict", -0.5), ("loose", 0.5)):
            found = compared(capsys, two_filters, other, "--filter", chosen)
            assert (found["pairs"], found["difference"]["value"]) == (4, difference)
            assert found["a"]["notes"] == [f"answers under the filter {chosen}"]
            assert compared(capsys, other, two_filters, "--filter", chosen)["difference"]["value"] == -difference
    assert found["b"]["notes"] == ["answers under the filter none"]
    found = compared(capsys, run, two_filters, "--filter", "loose", "--metric-b", "em")
    assert (found["pairs"], found["difference"]["value"]) == (4, -1.0)
    assert cli.main(["compare", two_filters, plain, "--filter", "loose"]) == 0
    shown = capsys.readouterr().out
    assert "A: answers under the filter loose" in shown and "B: answers under the filter none" in shown
    assert compared(capsys, plain, plain)["a"]["notes"] == []


def test_a_filter_that_no_side_has_is_refused(run, two_filters, capsys):
    plain = write("plain.jsonl", [sample(n, "none", 0.5) for n in range(4)])
    other = write("other.jsonl", [sample(n, "first", 0.5) for n in range(4)])
    rows = write("rows.jsonl", [{"prompt": f"say p{n}", "em": 0.5} for n in range(4)])
    assert "--filter belongs to lm-eval's samples: there are none in rows.jsonl and rows.jsonl" in refused(
        capsys, rows, rows, "--filter", "strict"
    )
    assert "--filter belongs to lm-eval's samples" in refused(capsys, run, f"{run}@base", "--filter", "strict")
    assert "there are no filters in plain.jsonl and plain.jsonl" in refused(capsys, plain, plain, "--filter", "strict")
    assert "two.jsonl has no filter 'lose'; there: strict, loose" in refused(
        capsys, two_filters, rows, "--filter", "lose"
    )
    assert "other.jsonl has no filter 'strict'; there: first" in refused(
        capsys, two_filters, other, "--filter", "strict"
    )
    assert "choose one of them with --filter strict" in refused(capsys, two_filters, rows)


def test_a_file_with_one_filter_says_which(capsys, place):
    for source, name in ((ONE, "one.jsonl"), (TWO, "two.jsonl")):
        lines = [line for line in Path(source).read_text().splitlines() if '"strict-match"' in line]
        Path(name).write_text("\n".join(lines))
    found = compared(capsys, "one.jsonl", "two.jsonl")
    assert found["a"]["notes"] == found["b"]["notes"] == ["answers under the filter strict-match"]


@pytest.mark.parametrize("name", ["v1.0", "v1.json", "first"])
def test_a_run_is_found_by_a_name_with_dots(run, capsys, name):
    """What has an ending was a file that is not there."""
    assert cli.main(["name", run, name]) == 0
    capsys.readouterr()
    for reference in (name, f"{name}@base", f"{name}@base/0/first"):
        assert compared(capsys, reference, run)["pairs"] == 4
    assert "no run 'v1.1'" in refused(capsys, "v1.1", run)
    assert "'v1.csv': there is no such file" in refused(capsys, "v1.csv", run)


def test_a_run_is_found_in_a_folder_with_an_at_sign(run, capsys):
    """The path was cut at the first @, and its end taken for a row."""
    folder = Path("me@work/out/runs")
    folder.mkdir(parents=True)
    shutil.copytree(Path("results/runs", run), folder / run)
    assert compared(capsys, str(folder / run), run)["pairs"] == 4
    assert compared(capsys, f"{folder / run}@base", run)["pairs"] == 4
    assert "has no row 'dpo'" in refused(capsys, f"{folder / run}@dpo", run)
    assert "there is no run.json in it" in refused(capsys, str(folder), run)
    assert "there is no such file" in refused(capsys, "me@work/rows.jsonl", run)
