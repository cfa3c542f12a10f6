"""Rows as prompts in disjoint splits: which column is the prompt, what graders get, what is refused and where."""

import json
from pathlib import Path

import pytest

from harness.core.data.prompts import prompt_of, read_data
from harness.core.data.rows import DataRow
from harness.core.errors import UserError
from harness.core.types import Message


def prompt(**columns):
    return prompt_of(DataRow("a.jsonl, line 7", columns))


def data_of(place: Path, rows, name="a.jsonl"):
    (place / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_data(place / name)


def user(text):
    return {"role": "user", "content": text}


HELLO = (Message("user", "hello"),)
FORMS = {
    "openai": ({"messages": [user("hello")]}, HELLO),
    "text parts": ({"messages": [user([{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}])]}, HELLO),
    "developer": (
        {"messages": [{"role": "developer", "content": "be brief"}, user("hello")]},
        (Message("system", "be brief"), *HELLO),
    ),
    "a turn before": (
        {"messages": [user("hi"), {"role": "assistant", "content": "yes?"}, user("hello")]},
        (Message("user", "hi"), Message("assistant", "yes?"), *HELLO),
    ),
    "nulls of parquet": ({"messages": [{**user("hello"), "tool_calls": None, "name": None}], "tools": []}, HELLO),
    "verifiers": ({"question": "hello"}, HELLO),
    "TRL, verl": ({"prompt": [user("hello")]}, HELLO),
    "TRL, a text": ({"prompt": "hello"}, "hello"),
    "google": (
        {
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "yes?"}]},
                {"role": "user", "parts": [{"text": "hel"}, {"text": "lo"}]},
            ],
        },
        (Message("system", "be brief"), Message("user", "hi"), Message("assistant", "yes?"), *HELLO),
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_prompt_is_read_and_all_else_is_the_row(form):
    columns, wanted = FORMS[form]
    made = prompt(**columns, id="row-7", answer="42", info={"a": 1}, split="train")
    assert (made.text if isinstance(wanted, str) else made.messages) == wanted
    assert made.row == {"id": "row-7", "answer": "42", "info": {"a": 1}} and made.reference == "42"


def test_messages_come_before_a_prompt_and_that_before_a_question_and_the_other_is_the_row():
    made = prompt(question="what?", prompt="say: ", messages=[user("hello")])
    assert made.messages == HELLO and made.row == {"question": "what?", "prompt": "say: "}
    assert prompt(question="what?", prompt="say: ").text == "say: "


def test_the_reference_is_the_first_text_of_its_three_names():
    assert prompt(prompt="x", answer="a", reference_answer="b", reference="c").reference == "c"
    assert prompt(prompt="x", reference_answer={"key": 1}, answer="a").reference == "a"
    assert prompt(prompt="x", reference_answer={"key": 1}).reference is None


REFUSED = {
    "no prompt": ({"text": "x"}, r"line 7 has no messages, prompt, question or contents; its columns: text"),
    "null": ({"prompt": None}, "line 7: prompt is None; write a text, or a list of messages"),
    "a number": ({"prompt": 3}, "line 7: prompt is 3; write a text"),
    "empty": ({"prompt": " \n"}, "line 7: prompt is an empty text"),
    "a null question": ({"question": None}, "line 7: question is None; write a text"),
    "no messages": ({"messages": []}, r"line 7: messages is \[\]; write a list of messages"),
    "null messages": ({"messages": None}, "line 7: messages is None"),
    "a text for messages": ({"messages": "hello"}, "line 7: messages is 'hello'"),
    "a message that is a text": ({"messages": ["hello"]}, "message 1 is 'hello'; write role and content"),
    "the assistant last": (
        {"messages": [user("x"), {"role": "assistant", "content": "the answer"}]},
        r"line 7: the last message is of the role assistant \('the answer'\); the user's must be the last.*reference_a",
    ),
    "a tool's message": ({"messages": [{"role": "tool", "content": "x"}]}, "message 1 has the role 'tool'; roles are"),
    "tools": ({"messages": [user("x")], "tools": [{"type": "function"}]}, "line 7: tools are not offered to models"),
    "tool calls": ({"messages": [{**user("x"), "tool_calls": [{"id": "1"}]}]}, "message 1 has tool_calls"),
    "an image": (
        {"messages": [user([{"type": "image_url", "image_url": {"url": "data:"}}])]},
        "message 1, part 1 is of type 'image_url'; models here read text alone",
    ),
    "audio": ({"messages": [user([{"type": "input_audio", "input_audio": {}}])]}, "part 1 is of type 'input_audio'"),
    "a null content": ({"messages": [user(None)]}, "message 1: content is None; write a text"),
    "a role that is a list": ({"messages": [{"role": ["user"], "content": "x"}]}, r"has the role \['user'\]; roles"),
    "a role that is a dict": ({"messages": [{"role": {}, "content": "x"}]}, r"message 1 has the role \{\}; roles are"),
    "google's list": ({"contents": [{"role": ["user"], "parts": "x"}]}, "contents 1 is .*write role"),
    "google's image": ({"contents": [{"parts": [{"inlineData": {"data": ""}}]}]}, "contents 1 has the part .*read"),
    "no contents": ({"contents": []}, r"contents is \[\]"),
    "the model last": (
        {"contents": [{"role": "model", "parts": [{"text": "x"}]}]}, "the last message is of the role assistant"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_prompt_is_refused_with_its_row(what):
    columns, says = REFUSED[what]
    with pytest.raises(UserError, match=says) as error:
        prompt(**columns)
    assert str(error.value).startswith("a.jsonl, line 7")


def test_rows_of_another_form_than_the_first_are_named(tmp_path):
    with pytest.raises(UserError, match="line 2 has no prompt, which the first row has; its columns: question"):
        data_of(tmp_path, [{"prompt": "a"}, {"question": "b"}])
    with pytest.raises(UserError, match=r"line 2: prompt is messages, and a text in .*line 1; write all alike"):
        data_of(tmp_path, [{"prompt": "a"}, {"prompt": [user("b")]}], "b.jsonl")


ROWS = [{"prompt": f"question {i}", "answer": str(i)} for i in range(200)]


def test_splits_are_cut_by_the_prompt_and_stay_when_rows_are_added_or_reordered(tmp_path):
    few, many = data_of(tmp_path, ROWS[:100], "few.jsonl"), data_of(tmp_path, ROWS[::-1], "many.jsonl")
    assert few.rule == "prompt" and few.rows == 100 and not few.has_splits
    assert sum(few.sizes.values()) == 100 and min(few.sizes.values()) > 0
    for part, prompts in few.prompts.items():
        assert {p.id for p in prompts} < {p.id for p in many.prompts[part]}
        assert [p.id for p in prompts] == sorted(p.id for p in prompts)
    assert data_of(tmp_path, ROWS, "forth.jsonl").identity == many.identity != few.identity


def test_the_splits_of_a_file_are_its_own(tmp_path):
    rows = [{"prompt": f"{name} {i}", "split": name} for name in ("train", "Validation", "test") for i in range(3)]
    data = data_of(tmp_path, rows)
    assert data.has_splits and data.sizes == {"fit": 3, "development": 3, "test": 3}
    assert all("split" not in p.row for of in data.prompts.values() for p in of)
    with pytest.raises(UserError, match="line 4: split is 'holdout'; write one of fit, train,"):
        data_of(tmp_path, [*rows[:3], {"prompt": "x", "split": "holdout"}], "b.jsonl")
    with pytest.raises(UserError, match=r"line 2: split is None; write one of .* in every row or in none"):
        data_of(tmp_path, [rows[0], {"prompt": "x"}], "c.jsonl")


def test_a_row_that_is_there_twice_counts_once_and_across_splits_it_is_refused(tmp_path):
    data = data_of(tmp_path, [*ROWS[:9], ROWS[3], {**ROWS[4], "answer": "another"}])
    assert (data.rows, data.merged) == (11, 1) and sum(data.sizes.values()) == 10
    twice = [{"prompt": "the same", "split": "train"}, {"prompt": "other", "split": "test"}]
    with pytest.raises(
        UserError, match=r"line 3 is for test and asks the same as .*line 1, which is for fit: 'the same'"
    ):
        data_of(tmp_path, [*twice, {"prompt": "the same", "split": "test", "answer": "x"}], "b.jsonl")


def test_ids_are_of_the_content_and_say_where_they_were(tmp_path):
    data = data_of(tmp_path, [{"prompt": "a", "id": "mine"}, {"prompt": "b", "id": "mine"}])
    ids = {p.text: p.id for of in data.prompts.values() for p in of}
    assert len(set(ids.values())) == 2 and data.where[ids["b"]].endswith("a.jsonl, line 2")
    assert ids["a"] == prompt(prompt="a", id="mine").id and data.columns == ["id"]


def test_a_file_that_changed_is_read_again(tmp_path):
    assert data_of(tmp_path, ROWS[:2]).rows == 2
    assert data_of(tmp_path, ROWS[:3]).rows == 3
