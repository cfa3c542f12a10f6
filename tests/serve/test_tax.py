"""What an alignment costs elsewhere: paired differences of stored answers, on the toy."""

import io
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.cli.tax import _by_task
from harness.core.errors import UserError
from harness.core.json_file import write_json
from harness.core.statistics.stats import Estimate, difference
from harness.evidence.terminal import Terminal
from harness.serve import tax as tax_module
from harness.serve.aligned import Aligned
from harness.serve.tax import Compared, Tax, _stored
from harness.serve.tax_report import show_tax
from tests.tasks.lm_eval_made_here import write_toyqa
from tests.twins import twins

NONE = Estimate(0.5, 0.4, 0.6, 40)


def row(value: float, low: float, high: float, p: float) -> Compared:
    return Compared("gsm8k", "exact_match,none", NONE, NONE, NONE, Estimate(value, low, high, 40), p, 0)


def test_a_loss_beyond_chance_is_a_tax_and_a_gain_is_none():
    made = Tax("iro-1", [row(-0.2, -0.3, -0.1, 0.001), row(0.3, 0.2, 0.4, 0.001)], [], "iro", [], 4.0)
    assert [one.difference.value for one in made.worse] == [-0.2]
    assert made.verdict == "A tax: gsm8k exact_match,none -0.200 [-0.300, -0.100] (p < 0.05, Holm)."


def test_without_one_the_largest_loss_that_is_not_ruled_out_is_said():
    made = Tax("iro-1", [row(-0.01, -0.08, 0.06, 0.8), row(0.0, -0.02, 0.02, 1.0)], [], "iro", [], 4.0)
    assert not made.worse and "not ruled out: 0.080 of gsm8k" in made.verdict


def test_a_metric_that_is_better_lower_is_shown_with_its_direction(monkeypatch):
    """From 2.0 errors to 1.5 the table had "+0.500" under "aligned - base"."""
    monkeypatch.setenv("COLUMNS", "160")
    ours = Compared("x", "errors,none", NONE, NONE, NONE, Estimate(0.5, 0.4, 0.6, 40), 0.001, 0, lower_is_better=True)
    for rows, is_turned in (([ours], True), ([row(0.5, 0.4, 0.6, 0.001)], False)):
        made, file = Tax("iro-1", rows, [], "iro", [], 4.0), io.StringIO()
        show_tax(made, Path("tax"), Terminal(file))
        said = " ".join(file.getvalue().split())
        assert ("(lower is better)" in said and "the difference is base - aligned" in said) is is_turned
        assert "+0.500" in said and not made.worse


def test_one_document_has_no_verdict():
    nan = float("nan")
    made = Tax("iro-1", [row(-0.2, nan, nan, nan)], [], "iro", [], 4.0)
    assert made.verdict.startswith("Not known") and "nan" not in made.verdict


def test_files_belong_to_one_of_several_tasks():
    assert _by_task(["a:test=x", "b:test=y", "a:train=z"], ["a", "b"]) == {"a": ["test=x", "train=z"], "b": ["test=y"]}
    assert _by_task(["test=C:/x"], ["a"]) == {"a": ["test=C:/x"]}


@pytest.mark.parametrize(
    "given, names, says",
    [
        (["test=x"], ["a", "b"], "say of which task, a:test=x"),
        (["c:test=x"], ["a"], "has no c"),
        ([], [], "names no task"),
    ],
)
def test_a_file_of_no_task_is_refused(given, names, says):
    with pytest.raises(UserError, match=says):
        _by_task(given, names)


@pytest.mark.slow
def test_base_and_aligned_model_are_paired_by_document(place, unrendered, capsys, monkeypatch):
    """The toy's IRO writes the letter a: where the answer is a it gains, and loses where it is b."""
    words = write_toyqa(place / "task")
    toy = ["run", "--task", "toy", "--limit", "12", "--set", "fit.prompts=40", "--workers", "1"]
    assert cli.main([*toy, "--set", "iro.iterations=1", "--set", "evaluate.trace=0"]) == 0
    capsys.readouterr()
    asked = ["tax", "latest", "--tasks", "toyqa", *words]
    assert cli.main(asked) in (0, 1)
    said = capsys.readouterr()
    assert "verdict" in said.out and "40 documents" in said.err and "times the policy tokens" in said.out
    (folder,) = (place / "results" / "tax").iterdir()
    answers, table = pl.read_parquet(folder / "answers.parquet"), pl.read_parquet(folder / "table.parquet")
    assert answers.group_by("model").len().sort("model")["len"].to_list() == [40, 40, 40]
    first = {
        model: [
            float(text[:1] == "ab"[int(prompt[-1])]) for text, prompt in of.select("response", "prompt").iter_rows()
        ]
        for (model,), of in answers.sort("prompt_id").group_by("model")
    }
    found = difference(first["iro"], first["base"])
    of_first = table.filter(pl.col("metric") == "exact_match,first").to_dicts()[0]
    assert (of_first["difference"], of_first["difference_low"], of_first["difference_high"]) == (
        found.value, found.low, found.high,
    )  # fmt: skip
    assert not answers.filter(pl.col("response").str.contains("cc")).height

    def never(*_, **__):
        raise AssertionError("everything is in the cache")

    monkeypatch.setattr(Aligned, "answered", never)
    assert cli.main(asked) in (0, 1) and [*(place / "results" / "tax").iterdir()] == [folder]


@pytest.mark.slow
def test_of_two_equal_commands_at_once_one_asks_the_models(place, unrendered, capsys, monkeypatch):
    words = write_toyqa(place / "task")
    toy = ["run", "--task", "toy", "--limit", "8", "--set", "fit.prompts=20", "--workers", "1"]
    assert cli.main([*toy, "--set", "iro.iterations=1", "--set", "evaluate.trace=0"]) == 0
    found = twins(
        lambda: cli.main(["tax", "latest", "--tasks", "toyqa", *words]), tax_module, "write_json", monkeypatch
    )
    assert set(found.codes) <= {0, 1} and found.made == 3 * 2  # batches of three models
    assert found.said and "answers of base to lm_eval:toyqa is being made" in found.said[0]
    assert len(list((place / "results" / "tax").iterdir())) == 1


@pytest.mark.slow
def test_the_base_is_not_compared_with_itself(place, unrendered, capsys):
    words = write_toyqa(place / "task")
    toy = [
        "run",
        "--task",
        "toy",
        "--limit",
        "8",
        "--set",
        "fit.prompts=20",
        "--workers",
        "1",
        "--method",
        "base",
        "--only",
    ]
    assert cli.main([*toy, "--set", "evaluate.trace=0"]) == 0
    assert cli.main(["tax", "latest", "--method", "base", "--tasks", "toyqa", *words]) == 2
    assert "base is the base itself" in capsys.readouterr().err


def test_a_kept_batch_that_is_damaged_is_answered_again(tmp_path, capsys):
    """It proved nothing: a flipped bit was another answer, and a torn file a traceback."""
    path = tmp_path / "batch.json"
    write_json(path, {"answers": [["ab", 2], ["c", 1]]})
    assert _stored(path, 2) == [("ab", 2), ("c", 1)] and _stored(path, 3) is None
    written = path.read_text()
    for damaged in (written.replace("ab", "ac"), written[:30], "", "[[1", "[[1, 2, 3]]", "[" * 90_000, "{}"):
        path.write_text(damaged)
        capsys.readouterr()
        assert _stored(path, 2) is None and capsys.readouterr().err.count("answered again") == 1
    path.write_text('[["ab", 2], ["c", 1]]')  # as earlier versions wrote it
    assert _stored(path, 2) == [("ab", 2), ("c", 1)]
