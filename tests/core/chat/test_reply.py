"""What counts as a whole answer of a chat server: nothing else gives a verdict or is kept (case 05)."""

import json

import pytest

from harness.core.chat.reply import NoAnswer, StatusInBody, from_file, joined, parsed, to_file
from harness.core.thinking import after_thinking
from tests.planted_server import chat_body

CUT = "<think>\nWriter A begins well, which would be [[A]]. Now writer B"


def reply(content, finish="stop", request=None, **message):
    return parsed(json.dumps(chat_body(content, finish, **message)), request or {})


@pytest.mark.parametrize(
    "content, finish, message, reason",
    [
        ("[[A]]", "stop", {}, None),
        ("[[A]]", None, {}, None),
        ("[[A]] because", "length", {}, "cut short"),
        (CUT, "length", {}, "cut short"),
        (CUT, "stop", {}, "unfinished thinking"),
        ("<think>[[B]]</think>[[A]]<thinking>or", None, {}, "unfinished thinking"),
        ("", "length", {"reasoning_content": "long [[A]] thoughts"}, "cut short"),
        (None, "content_filter", {"refusal": "no"}, "refused"),
        ("[[A]]", "content_filter", {}, "refused"),
        ("", "stop", {"refusal": "I cannot"}, "refused"),
        ("[[A]]", "stop", {"refusal": None}, None),
        (None, "stop", {}, "empty"),
        (" \n", "stop", {}, "empty"),
        ("<think>[[A]]</think>", "stop", {}, "empty"),
    ],
)
def test_only_whole_answers_count(content, finish, message, reason):
    assert reply(content, finish, **message).withheld == reason


def test_as_many_tokens_as_were_allowed_are_a_cut_where_the_server_does_not_say():
    assert reply("[[A]]", None, {"max_tokens": 3}).withheld == "cut short"
    assert reply("[[A]]", None, {"max_tokens": 4}).withheld is None
    assert reply("[[A]]", "stop", {"max_tokens": 3}).withheld is None
    assert reply("[[A]]", None, {"max_completion_tokens": 3, "max_tokens": None}).withheld == "cut short"


def test_parts_of_a_message_are_joined_and_thoughts_are_no_text():
    parts = [{"type": "thinking", "thinking": "[[B]]"}, {"type": "text", "text": "[["}, {"type": "text", "text": "A]]"}]
    assert reply(parts).text == "[[A]]" and joined(None) == ""
    for odd in (7, {"text": "x"}, [7], [{"type": "text", "text": 7}], [{"text": "no type"}]):
        with pytest.raises(NoAnswer, match="no OpenAI-compatible chat answer"):
            reply(odd)


@pytest.mark.parametrize(
    "body, status",
    [
        ({"error": {"message": "overloaded", "code": 529}}, 529),
        ({"error": {"message": "overloaded"}}, None),
        ({"error": "overloaded"}, None),
        ({"error": {"code": "rate_limit_exceeded"}, "choices": []}, None),
        ({"choices": [{"error": {"code": 502}, "message": {"content": "[[A]]"}}]}, 502),
        ({"choices": [{"finish_reason": "error", "message": {"content": "[[A]]"}}]}, None),
    ],
)
def test_an_error_in_the_body_is_one_whatever_the_status(body, status):
    with pytest.raises(StatusInBody) as error:
        parsed(json.dumps(body), {})
    assert error.value.status == status


def test_an_error_of_null_is_none():
    assert parsed(json.dumps({**chat_body("[[A]]"), "error": None}), {}).text == "[[A]]"


@pytest.mark.parametrize(
    "body", ["[]", "7", "null", '{"choices": null}', '{"choices": [null]}', "{", '{"choices": []}']
)
def test_other_json_is_no_chat_answer(body):
    with pytest.raises(NoAnswer):
        parsed(body, {})


def test_odd_types_beside_the_text_are_not_taken():
    body = {**chat_body("[[A]]"), "model": ["m"], "usage": {"prompt_tokens": "10", "completion_tokens": True}}
    found = parsed(json.dumps(body), {})
    assert (found.model, found.prompt_tokens, found.tokens) == ("", 0, 0)


def test_halves_of_a_character_become_signs_that_a_file_takes():
    """A lone surrogate was kept, and no table took it: the same command failed for ever."""
    read = parsed(json.dumps({**chat_body("[[A]] \ud800", "stop"), "model": "m\udfff"}), {})
    assert read.text == "[[A]] \ufffd" and read.model == "m\ufffd"


def test_what_the_cache_keeps_is_read_back():
    whole = reply("[[A]]")
    assert from_file(json.loads(json.dumps(to_file(whole))), {}) == whole
    with pytest.raises(AssertionError, match="cut short is not kept"):
        to_file(reply("[[A]]", "length"))


@pytest.mark.parametrize(
    "text, believed",
    [
        ("[[A]]", True),
        ([{"type": "text", "text": "[[A]]"}], True),  # kept as parts came: joined now
        ("", False),
        (CUT, False),
        (7, False),
        (None, False),
    ],
)
def test_what_older_versions_kept_is_read_through_the_same_check(text, believed):
    stored = {"text": text, "model": "m", "prompt_tokens": 1, "tokens": 9}
    found = from_file(stored, {"max_tokens": 512})
    assert (found is not None) == believed and (found is None or found.text == "[[A]]")
    assert from_file(stored, {"max_tokens": 9}) is None  # all that was allowed: cut short


def test_thinking_that_ends_is_left_out():
    assert after_thinking("<THINK>a</THINK> b") == " b"
    assert after_thinking("a</think>b") == "b"  # some templates open it themselves
    assert after_thinking("plain") == "plain"
