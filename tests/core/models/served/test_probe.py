"""The probe finds what a server does, whatever it says: each dialect is planted, and must be found."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.api.client import Patience
from harness.core.api.spending import Prices
from harness.core.api.use import Use
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.models.sampling import Sampler
from harness.core.models.served import probe
from harness.core.models.served.asker import Speech
from harness.core.models.served.policy import open_served
from tests.served_model import Manner, served_model

USE = Use(patience=Patience(timeout=10, tries=2, wait=0.01, parallel=4))
RUNS = Path(__file__).parents[4] / "results" / "runs"
LONELY = Manner(texts=False, goes_on=())


def opened(server, folder, use=USE, prices=None, **speech):
    return open_served(server.model, folder, use, Speech(**speech), prices or Prices())


@pytest.mark.parametrize(
    "manner, goes_on",
    [
        (Manner(template=True), "template"),
        (Manner(texts=False, goes_on=("continue_final_message",)), "continue_final_message"),
        (Manner(texts=False, goes_on=("trailing",)), "trailing"),
        (Manner(texts=False, goes_on=("trailing",), echoes=True), "trailing"),
        (Manner(texts=False, goes_on=("prefix",)), "prefix"),
        (Manner(texts=False, goes_on=("prefix",), limit="max_completion_tokens"), "prefix"),
        (LONELY, "none"),
        (replace(LONELY, texts=True), "none"),
    ],
)
def test_how_an_answer_goes_on_is_found(tmp_path, manner, goes_on):
    with served_model(manner) as server:
        dialect = opened(server, tmp_path).dialect
    assert dialect.goes_on == goes_on and dialect.limit == manner.limit
    assert (dialect.texts, dialect.messages, dialect.echoes) == (manner.texts, manner.chat, manner.echoes)


@pytest.mark.parametrize(
    "manner, found",
    [
        (Manner(), {"choices": 16, "seeds": True, "varies": True, "top_k": True, "cached_tokens": False}),
        (Manner(most_choices=4), {"choices": 4}),
        (Manner(ignores_n=True), {"choices": 1}),
        (Manner(ignores_seed=True), {"seeds": False, "varies": True}),
        (Manner(ignores_temperature=True), {"seeds": False, "varies": False}),
        (Manner(top_k=False), {"top_k": False, "temperature": "any", "top_p": True}),
        (Manner(refuses=("temperature",)), {"temperature": "its own", "top_p": True, "top_k": True}),
        (Manner(refuses=("temperature", "top_p"), top_k=False), {"temperature": "its own", "top_p": False}),
        (
            Manner(refuses=("temperature", "top_p"), top_k=False, limit="max_completion_tokens", texts=False),
            {"temperature": "its own", "top_p": False, "top_k": False, "limit": "max_completion_tokens"},
        ),
        (Manner(), {"top_k": True, "top_k_off": 0}),
        (Manner(no_top_k=-1), {"top_k": True, "top_k_off": -1}),
        (Manner(ignores_top_k=True), {"top_k": False, "seeds": True}),
        (Manner(refuses_zero=True), {"temperature": "positive", "top_p": True, "top_k": True, "seeds": True}),
        (Manner(cached=True), {"cached_tokens": True}),
        (Manner(chat=False), {"messages": False, "texts": True}),
    ],
)
def test_what_else_it_does_is_found(tmp_path, manner, found):
    with served_model(manner) as server:
        data = opened(server, tmp_path).dialect.data()
    assert {name: data[name] for name in found} == found


@pytest.mark.parametrize("told", ["raw", "tempered", "sampled", "none"])
@pytest.mark.parametrize("manner", [Manner(chat=False), Manner(texts=False), Manner(), Manner(ends=False)])
def test_what_log_probabilities_are_of_is_measured(tmp_path, manner, told):
    with served_model(replace(manner, logprobs=told)) as server:
        dialect = opened(server, tmp_path).dialect
    assert dialect.text_logprobs == (told if manner.texts else "none")
    assert dialect.chat_logprobs == (told if manner.chat else "none")


@pytest.mark.parametrize("told", ["raw", "tempered", "sampled"])
@pytest.mark.parametrize("luck", range(6))
def test_an_unlikely_token_that_was_drawn_is_none_of_the_likeliest(tmp_path, told, luck):
    with served_model(Manner(logprobs=told, drawn_too=True, luck=luck)) as server:
        dialect = opened(server, tmp_path).dialect
    assert (dialect.text_logprobs, dialect.chat_logprobs) == (told, told)


@pytest.mark.parametrize("told", ["raw", "tempered", "sampled", "unclear", "none"])
def test_they_are_the_bases_own_only_where_nothing_of_the_rule_is_in_them(tmp_path, told):
    with served_model() as server:
        dialect = replace(opened(server, tmp_path).dialect, text_logprobs=told)
    taken = {
        rule: dialect.tells_base(Sampler(temperature=rule[0], top_k=rule[1], top_p=rule[2]), is_chat=False)
        for rule in ((1, 0, 1), (1, 50, 1), (1, 0, 0.9), (0.5, 0, 1), (0, 0, 1))
    }
    expected = {"raw": [True] * 5, "tempered": [True] * 3 + [False] * 2, "sampled": [True] + [False] * 4}
    assert list(taken.values()) == expected.get(told, [False] * 5)
    assert replace(dialect, top_k=False).tells_base(Sampler(top_k=50), False) == (told in expected)  # it is not sent


def test_log_probabilities_that_tell_no_distances_are_of_nothing_that_is_known(tmp_path, monkeypatch):
    with served_model(Manner(logprobs="raw")) as server:
        monkeypatch.setattr(probe, "_LIKELIEST", 1)  # as servers do that tell the written token alone
        assert opened(server, tmp_path).dialect.text_logprobs == "unclear"


def test_it_is_probed_once_and_again_where_it_says_something_else_of_itself(tmp_path):
    with served_model() as server:
        first = opened(server, tmp_path)
        probing = server.answers()
        assert opened(server, tmp_path).fingerprint == first.fingerprint and server.answers() == probing > 5
        server.manner = Manner(says={"owned_by": "tests", "max_model_len": 4096})
        other = opened(server, tmp_path)
        assert other.fingerprint != first.fingerprint and server.answers() == 2 * probing
        assert other.contents == {"name": "letters", "owned_by": "tests", "max_model_len": "4096"}


@pytest.mark.parametrize("trouble", [0, 429, 503])
@pytest.mark.parametrize("first", range(3, 26, 6))  # none is of a path that a gateway may not have
def test_trouble_that_passes_is_not_taken_for_what_a_server_cannot_do(tmp_path, first, trouble):
    """A few replies of status 429 made `goes_on` none and `seeds` false, for all commands to come."""
    manner = Manner(goes_on=("continue_final_message",), logprobs="raw", says={"owned_by": "vllm"})
    with served_model(manner) as server:
        truth = opened(server, tmp_path / "truth")
        before = len(server.requests)
        assert before >= 25
        server.manner = replace(
            manner, fails=lambda count, body: trouble if count - before in (first, first + 1) else None
        )
        with pytest.raises(UserError, match=rf"does not answer: .*{trouble or 'connection'}"):
            opened(server, tmp_path / "troubled")
        server.manner = manner
        found = opened(server, tmp_path / "troubled")
    assert found.dialect == truth.dialect and found.fingerprint == truth.fingerprint


def test_a_gateway_that_knows_no_other_paths_is_probed(tmp_path):
    """Some answer 503 where llama.cpp has /apply-template."""
    manner = Manner(fails=lambda count, body: 503 if set(body) == {"messages"} else None)
    with served_model(manner) as server, served_model() as plain:
        assert opened(server, tmp_path).dialect == opened(plain, tmp_path).dialect


def test_a_server_that_breaks_at_what_it_cannot_do_cannot_do_it(tmp_path):
    manner = Manner(most_choices=16, fails=lambda count, body: 500 if body.get("n", 1) > 4 else None)
    with served_model(manner) as server:
        assert opened(server, tmp_path).dialect.choices == 4


def test_what_names_a_model_is_no_price_and_no_state_of_its_server(tmp_path):
    """A price that changed had paid answers asked for again."""
    says = {
        "owned_by": "x", "root": "org/letters", "context_length": 4096, "pricing": {"prompt": "0.0001"},
        "description": "a", "status": {"value": "unloaded"}, "created": 1,
        "architecture": {"tokenizer": "Llama3", "modality": "text"}, "top_provider": {"context_length": 4096},
        "capabilities": {"vision": False}, "deprecation": "2027-01-01",
    }  # fmt: skip
    changed = {
        "pricing": {"prompt": "0.0002", "request": "0"}, "description": "b", "created": 2,
        "status": {"value": "loaded"}, "name": "Letters",
        "top_provider": {"context_length": 2048}, "deprecation": None, "active": True,
    }  # fmt: skip
    with served_model(Manner(says=says)) as server:
        one = opened(server, tmp_path)
        assert one.contents == {
            "name": "letters", "owned_by": "x", "root": "org/letters", "context_length": "4096",
            "architecture/tokenizer": "Llama3",
        }  # fmt: skip
        server.manner = Manner(says=says | changed)
        assert opened(server, tmp_path).fingerprint == one.fingerprint
        for name, value in {"root": "org/other", "quantization": "int4", "config": {"chat_template": "x"}}.items():
            server.manner = Manner(says=says | {name: value})
            assert opened(server, tmp_path).fingerprint != one.fingerprint


def test_a_model_of_llama_cpp_has_the_name_that_stored_runs_have():
    stored = json.loads((RUNS / "imdb-2b0a6d1dc6" / "run.json").read_text())["identity"]["model"]
    meta = {name.removeprefix("meta/"): int(v) if v.isdigit() else v for name, v in stored.items() if "/" in name}
    entry = {"id": "smollm2", "aliases": ["smollm2"], "tags": [], "object": "model", "created": 1, "meta": meta}
    said = {"name": "smollm2", **probe._of_the_model({**entry, "owned_by": "llamacpp"}), "version": "b0-unknown"}
    assert said == {name: value for name, value in stored.items() if name != "fingerprint"}
    assert digest(said)[:16] == stored["fingerprint"]


def test_port_and_hour_are_no_part_of_what_names_it(tmp_path):
    with served_model() as one, served_model() as other:
        one.requests.append(("", {}))  # `created` is another number in every list
        assert opened(one, tmp_path).fingerprint == opened(other, tmp_path).fingerprint


@pytest.mark.parametrize(
    "manner, says",
    [
        (Manner(key="sk-planted-0123456789abcdef"), r"status 401, and no key was sent; name its environment variable"),
        (Manner(texts=False, chat=False), r"completes no text with 'letters' and answers no message: .*404"),
        (Manner(fails=lambda count, body: 0), r"does not answer: the connection failed"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_clear_error(tmp_path, manner, says):
    with served_model(manner) as server, pytest.raises(UserError, match=says):
        opened(server, tmp_path)


def test_a_model_that_the_server_does_not_have_is_said_with_those_it_has(tmp_path):
    with served_model() as server, pytest.raises(UserError, match=r"unknown model of .*'leters'.*letters"):
        open_served(f"openai:{server.url}#leters", tmp_path, USE, Speech(), Prices())


@pytest.mark.parametrize(
    "model, says",
    [
        ("openai:http://127.0.0.1:1/v1", "names no server and model; write openai:BASE_URL#MODEL"),
        ("openai:#m", "does not say where its server stands.*export OPENAI_BASE_URL"),
        ("openai:http://me:secret@host/v1#m", "holds a user, password"),
        ("openai:http://host/v1?key=1#m", "holds a user, password, query"),
        ("openai:ftp://host/v1#m", "is no URL"),
    ],
)
def test_a_model_of_another_form_or_with_a_secret_is_refused(tmp_path, model, says):
    with pytest.raises(UserError, match=says) as error:
        open_served(model, tmp_path, USE, Speech(), Prices())
    assert "secret" not in str(error.value)
