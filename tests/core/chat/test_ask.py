"""Graders ask chat models by the rules and from the cache of judges."""

import pytest

from harness.core.chat.ask import Asking
from harness.core.errors import UserError
from tests.planted_server import Planted, served

SAID = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]


def test_all_messages_are_sent_and_the_same_question_is_asked_once(tmp_path):
    with served(lambda question, before: Planted(f"{question}!")) as server:
        ask = Asking(server.url, tmp_path)
        replies = [ask(SAID, "some-model", {}) for _ in range(2)]
        assert [reply.text for reply in replies] == ["be brief!"] * 2 and len(server.bodies) == 1
        assert server.bodies[0]["messages"] == SAID and server.bodies[0]["model"] == "some-model"
        assert server.bodies[0]["temperature"] == 0 and server.bodies[0]["max_tokens"] == 512
        ask(SAID[1:], "some-model", {})
        ask(SAID, "some-model", {"temperature": 1, "max_completions_tokens": 9})
        assert len(server.bodies) == 3
        assert server.bodies[2]["max_completion_tokens"] == 9 and "max_tokens" not in server.bodies[2]


def test_a_server_that_refuses_and_a_url_that_is_none_are_said(tmp_path):
    refused = pytest.raises(UserError, match="does not answer: status 400")
    with served(lambda question, before: Planted("no", 400)) as server, refused:
        Asking(server.url, tmp_path)(SAID, "some-model", {})
    with pytest.raises(UserError, match="is no URL"):
        Asking("localhost", tmp_path)
