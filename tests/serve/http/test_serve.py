"""The endpoint, asked by openai's own client: the same seed the same text, costs, streams, errors in form."""

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import openai
import pytest
import requests
from openai.types import Completion
from openai.types.chat import ChatCompletion

import harness
from harness.core.errors import UserError
from harness.core.given_prompts import prompts_of
from harness.core.streams import Streams
from harness.core.types import Prompt
from harness.serve.aligned import Aligned
from harness.serve.http.asked import Limits
from harness.serve.http.metrics import Metrics
from harness.serve.http.models import open_models
from harness.serve.http.server import read_token
from harness.serve.http.writer import Failed, Wanted, Writer, Written, decided
from tests.serve.http.conftest import Serving

IRO, BASE, BEST = "iro-3/toy", "base/toy", "best-of-4/toy"
SAY = [{"role": "user", "content": "topic 0"}]


def text(client: openai.OpenAI, model: str, prompt: str = "topic 0", **options) -> str:
    return client.completions.create(model=model, prompt=prompt, **options).choices[0].text


def test_models_are_listed_by_method_iteration_and_rows(client):
    names = [model.id for model in client.models.list()]
    others = {"base/toy", "base-greedy/toy", "best-of-4/toy", "args/toy"}
    assert set(names) == others | {"iro-1/toy", "iro-2/toy", "iro-3/toy"}
    assert client.models.retrieve(IRO).id == IRO
    with pytest.raises(openai.NotFoundError, match="there is no model 'iro-9/toy'"):
        client.models.retrieve("iro-9/toy")


@pytest.mark.parametrize("model, method, iteration", [(IRO, "iro", 3), ("iro-1/toy", "iro", 1), (BASE, "base", 0),
                                                      (BEST, "best_of_n", 0), ("args/toy", "args", 0)])  # fmt: skip
def test_a_served_answer_is_that_of_harness_generate(client, results, model, method, iteration):
    aligned = harness.load("toy", method, iteration, out=results)
    prompts = [f"question {i} of topic {i % 2}" for i in range(6)]
    assert [text(client, model, p, seed=5) for p in prompts] == [aligned.generate([p], seed=5)[0] for p in prompts]
    assert text(client, model, prompts[0]) == aligned.generate([prompts[0]])[0]  # without a seed, the run's


@pytest.mark.parametrize("model", [IRO, BASE, BEST])
def test_the_same_seed_gives_the_same_text_alone_and_in_company(client, serving, model):
    asked = [(f"question {i} of topic {i % 2}", i % 7) for i in range(30)]
    alone = [text(client, model, prompt, seed=seed) for prompt, seed in asked]
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(lambda one: text(client, model, one[0], seed=one[1]), asked))
    assert together == alone and len(set(alone)) > 3
    booked = requests.get(f"{serving.url}/metrics", timeout=30).text
    largest = [line for line in booked.splitlines() if line.startswith('iro_batch_answers_bucket{le="1.0"}')]
    everything = [line for line in booked.splitlines() if line.startswith("iro_batch_answers_count")]
    assert float(largest[0].split()[1]) < float(everything[0].split()[1])  # some were written together


def test_n_answers_are_drawn_by_seeds_that_count_up(client):
    many = client.completions.create(model=IRO, prompt=["topic 0", "topic 1"], n=3, seed=4)
    assert [choice.index for choice in many.choices] == list(range(6))
    expected = [text(client, IRO, prompt, seed=4 + i) for prompt in ("topic 0", "topic 1") for i in range(3)]
    assert [choice.text for choice in many.choices] == expected
    assert many.usage.prompt_tokens == 2  # a prompt is read once


def test_usage_has_the_cost_of_the_search(client, results):
    said = client.chat.completions.create(model=IRO, messages=SAY, seed=1)
    (answer,) = harness.load("toy", "iro", out=results).answers(["topic 0"], seed=1)
    assert said.choices[0].message.content == answer.text and isinstance(said, ChatCompletion)
    assert (
        said.usage.iro["policy_tokens"] == answer.policy_tokens and said.usage.iro["value_calls"] == answer.value_calls
    )
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens
    assert client.chat.completions.create(model=BEST, messages=SAY).usage.iro["reward_calls"] > 0


@pytest.mark.parametrize("model", [IRO, BASE, BEST])
@pytest.mark.parametrize("stop", [None, ["b"], ["ab", "ca"]])
def test_a_stream_adds_up_to_the_whole_answer(client, model, stop):
    for seed in range(6):
        options = {"seed": seed, **({} if stop is None else {"stop": stop})}
        whole = client.chat.completions.create(model=model, messages=SAY, **options)
        parts = list(client.chat.completions.create(model=model, messages=SAY, stream=True,
                                                    stream_options={"include_usage": True}, **options))  # fmt: skip
        said = "".join(part.choices[0].delta.content for part in parts if part.choices)
        assert said == whole.choices[0].message.content and not any(one in said for one in stop or ())
        assert parts[-2].choices[0].finish_reason == whole.choices[0].finish_reason
        assert parts[-1].usage.iro["policy_tokens"] == whole.usage.iro["policy_tokens"]


def test_a_search_is_streamed_before_it_ends(client, models):
    """IRO's first chunk comes as a piece of its own where all kept prefixes begin with it."""
    pieces = [
        [part.choices[0].text for part in client.completions.create(model="iro-3/toy", prompt="topic 0", seed=seed,
                                                                    stream=True, extra_body={"iro": {"rows": 2}})]
        for seed in range(8)
    ]  # fmt: skip
    assert any(len([piece for piece in of if piece]) > 1 for of in pieces)


def test_who_speaks_is_said_once_for_each_answer_of_a_stream(client):
    """OpenAI's client adds up what the pieces say, its role was assistantassistant; a second answer that began first
    was an IndexError there."""
    pieces = 0
    for seed in range(6):
        asked = {"model": IRO, "messages": SAY, "seed": seed, "n": 2, "extra_body": {"iro": {"rows": 2}}}
        whole = [choice.message.content for choice in client.chat.completions.create(**asked).choices]
        with client.chat.completions.stream(**asked) as stream:
            parts = [event.chunk.choices[0] for event in stream if event.type == "chunk"]
            said = [choice.message for choice in stream.current_completion_snapshot.choices]
        assert [(one.role, one.content) for one in said] == [("assistant", text) for text in whole]
        assert [part.index for part in parts if part.delta.role] == [0, 1]
        pieces = max(pieces, len(parts))
    assert pieces > 4


def test_what_may_become_a_stop_string_or_half_a_letter_is_held_back():
    assert decided(["abc", "abd"], []) == "ab"
    assert decided(["abc", "abc\n"], ["\n\n"]) == "abc" and decided(["abc\n"], ["\n\n"]) == "abc"
    assert decided(["abc\ufffd"], []) == "abc" and decided([""], ["x"]) == ""
    assert decided(["say STO"], ["STOP", "TOM"]) == "say "


def test_the_tree_comes_where_it_is_asked_for(client):
    plain = client.completions.create(model=IRO, prompt="topic 0")
    traced = client.completions.create(model=IRO, prompt="topic 0", extra_body={"iro": {"trace": True}})
    assert traced.choices[0].text == plain.choices[0].text and not hasattr(plain.choices[0], "iro")
    of = traced.choices[0].iro
    assert traced.choices[0].text in [found["text"] for found in of["finalists"]]
    kept = [prefix for prefix in of["rounds"][-1] if prefix[3]]
    assert {prefix[1] for prefix in kept} == {found["text"] for found in of["finalists"]} and len(of["betas"]) == 3
    assert of["picks"]["value"] == plain.choices[0].text


def test_rows_and_iteration_are_those_that_are_asked_for(client):
    few = client.completions.create(model=IRO, prompt="topic 0", extra_body={"iro": {"rows": 1}})
    many = client.completions.create(model=IRO, prompt="topic 0", extra_body={"iro": {"rows": 16}})
    assert few.usage.iro["policy_tokens"] < many.usage.iro["policy_tokens"]
    assert text(client, IRO, extra_body={"iro": {"iteration": 1}}) == text(client, "iro-1/toy")
    eight = client.completions.create(model=BEST, prompt="topic 0", extra_body={"iro": {"rows": 8}})
    assert 1 <= eight.usage.iro["reward_calls"] <= 8
    zero = client.completions.create(model=BASE, prompt="topic 0", temperature=0, max_tokens=2)
    assert zero.usage.completion_tokens <= 2 and zero.choices[0].text == text(
        client, BASE, temperature=0, max_tokens=2, seed=9
    )


def test_no_answer_is_longer_than_the_server_allows(models):
    """`--most-tokens` bound those alone who named a length."""
    serving = Serving(models, limits=Limits(max_tokens=2))
    try:
        for model in (IRO, BASE, BEST):
            answer = serving.client().completions.create(model=model, prompt="topic 0", seed=1)
            assert answer.usage.completion_tokens <= 2
            assert answer.choices[0].text == text(serving.client(), model, seed=1, max_tokens=2)
    finally:
        serving.stop()


BROKEN = [
    (b"{", {}, 400, "the body is no JSON"),
    (b"[]", {}, 400, "the body must be a JSON object"),
    (b"\xff", {}, 400, "the body is no JSON"),
    (b'{"model": "iro-3/toy", "prompt": "topic 0", "temperature": NaN}', {}, 400, "NaN is no number of JSON"),
    (b"[" * 200_000, {}, 400, "the body is no JSON"),
    (b"a" * 2_000_000, {}, 413, "the body may have 1,048,576 bytes"),
    ({"prompt": "x"}, {}, 400, "you must provide model"),
    ({"model": IRO}, {}, 400, "you must provide prompt"),
    ({"model": "gpt-4", "prompt": "x"}, {}, 404, "unknown model 'gpt-4'"),
    ({"model": 3, "prompt": "x"}, {}, 400, "model: "),
    ({"model": IRO, "prompt": []}, {}, 400, "prompt must be a text"),
    ({"model": IRO, "prompt": [1, 2]}, {}, 400, "token ids are not taken"),
    ({"model": IRO, "prompt": ""}, {}, 400, "prompt is an empty text"),
    ({"model": IRO, "prompt": "\ud800 topic 0"}, {}, 400, "half a character"),
    ({"model": IRO, "prompt": "topic 0", "\ud800": 1}, {}, 400, "the body: input should be a valid string"),
    ({"model": IRO, "prompt": "topic 0", "iro": {"\ud800": 1}}, {}, 400, "iro: input should be a valid string"),
    ({"model": "\ud800", "prompt": "topic 0"}, {}, 400, "model"),
    ({"model": IRO, "prompt": "nonsense"}, {}, 400, "write 'topic K'"),
    ({"model": IRO, "prompt": "topic 0", "n": 0}, {}, 400, "n: "),
    ({"model": IRO, "prompt": "topic 0", "n": 99}, {}, 400, "n=99; a request may ask for 16"),
    ({"model": IRO, "prompt": "topic 0", "n": True}, {}, 400, "n: "),
    ({"model": IRO, "prompt": "topic 0", "max_tokens": 10**9}, {}, 400, "a request may ask for 4096"),
    ({"model": IRO, "prompt": "topic 0", "temperature": -1}, {}, 400, "temperature: "),
    ({"model": IRO, "prompt": "topic 0", "seed": 2**70}, {}, 400, "seed: "),
    ({"model": IRO, "prompt": "topic 0", "stop": ["x"] * 17}, {}, 400, "stop takes up to 16"),
    ({"model": IRO, "prompt": "topic 0", "stop": [""]}, {}, 400, "stop takes up to 16"),
    ({"model": IRO, "prompt": "topic 0", "logprobs": 5}, {}, 400, "logprobs is not supported"),
    ({"model": IRO, "prompt": "topic 0", "echo": True}, {}, 400, "echo is not supported"),
    ({"model": IRO, "prompt": "topic 0", "best_off": 1}, {}, 400, "unknown field 'best_off'"),
    ({"model": IRO, "prompt": "topic 0", "iro": {"row": 1}}, {}, 400, "unknown field 'iro.row'"),
    ({"model": IRO, "prompt": "topic 0", "iro": {"iteration": 9}}, {}, 400, "iro has 1, 2, 3"),
    ({"model": BASE, "prompt": "topic 0", "iro": {"rows": 4}}, {}, 400, "leave rows out"),
    ({"model": IRO, "prompt": ["topic 0"] * 65}, {}, 400, "a request may have 64"),
    ({"model": IRO, "prompt": "topic 0"}, {"Content-Type": "text/plain"}, 415, "Content-Type: application/json"),
    ({"model": IRO, "prompt": "topic 0"}, {"Host": "evil.example"}, 403, "answers to local names alone"),
]  # fmt: skip


@pytest.mark.parametrize("body, headers, status, says", BROKEN)
def test_what_is_wrong_is_said_in_openais_form(serving, body, headers, status, says):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | headers
    reply = requests.post(f"{serving.url}/v1/completions", data=data, headers=headers, timeout=30)
    error = reply.json()["error"]
    assert reply.status_code == status and says in error["message"], error
    assert set(error) == {"message", "type", "param", "code"} and "Traceback" not in reply.text


@pytest.mark.parametrize(
    "messages, says",
    [
        ([], "messages: "),
        ([{"role": "user"}], "write role and content"),
        ([{"role": "robot", "content": "x"}], "roles are"),
        ([{"role": ["user"], "content": "x"}], r"has the role \['user'\]; roles are"),
        ([{"role": {}, "content": "x"}], "roles are"),
        ([{"role": "user", "content": [{"type": ["text"], "text": "x"}]}], "read text alone"),
        ([{"role": "user", "content": ""}], "is an empty text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "read text alone"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "the user's must be the last"),
    ],
)
def test_messages_that_cannot_be_read_are_named(client, messages, says):
    with pytest.raises(openai.BadRequestError, match=says) as caught:
        client.chat.completions.create(model=IRO, messages=messages)
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    "message, says",
    [
        ({"role": "\ud800", "content": "x"}, r"message 1 has the role '\ud800'; roles are"),
        ({"role": "user", "content": "x", "\ud800": 1}, r"message 1 has \ud800 (1)"),
        ({"role": "user", "content": [{"type": "\ud800"}]}, r"of type '\ud800'"),
    ],
)
def test_half_characters_in_a_message_are_named(serving, message, says):
    """OpenAI's client sends none; the error that showed them could not be sent."""
    data = json.dumps({"model": IRO, "messages": [message]}).encode()
    headers = {"Content-Type": "application/json"}
    reply = requests.post(f"{serving.url}/v1/chat/completions", data=data, headers=headers, timeout=30)
    assert reply.status_code == 400 and says in reply.json()["error"]["message"]


def test_a_stream_of_what_cannot_be_answered_is_refused_before_it_begins(client):
    with pytest.raises(openai.BadRequestError, match="write 'topic K'"):
        client.completions.create(model=IRO, prompt="nonsense", stream=True)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="none", messages=SAY, stream=True)


def test_unknown_paths_and_methods_are_answered_in_form(serving):
    for method, path, status in (("GET", "/v2", 404), ("GET", "/v1/completions", 405), ("DELETE", "/v1/models", 405)):
        reply = requests.request(method, serving.url + path, timeout=30)
        assert reply.status_code == status and reply.json()["error"]["type"] == "invalid_request_error"


def test_a_token_opens_all_but_health_and_the_page(models):
    secret = "a-token-of-more-than-16"
    serving = Serving(models, secret)
    try:
        assert serving.client(secret).completions.create(model=BASE, prompt="topic 0").choices[0].text is not None
        for key in ("wrong", secret[:-1], "ü"):
            reply = requests.get(
                f"{serving.url}/v1/models", headers={"Authorization": f"Bearer {key}".encode()}, timeout=30
            )
            assert reply.status_code == 401 and reply.json()["error"]["code"] == "invalid_api_key"
        assert requests.get(f"{serving.url}/metrics", timeout=30).status_code == 401
        assert requests.get(f"{serving.url}/health", timeout=30).json()["status"] == "ok"
        page = requests.get(f"{serving.url}/", timeout=30)
        assert page.status_code == 200 and secret not in page.text
        with_name = {"Authorization": f"Bearer {secret}", "Host": "gpu.example:8000"}
        assert requests.get(f"{serving.url}/v1/models", headers=with_name, timeout=30).status_code == 200
    finally:
        serving.stop()


def test_others_can_reach_a_server_with_a_token_alone(monkeypatch):
    monkeypatch.delenv("HARNESS_SERVE_TOKEN", raising=False)
    assert read_token("127.0.0.1") is read_token("::1") is read_token("localhost") is None
    for host in ("0.0.0.0", "::", "10.0.0.1", "gpu.example"):
        with pytest.raises(UserError, match="put a token into the environment variable HARNESS_SERVE_TOKEN"):
            read_token(host)
    monkeypatch.setenv("HARNESS_SERVE_TOKEN", "short")
    with pytest.raises(UserError, match="16 characters or more") as caught:
        read_token("127.0.0.1")
    assert "short" not in str(caught.value).replace("shorter", "")
    monkeypatch.setenv("HARNESS_SERVE_TOKEN", "x" * 16)
    assert read_token("0.0.0.0") == "x" * 16


@pytest.mark.parametrize("host", ["127.0.0.2", "127.9.9.9:80", "LocalHost:8000", "[::1]:8000", "[::1]"])
def test_where_it_listens_without_a_token_it_answers(serving, monkeypatch, host):
    """`--host 127.0.0.2` was accepted, and every request to it refused."""
    monkeypatch.delenv("HARNESS_SERVE_TOKEN", raising=False)
    name = host.removeprefix("[").removesuffix(":8000").removesuffix(":80").removesuffix("]")
    assert read_token(name) is None
    assert requests.get(f"{serving.url}/health", headers={"Host": host}, timeout=30).status_code == 200


@pytest.mark.parametrize(
    "host", ["128.0.0.1", "127.0.0.1.evil.example", "[::2]", "localhost.evil.example", "", "0.0.0.0"]
)
def test_what_others_may_be_called_is_not_answered(serving, host):
    assert requests.get(f"{serving.url}/health", headers={"Host": host}, timeout=30).status_code == 403


def test_a_full_line_is_said_with_when_to_come_again(models):
    serving = Serving(models, limits=Limits(waiting=2))
    try:
        with pytest.raises(openai.RateLimitError, match="the line is full") as caught:
            serving.client().completions.create(model=BASE, prompt="topic 0", n=3)
        assert caught.value.response.headers["retry-after"] == "1"
        assert serving.client().completions.create(model=BASE, prompt="topic 0", n=2).choices
    finally:
        serving.stop()


def test_what_was_asked_before_the_end_is_answered(models, monkeypatch):
    serving = Serving(models)
    begun, go_on = threading.Event(), threading.Event()
    aligned = models.named(IRO).aligned
    write = type(aligned).written

    def slowly(self, *arguments, **options):
        begun.set()
        assert go_on.wait(30)
        return write(self, *arguments, **options)

    monkeypatch.setattr(type(aligned), "written", slowly)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(text, serving.client(), IRO)
        assert begun.wait(30)
        serving.server.should_exit = True
        go_on.set()
        assert isinstance(answer.result(30), str)
    serving.stop()


def test_a_fault_of_the_server_is_500_and_the_next_request_is_answered(client, models, monkeypatch):
    aligned = models.named(IRO).aligned

    def broken(self, *arguments, **options):
        raise ZeroDivisionError("a secret of somebody")

    with monkeypatch.context() as patch:
        patch.setattr(type(aligned), "written", broken)
        with pytest.raises(openai.InternalServerError, match="the server failed") as caught:
            client.completions.create(model=IRO, prompt="topic 0")
        assert "somebody" not in str(caught.value)
    assert isinstance(client.completions.create(model=IRO, prompt="topic 0"), Completion)


def test_a_prompt_that_breaks_the_server_breaks_no_other_of_its_batch(models, monkeypatch):
    served = models.named(IRO)
    whole = type(served.aligned).written

    def broken(self, asked, *more):
        if any(prompt.text == "topic 1" for prompt in asked):
            raise MemoryError()
        return whole(self, asked, *more)

    monkeypatch.setattr(type(served.aligned), "written", broken)
    told = [[], [], []]
    writer = Writer(8, Metrics())
    prompts = [Prompt(f"p{i}", text=f"topic {i % 2}") for i in range(3)]
    writer.ask(
        [Wanted(served, prompt, served.aligned.sampler, None, 7) for prompt in prompts], [one.append for one in told]
    )
    writer.stop()
    assert [type(one[-1]) for one in told] == [Written, Failed, Written]


def test_nothing_of_a_request_is_remembered(serving, client):
    """What methods withhold, scores of texts and rendered prompts would grow for as long as a server runs."""
    for i in range(3):
        text(client, BEST, f"request {i} of topic 0")
    (aligned,) = (one for key, one in serving.app.state.writer._variants.items() if key[0] == BEST and key[2] is None)
    remembered = [value for value in vars(aligned._reward._withheld).values() if isinstance(value, dict)]
    assert [len(of) for of in remembered] == [1] and {
        prompt.split("-")[0] for prompt, _ in aligned._reward._scores
    } == {prompts_of(["request 2 of topic 0"])[0].id}


def test_a_reward_that_reads_the_row_is_not_served(models):
    aligned = models.named(BEST).aligned
    facts = {**aligned.about.facts, "reward_reads": ["answer"]}
    oracle = type(aligned)(aligned.folder, replace(aligned.about, facts=facts), "best_of_n", 0, aligned._config,
                           aligned.policy, None)  # fmt: skip
    with pytest.raises(UserError, match="reads answer of the row: such answers are an oracle's"):
        oracle.require_answerable()
    with pytest.raises(UserError, match="an oracle's"):
        oracle.written([Prompt("a", text="topic 0")], Streams(0), "reward")


def test_oracles_are_left_out_with_the_reason(models, monkeypatch):
    about = models.main.aligned.about
    told = replace(about, facts={**about.facts, "reward_reads": ["answer"]})
    for module in ("harness.serve.http.models", "harness.serve.opening"):
        monkeypatch.setattr(f"{module}.read_fitted", lambda _: told)
    opened = open_models(models.folder, None, "cpu")
    assert set(opened.refused) == {"best-of-4/toy", "args/toy"} and "reads answer" in opened.refused["args/toy"]
    assert "iro-3/toy" in opened.served and "base/toy" in opened.served
    with pytest.raises(UserError, match="'args/toy' is not served: it asks the grader"):
        opened.named("args/toy")


def test_who_hangs_up_is_not_written_for(models, monkeypatch):
    serving = Serving(models)
    begun, go_on, written = threading.Event(), threading.Event(), []
    write = Aligned.written

    def slowly(self, asked, *arguments, **options):
        written.append([prompt.text for prompt in asked])
        begun.set()
        assert go_on.wait(60)
        return write(self, asked, *arguments, **options)

    monkeypatch.setattr(Aligned, "written", slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(text, serving.client(), IRO, "first topic 0")
        assert begun.wait(60)
        body = {"model": IRO, "prompt": "gone topic 0"}
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(f"{serving.url}/v1/completions", json=body, timeout=0.5)
        waiting = serving.app.state.writer._line
        for _ in range(100):
            if waiting and all(ticket.cancelled for ticket in waiting):
                break
            time.sleep(0.1)
        go_on.set()
        assert isinstance(first.result(60), str)
    assert text(serving.client(), IRO, "last topic 0") is not None
    serving.stop()
    assert written == [["first topic 0"], ["last topic 0"]]


def test_few_ways_of_writing_are_kept_loaded(serving, client):
    for tokens in (1, 2, 3, 4):
        for model in (IRO, BASE, BEST, "iro-1/toy"):
            text(client, model, max_tokens=tokens)
    kept = list(serving.app.state.writer._variants)
    assert len(kept) <= 6 and max(Counter(key[0] for key in kept).values()) <= 2


def test_the_page_loads_nothing_and_shows_no_markup(serving, models):
    page = requests.get(f"{serving.url}/", timeout=30)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "script-src 'sha256-" in policy
    assert "http://" not in page.text.replace("http://www.w3.org", "") and "innerHTML" not in page.text
    for name in models.names:
        assert f'<option value="{name}">' in page.text
