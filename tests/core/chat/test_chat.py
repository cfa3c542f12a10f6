"""The chat client against a server with planted answers: what is asked again, what is kept, what is never written."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.core.api.client import Patience, _seconds
from harness.core.chat.chat import Chat, Endpoint, is_as_written
from harness.core.errors import UserError
from tests.planted_server import NO_MAX_TOKENS, NO_TEMPERATURE, Planted, chat_body, served

KEY = "sk-planted-0123456789"
QUICK = Patience(timeout=5, tries=4, wait=0.01, parallel=2)


def chat_with(server, folder: Path, patience: Patience = QUICK, variable: str | None = None, **settings) -> Chat:
    return Chat(Endpoint(server.url, "planted", {"max_tokens": 9, **settings}), folder, patience, variable)


def echo(question: str, before: int) -> Planted:
    return Planted(f"about {question}")


def test_replies_come_in_order_and_equal_questions_are_asked_once(tmp_path):
    with served(echo) as server:
        replies = chat_with(server, tmp_path).ask(["one", "two", "one"])
        assert [r.text for r in replies] == ["about one", "about two", "about one"]
        assert sorted(server.questions) == ["one", "two"]
        assert (replies[0].model, replies[0].prompt_tokens, replies[0].tokens) == ("planted-1", 10, 3)
        assert server.bodies[0]["max_tokens"] == 9 and server.keys == {None}


def test_what_is_known_is_not_asked_again_and_anything_that_shapes_an_answer_makes_it_another(tmp_path):
    with served(echo) as server:
        chat_with(server, tmp_path).ask(["one"])
        chat_with(server, tmp_path, Patience(timeout=9, parallel=1)).ask(["one"])
        assert len(server.questions) == 1
        chat_with(server, tmp_path, temperature=0.5).ask(["one"])
        chat_with(server, tmp_path).ask(["One"])
        Chat(Endpoint(server.url, "other", {"max_tokens": 9}), tmp_path, QUICK).ask(["one"])
        assert len(server.questions) == 4
        with served(echo) as elsewhere:
            chat_with(elsewhere, tmp_path).ask(["one"])
            assert len(elsewhere.questions) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        Planted("slow down", 429, {"Retry-After": "0.05"}),
        Planted("broken", 500),
        Planted("overloaded", 529),
        Planted(status=0),
        Planted("too late", wait=0.5),
        Planted(body={"error": {"message": "overloaded", "code": 529}}),
        Planted(body={"error": "try later"}),
    ],
    ids=["429", "500", "529", "hung up", "timed out", "529 in a 200", "an error in a 200"],
)
def test_what_may_pass_is_asked_again(tmp_path, trouble):
    patience = Patience(timeout=0.2, tries=4, wait=0.01)
    with served(lambda _, before: trouble if before < 2 else Planted("at last")) as server:
        [reply] = chat_with(server, tmp_path, patience).ask(["one"])
    assert reply.text == "at last" and len(server.questions) == 3


@pytest.mark.parametrize(
    "body, reason",
    [
        (chat_body("[[A]]", "length"), "cut short"),
        (chat_body("<think>[[A]]", "stop"), "unfinished thinking"),
        (chat_body(None, "content_filter"), "refused"),
        (chat_body("", "stop"), "empty"),
    ],
)
def test_what_is_no_whole_answer_is_given_out_with_its_reason_and_asked_for_again(tmp_path, body, reason):
    """Case 05: it was kept for good, and the same command never asked again."""
    state = {"body": body}
    with served(lambda question, _: Planted(body=state["body"] if question == "one" else None)) as server:
        chat = chat_with(server, tmp_path)
        assert [r.withheld for r in chat.ask(["one", "two"])] == [reason, "empty"]
        assert not list(tmp_path.rglob("*.json"))
        state["body"] = chat_body([{"type": "text", "text": "[[B]]"}])
        assert chat.ask(["one"])[0].text == "[[B]]"
        assert server.questions.count("one") == 2
        chat.ask(["one"])
        assert server.questions.count("one") == 2


def test_what_an_older_version_kept_wrongly_is_asked_for_again(tmp_path):
    with served(echo) as server:
        chat = chat_with(server, tmp_path)
        chat.ask(["one"])
        [path] = tmp_path.rglob("*.json")
        for text in ("", "<think>[[A]] and", [7]):
            kept = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps({**kept, "reply": {**kept["reply"], "text": text}}), encoding="utf-8")
            assert chat.ask(["one"])[0].text == "about one"
        assert len(server.questions) == 4


def test_an_error_in_the_body_that_will_not_pass_stops_at_once(tmp_path):
    refused = Planted(body={"error": {"message": "no credits", "code": 402}})
    with served(lambda *_: refused) as server, pytest.raises(UserError, match=r"status 402 .*no credits"):
        chat_with(server, tmp_path).ask(["one"])
    assert len(server.questions) == 1


def test_retry_after_is_honoured(tmp_path):
    busy = Planted("slow down", 429, {"Retry-After": "0.6"})
    with served(lambda _, before: Planted("yes") if before else busy) as server:
        start = time.monotonic()
        chat_with(server, tmp_path).ask(["one"])
        assert time.monotonic() - start >= 0.6


def test_waiting_doubles(tmp_path, capsys):
    with served(lambda _, before: Planted("yes") if before == 3 else Planted("no", 503)) as server:
        chat_with(server, tmp_path).ask(["one"])
    assert [line.split()[-2] for line in capsys.readouterr().err.splitlines() if "again in" in line] == [
        "0.01",
        "0.02",
        "0.04",
    ]


def test_a_server_that_wants_an_hour_is_left_for_later(tmp_path):
    busy = Planted("slow down", 429, {"Retry-After": "3600"})
    with (
        served(lambda *_: busy) as server,
        pytest.raises(UserError, match=r"left alone for 3600 s\. 0 of 1 answers are kept"),
    ):
        chat_with(server, tmp_path).ask(["one"])
    assert len(server.questions) == 1


@pytest.mark.parametrize(
    "header, seconds", [("7", 7), ("Wed, 21 Oct 2026 07:28:30 GMT", 30), ("soon", None), (None, None)]
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert _seconds(header, lambda: datetime(2026, 10, 21, 7, 28, tzinfo=UTC)) == seconds


def test_a_server_that_dies_half_way_is_said_and_resuming_asks_only_what_is_missing(tmp_path):
    questions = [f"question {i}" for i in range(10)]
    state = {"dead": True}

    def plan(question: str, before: int) -> Planted:
        return Planted("gone", 502) if state["dead"] and before >= 4 else echo(question, before)

    with served(plan) as server:
        patience = Patience(tries=2, wait=0.01, parallel=1)
        with pytest.raises(UserError) as error:
            chat_with(server, tmp_path, patience).ask(questions)
        said = str(error.value)
        assert "4 of 10 answers are kept" in said and "run the same command again, it asks the other 6" in said
        assert server.url in said and "status 502 (gone) (2 tries)" in said
        state["dead"] = False
        first = set(server.questions[:4])
        server.questions.clear()
        replies = chat_with(server, tmp_path, patience).ask(questions)
        assert [r.text for r in replies] == [f"about {q}" for q in questions]
        assert sorted(server.questions) == sorted(set(questions) - first)


def test_nothing_listening_is_a_user_error(tmp_path):
    with served(echo) as server:
        pass
    with pytest.raises(UserError, match=r"the connection failed \(ConnectionError\)"):
        chat_with(server, tmp_path, Patience(tries=2, wait=0.01)).ask(["one"])


@pytest.mark.parametrize(
    "answer, says",
    [
        (Planted("no such model", 404), "status 404 (no such model)"),
        (Planted("who are you", 401), "no key was sent; name its environment variable with --key-variable"),
        (Planted("moved", 307, {"Location": "http://127.0.0.1:9/"}), "status 307"),
    ],
)
def test_what_will_not_pass_stops_at_once(tmp_path, answer, says):
    with served(lambda *_: answer) as server, pytest.raises(UserError) as error:
        chat_with(server, tmp_path, Patience(parallel=1)).ask(["one", "two"])
    assert says in str(error.value) and len(server.questions) == 1


def test_the_key_is_sent_and_never_written_or_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PLANTED_KEY", KEY)

    def plan(question: str, before: int) -> Planted:
        return Planted(f"wrong key {KEY}", 401) if question == "two" else Planted(f"your key is {KEY}")

    with served(plan) as server:
        chat = chat_with(server, tmp_path, variable="PLANTED_KEY")
        assert chat.ask(["one"])[0].text == "your key is ***"
        with pytest.raises(UserError, match="the environment variable PLANTED_KEY was refused") as error:
            chat.ask(["one", "two"])
        assert server.keys == {f"Bearer {KEY}"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1 and all(KEY not in path.read_text() for path in files)
    assert KEY not in str(error.value) + repr(vars(chat)) + "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("about", "abouu"),
        lambda text: "",
        lambda text: "[" * 9999,
        lambda text: text.replace('"reply"', '"repli"'),
    ],
)
def test_a_kept_answer_that_is_damaged_is_asked_for_again(tmp_path, capsys, spoil):
    """A flipped letter of a kept reply was believed."""
    with served(echo) as server:
        assert chat_with(server, tmp_path).ask(["one"])[0].text == "about one"
        [kept] = tmp_path.rglob("*.json")
        kept.write_text(spoil(kept.read_text()))
        assert chat_with(server, tmp_path).ask(["one"])[0].text == "about one"
        assert "asked again" in capsys.readouterr().err and is_as_written(kept)
        assert chat_with(server, tmp_path).ask(["one"])[0].text == "about one" and capsys.readouterr().err == ""


def test_answers_of_an_earlier_version_are_believed_and_prove_themselves_from_then_on(tmp_path):
    with served(echo) as server:
        chat_with(server, tmp_path).ask(["one"])
        [kept] = tmp_path.rglob("*.json")
        stored = json.loads(kept.read_text())
        stored.pop("sha256")
        kept.write_text(json.dumps(stored))
    assert chat_with(server, tmp_path).ask(["one"])[0].text == "about one"  # nobody is there to be asked
    assert "sha256" in json.loads(kept.read_text())


def test_no_key_is_sent_to_a_server_it_is_not_for(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path(tmp_path, ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    with served(echo) as server:
        chat_with(server, tmp_path / "cache").ask(["one"])
    assert server.keys == {None}


def test_a_variable_without_a_key_stops_only_what_must_be_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with served(echo) as server:
        chat_with(server, tmp_path, variable="PLANTED_KEY").ask(["one"])
        monkeypatch.delenv("PLANTED_KEY")
        chat_with(server, tmp_path, variable="PLANTED_KEY").ask(["one"])
        with pytest.raises(UserError, match="variable PLANTED_KEY holds no key; export it"):
            chat_with(server, tmp_path, variable="PLANTED_KEY").ask(["two"])
        monkeypatch.setenv("PLANTED_KEY", "two words")
        with pytest.raises(UserError, match="blanks or letters no key has"):
            chat_with(server, tmp_path, variable="PLANTED_KEY").ask(["two"])


@pytest.mark.parametrize("url", ["http://me:secret@host/v1", "https://host/v1?key=secret"])
def test_a_url_with_a_secret_is_refused_without_showing_it(url):
    with pytest.raises(UserError, match="--endpoint holds") as error:
        Endpoint(url, "m")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["localhost:8080/v1", "127.0.0.1", "ftp://host/v1"])
def test_what_is_no_url_is_named(url):
    with pytest.raises(UserError, match="is no URL"):
        Endpoint(url, "m")


def test_a_field_of_none_is_left_out_of_the_request():
    body = Endpoint("http://host/v1", "m", {"max_tokens": None, "max_completion_tokens": 5}).body("hello")
    assert json.dumps(body) == json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_completion_tokens": 5}
    )


REASONING = {"temperature": NO_TEMPERATURE, "max_tokens": NO_MAX_TOKENS}


def by_default(server, folder: Path, **chosen) -> Chat:
    return Chat(Endpoint.asked_for(server.url, "planted", chosen), folder, QUICK)


@pytest.mark.parametrize("way", [Chat.ask, Chat.ask_each])
def test_fields_that_nobody_chose_give_way_to_a_model_that_refuses_them(tmp_path, capsys, way):
    questions = [f"question {i}" for i in range(40)]
    with served(echo, REASONING) as server:
        chat = by_default(server, tmp_path)
        assert [reply.text for reply in way(chat, questions)] == [f"about {question}" for question in questions]
        answered = [body for body in server.bodies if not body.keys() & REASONING.keys()]
        assert len(answered) == 40 and len(server.bodies) <= 40 + 2 * QUICK.parallel  # not a refusal a question
        said = capsys.readouterr().err
        assert said.count("which is left to it") == 2
        assert "planted takes no temperature=0, which is left to it" in said and "max_tokens=512" in said
        again = by_default(server, tmp_path)
        assert (
            way(again, questions) == way(chat, questions) and len(server.bodies) == len(answered) + 2 * QUICK.parallel
        )
    assert again.left_out == chat.left_out == {"temperature", "max_tokens"}
    assert all(map(is_as_written, tmp_path.rglob("*.json")))


def test_a_long_answer_of_a_model_that_takes_no_limit_is_whole_in_the_cache_too(tmp_path):
    long = {**chat_body("[[A]]", None), "usage": {"prompt_tokens": 10, "completion_tokens": 900}}
    with served(lambda question, before: Planted(body=long), {"max_tokens": NO_MAX_TOKENS}) as server:
        for _ in range(2):
            assert by_default(server, tmp_path).ask(["hello"])[0].withheld is None
        assert len(server.bodies) == 2  # the refusal and the answer


@pytest.mark.parametrize("way", [Chat.ask, Chat.ask_each])
def test_a_field_that_was_chosen_is_never_left_out(tmp_path, way):
    with served(echo, REASONING) as server:
        try:
            [said] = way(by_default(server, tmp_path, temperature=0), ["hello"])
        except UserError as error:
            said = error
        assert "'temperature' does not support 0" in str(said)


def test_no_room_in_the_context_is_no_refusal_of_the_field(tmp_path):
    full = "'max_tokens' is too large: 512. This model's maximum context length is 400 tokens"
    with served(echo, {"max_tokens": full}) as server, pytest.raises(UserError, match="too large"):
        by_default(server, tmp_path).ask(["hello"])
    assert len(server.bodies) == 1
