"""Answers of another system beside a run: graded as the run's own were, in its table, and the run untouched."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.evidence.export_answers import answer_lines
from harness.evidence.schema import ANSWER, GOLD
from harness.evidence.store import Run, find_run, load_run
from harness.evidence.table import comparison
from harness.judging.opponents import Selection, contests
from harness.running import imported as imported_module
from harness.tasks.toy import Toy
from tests.twins import twins

TOY = ["--model", "toy", "--set", "sampler.max_new_tokens=4", "--set", "sampler.top_k=0", "--workers", "1"]
CHECKS = "def letters(prompt, response, answer):\n    return response.count(answer)\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """OUT with a toy run of base and best-of-n."""
    place = tmp_path_factory.mktemp("imported")
    words = ["run", "--task", "toy", "--method", "base", "--limit", "8", "--set", "fit.prompts=8", "--workers", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        assert cli.main([*words, "--out", str(place)]) == 0
    return place


@pytest.fixture
def run(results, place, unrendered) -> Run:
    return load_run(find_run(results, "toy"))


def write(rows: list[dict], name: str = "theirs.jsonl") -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def bring(results: Path, file: str, *words: str, method: str = "theirs") -> int:
    return cli.main(["import", file, "--method", method, "--out", str(results), *words])


def imported(results: Path, method: str = "theirs") -> Run:
    (folder,) = (results / "imports").glob(f"*-{method}-*")
    return load_run(folder)


def state(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def test_the_answers_of_a_row_come_out_as_that_row(results, run):
    """The base's own answers, by id, are graded as the base was; the run is not touched."""
    before = state(run.folder)
    base = run.completions.filter(pl.col("method") == "base")
    rows = [{"prompt_id": i, "response": text} for i, text in base.select("prompt_id", "response").iter_rows()]
    assert bring(results, write(rows[::-1]), "--run", run.id, method="same") == 0
    made = imported(results, "same")
    scores = made.scores.filter(pl.col("metric") == GOLD).pivot("method", index="prompt_id", values="value")
    assert scores["same"].to_list() == scores["base"].to_list()
    rows = {row.key.method: row for row in comparison(made)}
    assert str(rows["same"].gold) == str(rows["base"].gold) and str(rows["same"].proxy) == str(rows["base"].proxy)
    assert rows["same"].win_rate_over_base.value == 0.5 and not rows["same"].costs.are_known
    own = made.completions.filter(pl.col("method") != "same").select(run.completions.columns)
    assert own.select(ANSWER).equals(run.completions.select(ANSWER)) and state(run.folder) == before


def test_missing_answers_are_unscored_and_others_are_counted(results, run, capsys):
    ids = sorted(run.completions["prompt_id"].unique())
    rows = [{"prompt_id": i, "output": "aa"} for i in ids[:6]] + [{"prompt_id": "unknown", "output": "b"}]
    assert bring(results, write(rows), "--run", run.id, "--rows", "4", method="some") == 0
    said = capsys.readouterr()
    assert "6 of the prompts of" in said.err and "2 missing, 1 to prompts that it does not have" in said.err
    assert "2 answers of some have no score" in said.out
    made = imported(results, "some")
    (row,) = (row for row in comparison(made) if row.key.method == "some")
    assert row.unscored == 2 and row.gold.n == 6 and row.budget == 4 and row.beside == "best-of-4"
    assert row.tokens == 2.0 and row.base_nll == row.base_nll
    assert row.drift.repetition.n == 6 and row.win_rate_over_base.n == 6
    assert sum(json.loads(line)["method"] == "some" for line in answer_lines(made, None)) == 6
    some = Selection(method="some")
    (met,) = contests(made, some, "base", None, Selection())  # two answers that are none were judged as empty ones
    assert len(met.pairs) == 6 and all(pair.ours.text == "aa" for pair in met.pairs)
    assert "nan" not in (made.folder / "report.md").read_text()


def test_an_import_is_a_run_to_every_command(results, run, capsys):
    ids = sorted(run.completions["prompt_id"].unique())
    assert bring(results, write([{"prompt_id": i, "response": "a"} for i in ids]), "--task", "toy", method="A.1") == 0
    name = imported(results, "A.1").id
    capsys.readouterr()
    assert cli.main(["runs", "--out", str(results)]) == 0
    runs, heading, imports = capsys.readouterr().out.partition(": answers of other systems")
    assert heading and name in imports and name not in runs and run.id in runs
    assert cli.main(["runs", "--json", "--method", "A.1", "--out", str(results)]) == 0
    [only] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (only["id"], only["imported"], only["beside"]) == (name, ["A.1"], run.id)
    for words in (["report", name, "--html"], ["judge", name, "--method", "A.1"], ["export", name, "--csv"],
                  ["compare", f"{name}@A.1", f"{run.id}@base"]):  # fmt: skip
        assert cli.main([*words, "--out", str(results)]) == 0, capsys.readouterr().err
        assert "A.1" in capsys.readouterr().out
    assert "A.1" in (results / "imports" / name / "report.html").read_text(encoding="utf-8")
    assert bring(results, write([{"prompt_id": i, "response": "b"} for i in ids]), "--run", name, method="B") == 0
    assert {"A.1", "B", "base"} <= set(imported(results, "B").completions["method"].unique())  # beside an import, too
    capsys.readouterr()
    assert cli.main(["report", run.id, "--out", str(results)]) == 0
    said = capsys.readouterr()
    assert "A.1" not in said.out and f"beside it: answers of another system, in {name}\n" in said.err


@pytest.mark.parametrize(
    "rows, words, method, says",
    [
        ([{"prompt": "another question", "response": "a"}], [], "x", "answers none of the 8 prompts"),
        ([{"prompt_id": 0, "note": "a"}], [], "x", "answers none of the 8 prompts"),
        ([{"response": "a"}], [], "x", "line 1 names no prompt"),
        ([{"prompt_id": "0", "response": "a"}], [], "base", "has rows of that name"),
        ([{"prompt_id": "0", "response": "a"}], [], "../up", "letters, digits, and"),
        ([{"prompt_id": "0", "response": "a"}], [], "a|b", "letters, digits, and"),
        ([{"prompt_id": "0", "response": "a"}], ["--rows", "0"], "x", "--rows 0"),
        ([{"prompt_id": "0", "response": "a"}], ["--grader", "g.py"], "x", "has its own prompts and rewards"),
    ],
)
def test_mistakes_are_named(results, run, capsys, rows, words, method, says):
    ids = sorted(run.completions["prompt_id"].unique())
    if "grader" in says or words == ["--grader", "g.py"]:
        rows = [{"prompt_id": ids[0], "response": "a"}]
    assert bring(results, write(rows), "--run", run.id, *words, method=method) == 2
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said


def test_two_answers_to_one_prompt_and_rows_without_one_are_refused(results, run, capsys):
    first = sorted(run.completions["prompt_id"].unique())[0]
    both = [{"prompt_id": first, "response": text} for text in "ab"]
    assert bring(results, write(both), "--run", run.id) == 2
    assert "several answers to 1 prompts, e.g. 2 to" in capsys.readouterr().err
    assert bring(results, write([{"prompt_id": first, "score": 1}]), "--run", run.id) == 2
    assert "line 1 holds no answer" in capsys.readouterr().err
    assert bring(results, "nowhere.jsonl", "--run", run.id) == 2
    assert bring(results, write(both), method="x") == 2
    assert "--run RUN, or --task TASK" in capsys.readouterr().err


def test_rewards_of_another_version_grade_nothing(results, run, capsys, monkeypatch):
    """Gold that no longer gives stored answers their scores would grade the newcomer by another measure."""
    score = Toy.score
    monkeypatch.setattr(Toy, "score", lambda self, texts: {n: x + 0.5 for n, x in score(self, texts).items()})
    rows = [{"prompt_id": i, "response": "a"} for i in sorted(run.completions["prompt_id"].unique())]
    assert bring(results, write(rows), "--run", run.id, method="late") == 2
    assert "the gold is another one" in capsys.readouterr().err
    assert not list((results / "imports").glob("*-late-*"))


def test_a_run_of_files_is_imported_with_the_same_files_alone(place, unrendered, capsys):
    data = write([{"prompt": f"question {i} about topic {i % 2}", "answer": "ab"[i % 2]} for i in range(40)], "d.jsonl")
    Path("checks.py").write_text(CHECKS, encoding="utf-8")
    files = ["--data", data, "--grader", "checks.py:letters"]
    words = ["run", *files, *TOY, "--method", "base", "--set", "fit.prompts=5", "--limit", "6", "--out", "out"]
    assert cli.main(words) == 0
    run = load_run(find_run(Path("out"), "data"))
    prompts = run.completions.unique("prompt_id")["prompt"].to_list()
    theirs = write([{"instruction": text, "output": "ab", "generator": "us"} for text in prompts])
    assert bring(Path("out"), theirs, "--run", run.id, *files) == 0
    gold = imported(Path("out")).scores.filter(pl.col("metric") == GOLD, pl.col("method") == "theirs")
    assert gold["value"].to_list() == [1.0] * 6
    assert bring(Path("out"), theirs, "--run", run.id, method="x") == 2
    assert "give --data FILE and --grader FILE" in capsys.readouterr().err
    Path("checks.py").write_text(CHECKS.replace("answer)", "answer) + 1"), encoding="utf-8")
    assert bring(Path("out"), theirs, "--run", run.id, *files, method="x") == 2
    assert "--grader 'checks.py:letters' is gone, or holds something else" in capsys.readouterr().err


def test_of_two_equal_imports_at_once_one_grades_and_the_other_finds_it_done(results, run, monkeypatch):
    """The slower removed the folder of the faster, and a reader met half of it."""
    rows = [{"prompt_id": i, "response": "ab"} for i in sorted(run.completions["prompt_id"].unique())]
    file = write(rows)
    found = twins(lambda: bring(results, file, "--run", run.id, method="twin"), imported_module, "_write", monkeypatch)
    assert found.codes == [0, 0] and found.made == 1 and len(found.said) == 1
    assert imported(results, "twin").completions.filter(pl.col("method") == "twin").height == len(rows)


def test_a_damaged_import_is_made_again_by_its_command(results, run, capsys):
    rows = [{"prompt_id": i, "response": "ba"} for i in sorted(run.completions["prompt_id"].unique())]
    file = write(rows)
    assert bring(results, file, "--run", run.id, method="torn") == 0
    folder = imported(results, "torn").folder
    before = state(folder)
    for name in ("scores.parquet", "run.json", "pool.parquet"):
        (folder / name).write_bytes((folder / name).read_bytes()[:40])
        capsys.readouterr()
        assert bring(results, file, "--run", run.id, method="torn") == 0
        assert capsys.readouterr().err.count("is damaged") == 1
        apart = {"run.json", "manifest.json", "report.md"}  # which say when it was made
        assert {k: v for k, v in state(folder).items() if k not in apart} == {
            k: v for k, v in before.items() if k not in apart
        }


def test_imported_answers_are_in_the_clusters_of_their_prompts(place, unrendered, capsys):
    """Such a run could not be imported beside; and answers in no cluster would be one: no interval."""
    asked = [{"prompt": f"question {i} about topic {i % 2}", "answer": "ab"[i % 2]} for i in range(40)]
    data = write([{**row, "who": f"{i % 7}"} for i, row in enumerate(asked)], "d.jsonl")
    Path("checks.py").write_text(CHECKS, encoding="utf-8")
    files = ["--data", data, "--grader", "checks.py:letters"]
    words = ["run", *files, *TOY, "--cluster", "who", "--method", "base", "--set", "fit.prompts=5", "--limit", "8"]
    assert cli.main([*words, "--out", "out"]) == 0
    run = load_run(find_run(Path("out"), "data"))
    base = run.completions.filter(pl.col("method") == "base")
    theirs = [{"prompt_id": i, "response": text} for i, text in base.select("prompt_id", "response").iter_rows()]
    assert bring(Path("out"), write(theirs), "--run", run.id, *files) == 0
    made = {row.key.method: row for row in comparison(imported(Path("out")))}
    own = {row.key.method: row for row in comparison(run)}
    assert own["base"].clusters == made["theirs"].clusters == made["base"].clusters
    assert str(made["theirs"].gold) == str(made["base"].gold) == str(own["base"].gold)
    assert "[" in str(made["theirs"].gold)
    assert str(made["best_of_n"].drift.gold_gain) == str(own["best_of_n"].drift.gold_gain)
