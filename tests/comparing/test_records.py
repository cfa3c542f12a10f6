"""A prompt is the same however files write it: as a run shows it, as messages, as a text."""

import json
from pathlib import Path

import polars as pl
import pytest

from harness import cli
from harness.comparing.compare import compare
from harness.comparing.records import TEXT, Record, Records, plain
from harness.comparing.rows import ID
from harness.comparing.rows import read as read_rows
from harness.core.errors import UserError
from tests.judging import test_judge as planted

ASKED = ["say 19 please", "say 20 please "]  # one with a blank that others do not write


@pytest.fixture
def of_messages(place) -> None:
    """A run whose prompts are single messages of the user, and show their role."""
    planted.store("toy-messages", {("base", 0, "first"): ([0.0, 1.0], ["a", "b"])}, ids=("p0", "p1"))
    path = Path("results/runs/toy-messages/completions.parquet")
    shown = {f"say p{i}": f"user: {text}" for i, text in enumerate(ASKED)}
    pl.read_parquet(path).with_columns(pl.col("prompt").replace(shown)).write_parquet(path)


def log_of(prompts: list[str]) -> dict:
    samples = [
        {"id": i, "epoch": 1, "input": text, "scores": {"acc": {"value": 1.0}}} for i, text in enumerate(prompts)
    ]
    return {"version": 2, "status": "success", "eval": {}, "samples": samples}


@pytest.mark.parametrize(
    "name, content",
    [
        ("prompt.jsonl", [{"prompt": text, "acc": 1.0} for text in ASKED]),
        ("stripped.jsonl", [{"prompt": text.strip(), "acc": 1.0} for text in ASKED]),
        ("messages.jsonl", [{"messages": [{"role": "user", "content": text}], "acc": 1.0} for text in ASKED]),
        ("shown.jsonl", [{"prompt": f"user: {text}", "acc": 1.0} for text in ASKED]),
        ("other_ids.jsonl", [{"id": i, "prompt": text, "acc": 1.0} for i, text in enumerate(ASKED)]),
        ("log.json", log_of(ASKED)),
    ],
)
def test_a_run_on_messages_meets_every_other_file(of_messages, capsys, name, content):
    """The run shows 'user: say 19 please', every other file 'say 19 please': they shared no prompt."""
    rows = content if isinstance(content, list) else [content]
    Path(name).write_text("\n".join(map(json.dumps, rows)))
    assert cli.main(["compare", "toy-messages", name, "--metric-b", "acc", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pairs"], found["paired_by"], found["difference"]["value"]) == (2, "prompt text", -0.5)


def test_a_developers_message_is_the_systems_as_in_runs():
    messages = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hello"}]
    (record,) = read_rows("a", [("line 1", {"messages": messages})]).records
    assert record.names[TEXT] == "system: be brief\nuser: hello"
    odd = [{"role": ["user"], "content": [{"type": "input_text", "text": "hello"}]}]
    assert read_rows("a", [("line 1", {"messages": odd})]).records[0].names[TEXT] == "hello"


def test_what_a_prompt_asks_is_without_its_role_and_blanks():
    assert plain(" user: say 19\n") == plain("say 19") == "say 19"
    assert plain(plain("user: say 19")) == plain("user: say 19")
    assert plain("system: be brief\nuser: x") == "system: be brief\nuser: x" and plain("userland") == "userland"


def test_ids_that_files_do_not_share_leave_the_pairing_to_the_texts():
    def of(ids: list[str], texts: list[str], source: str) -> Records:
        return Records(source, "rows", [Record("line", {ID: i, TEXT: t}, {"acc": 1.0})
                                        for i, t in zip(ids, texts, strict=True)])  # fmt: skip

    found = compare(of(["1", "2"], ["x", "y"], "a"), of(["a", "b"], ["y", "z"], "b"))
    assert (found.pairs, found.paired_by, list(found.a.alone)) == (1, TEXT, ["x"])
    with pytest.raises(UserError, match=r"share no prompt \(by prompt id or prompt text: '1' in the one, 'a' in the"):
        compare(of(["1"], ["x"], "a"), of(["a"], ["y"], "b"))
