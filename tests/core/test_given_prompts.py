"""Prompts as users give them."""

import pytest

from harness.core.errors import UserError
from harness.core.given_prompts import prompts_of
from harness.core.types import Message, Prompt


def test_prompts_come_as_texts_messages_rows_or_themselves():
    messages = [{"role": "user", "content": "hello"}]
    own = Prompt("mine", text="as it is")
    text, chat, row, of_chat, kept = prompts_of(
        ["hello", messages, {"prompt": "hello", "answer": 4, "id": 7}, {"messages": messages, "reference": "hi"}, own]
    )
    assert (text.text, text.row, len(text.id)) == ("hello", {}, 12)
    assert chat.messages == (Message("user", "hello"),) and chat.text is None
    assert (row.id, row.text, row.row) == ("7", "hello", {"answer": 4})
    assert of_chat.reference == "hi" and of_chat.messages == chat.messages and kept is own
    assert prompts_of(["hello"])[0].id == text.id != prompts_of([{"prompt": "hello", "answer": 4}])[0].id


@pytest.mark.parametrize(
    "given, says",
    [
        ("hello", "prompts is a str; give a list"),
        ({"prompt": "x"}, "prompts is a dict; give a list"),
        ([3], "prompt 0 is 3: give a text"),
        (["x", None], "prompt 1 is None"),
        ([[]], "give a text, or messages with role and content"),
        ([["x"]], "give a text, or messages with role and content"),
        ([{"question": "x"}], "give a text, a list of messages, or a row with prompt or messages"),
        ([{"prompt": "x", "messages": []}], "or a row with prompt or messages"),
        ([{"prompt": "x", "image": object()}], "the columns of a row are plain data"),
        ([Prompt("a", text="x", row={"image": object()})], "the columns of a row are plain data"),
    ],
)
def test_anything_else_is_named(given, says):
    with pytest.raises(UserError, match=says):
        prompts_of(given)
