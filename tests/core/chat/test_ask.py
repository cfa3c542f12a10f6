"""Graders ask chat models by the rules and from the cache of judges."""

from threading import Barrier

import pytest

from harness.core.chat.ask import Asking
from harness.core.chat.chat import Patience
from harness.core.chat.reply import NoAnswer
from harness.core.errors import UserError
from tests.planted_server import NO_MAX_TOKENS, NO_TEMPERATURE, Planted, served

SAID = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_all_messages_are_sent_and_the_same_question_is_asked_once(tmp_path):
    with served(lambda question, before: Planted(f"{question}!")) as server:
        ask = Asking(server.url, tmp_path)
        replies = [*ask([SAID, SAID], "some-model", {}), *ask([SAID], "some-model", {})]
        assert [reply.text for reply in replies] == ["be brief!"] * 3 and len(server.bodies) == 1
        assert server.bodies[0]["messages"] == SAID and server.bodies[0]["model"] == "some-model"
        assert server.bodies[0]["temperature"] == 0 and server.bodies[0]["max_tokens"] == 512
        ask([SAID[1:]], "some-model", {})
        ask([SAID], "some-model", {"temperature": 1, "max_completions_tokens": 9})
        assert len(server.bodies) == 3
        assert server.bodies[2]["max_completion_tokens"] == 9 and "max_tokens" not in server.bodies[2]


def test_several_questions_are_open_at_once_and_replies_keep_their_order(tmp_path):
    open_together = Barrier(Patience().parallel, timeout=20)  # breaks where they are asked one after another

    def plan(question: str, before: int) -> Planted:
        open_together.wait()
        return Planted(f"{question}!", wait=0.2 if question == "0" else 0.0)  # the first is answered last

    with served(plan) as server:
        replies = Asking(server.url, tmp_path)([said(str(i)) for i in range(8)], "m", {})
    assert [reply.text for reply in replies] == [f"{i}!" for i in range(8)]


def test_a_question_that_is_refused_stops_no_other_and_none_is_asked_twice(tmp_path):
    plan = lambda question, before: Planted("no", 400) if question == "bad" else Planted("fine")  # noqa: E731
    with served(plan) as server:
        replies = Asking(server.url, tmp_path)([said("bad"), *map(said, "abcdef")], "m", {})
        assert isinstance(replies[0], NoAnswer) and "does not answer: status 400" in str(replies[0])
        assert [reply.text for reply in replies[1:]] == ["fine"] * 6 and len(server.questions) == 7


def test_a_key_that_is_missing_and_a_url_that_is_none_are_said(tmp_path):
    with pytest.raises(UserError, match="NO_SUCH_KEY holds no key"):
        Asking("http://127.0.0.1:9/v1", tmp_path, "NO_SUCH_KEY")([SAID], "some-model", {})
    with pytest.raises(UserError, match="is no URL"):
        Asking("localhost", tmp_path)


def test_a_reasoning_model_grades_and_refuses_its_fields_once(tmp_path):
    with served(
        lambda question, before: Planted("fine"), {"temperature": NO_TEMPERATURE, "max_tokens": NO_MAX_TOKENS}
    ) as server:
        ask = Asking(server.url, tmp_path)
        assert [reply.text for i in range(3) for reply in ask([said(str(i))], "o4-mini", {})] == ["fine"] * 3
        assert len(server.bodies) == 3 + 2
