"""Rows of a server: nothing is lost, doubled or asked for twice, whatever it can do and wherever it stops."""

from collections import Counter
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from harness.core.api.client import Patience
from harness.core.api.spending import Prices
from harness.core.api.use import Budget, Use
from harness.core.errors import UserError
from harness.core.json_file import read_json, write_json
from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.sampling import Sampler
from harness.core.models.served.asking import Token, reply_of
from harness.core.search.finalists import sample_rows
from harness.core.search.search import Finish, Guide, guided_search
from harness.core.search.selection import Search
from harness.core.streams import Streams
from harness.core.types import Message, Prompt
from harness.running.base_nll import nll_of
from tests.core.models.served.test_probe import USE, opened
from tests.served_model import LETTERS, Manner, log_softmax, logits_behind, rendered, served_model

SAMPLER = Sampler(temperature=1.0, top_k=6, top_p=1.0, max_new_tokens=12)
TEXTS = [Prompt(f"p{i}", text=text) for i, text in enumerate(["abc", "head. ", "fade a cab"])]
CHATS = [Prompt(f"q{i}", messages=(Message("user", text),)) for i, text in enumerate(["abc", "a head", "fade"])]


_OPEN = []  # phases, which would close with their last reference
SEARCH = Search(2, 3, 4)


def handle_on(policy, sampler=SAMPLER):
    ledger = Ledger()
    _OPEN.append(ledger.phase("generate"))
    _OPEN[-1].__enter__()
    return PolicyHandle(policy, sampler, ledger), ledger


def vowels(completions):
    return np.array([c.text.count("a") + c.text.count("e") for c in completions], dtype=np.float32)


def searched(policy, prompts, search=SEARCH):
    handle, ledger = handle_on(policy)
    answers = guided_search(handle, Guide(), prompts, search, Streams(0), Finish(vowels))
    return [[c.completion.text for c in a.finalists] for a in answers], ledger.drain()


def sampled(policy, prompts, n, sampler=SAMPLER):
    handle, ledger = handle_on(policy, sampler)
    answers = sample_rows(handle, prompts, n, Streams(0), "first")
    return {a.prompt.id: [c.completion for c in a.finalists] for a in answers}, ledger.drain()


def texts_of(found):
    return {name: [c.text for c in completions] for name, completions in found.items()}


def asked(server):
    """Bodies of requests that are no probe's: the seeds of these are small, or there are none."""
    return [body for path, body in server.requests if body.get("seed", 0) > 100]


def test_rows_of_a_prompt_come_with_one_request_and_the_base_is_the_first_of_them(tmp_path):
    with served_model() as server:
        policy = opened(server, tmp_path)
        sixteen, _ = sampled(policy, TEXTS, 16)
        assert len(asked(server)) == 3 and {body["n"] for body in asked(server)} == {16}
        one, _ = sampled(policy, TEXTS, 1)
        assert len(asked(server)) == 3 and policy.spending.kept == 3
    assert texts_of(one) == {name: texts[:1] for name, texts in texts_of(sixteen).items()}
    assert len(set(texts_of(sixteen)["p0"])) > 8


@pytest.mark.parametrize("other", [Manner(most_choices=4), Manner(ignores_n=True), Manner(cached=True)])
@pytest.mark.parametrize("prompts", [TEXTS, CHATS])
def test_how_many_answers_a_request_brings_changes_no_text(tmp_path, other, prompts):
    with served_model() as server:
        whole = searched(opened(server, tmp_path / "whole"), prompts)[0]
    with served_model(other) as server:
        assert searched(opened(server, tmp_path / "other"), prompts)[0] == whole


@pytest.mark.parametrize(
    "manner", [Manner(template=True), Manner(texts=False, goes_on=("prefix",)), Manner(texts=False, echoes=True)]
)
def test_however_an_answer_goes_on_it_is_the_same_one(tmp_path, manner):
    with served_model() as server:
        plain = searched(opened(server, tmp_path / "plain"), CHATS)[0]
    with served_model(manner) as server:
        assert searched(opened(server, tmp_path / "other"), CHATS)[0] == plain


@pytest.mark.parametrize("prompts", [TEXTS, CHATS])
def test_what_was_answered_is_not_asked_again_and_costs_the_same(tmp_path, prompts):
    with served_model(Manner(cached=True)) as server:
        policy = opened(server, tmp_path)
        first, costs = searched(policy, prompts)
        before = len(server.requests)
        again, costs_again = searched(opened(server, tmp_path), prompts)
        assert len(server.requests) == before + 1  # which models there are
    with served_model(Manner(cached=True)) as elsewhere:
        probing = opened(elsewhere, tmp_path)
        before = len(elsewhere.requests)
        assert searched(probing, prompts)[0] == first and len(elsewhere.requests) == before
    without = [{name: value for name, value in row.items() if name != "seconds"} for row in costs]
    assert again == first
    assert without == [{name: value for name, value in row.items() if name != "seconds"} for row in costs_again]


def test_costs_are_the_servers_own_counts(tmp_path):
    with served_model(Manner(cached=True)) as server:
        policy = opened(server, tmp_path)
        _, [row] = searched(policy, TEXTS)
    spent = policy.spending
    assert row["prefill_tokens"] == spent.tokens.read and row["cached_tokens"] == spent.tokens.cached > 0
    assert row["tokens"] == spent.tokens.written and row["calls"] == spent.requests == len(asked(server))


def test_no_answer_is_longer_than_allowed_and_each_says_why_it_ended(tmp_path):
    with served_model() as server:
        policy = opened(server, tmp_path)
        found, _ = sampled(policy, TEXTS, 16)
    completions = [c for of_prompt in found.values() for c in of_prompt]
    assert {c.stop for c in completions} == {"eos", "length"} and {len(c.text) for c in completions} <= set(range(13))
    assert all(c.length == 12 == len(c.text) for c in completions if c.stop == "length")
    assert policy.spending.reasons["cut short"] == sum(c.stop == "length" for c in completions)
    assert all(c.length <= 12 and c.tokens == () for c in completions)


def test_neither_order_nor_company_changes_a_text(tmp_path):
    with served_model() as server:
        all_texts = dict(zip("012", searched(opened(server, tmp_path / "a"), TEXTS)[0], strict=True))
        for order in ([2], [1, 0]):
            alone = searched(opened(server, tmp_path / "b"), [TEXTS[i] for i in order])[0]
            assert alone == [all_texts[str(i)] for i in order]


def test_a_blank_at_the_end_of_a_chunk_is_written_anew(tmp_path):
    with served_model() as server:
        handle, _ = handle_on(opened(server, tmp_path))
        rows = handle.decode(TEXTS, 16, Streams(0))
        rows.extend(3)
        before = [c.text for c in rows.completions()]
        assert any(text.endswith(" ") for text in before)
        server.requests.clear()
        rows.extend(3)
    said = {body["prompt"] for body in asked(server)}
    assert all(not prompt.endswith(" ") or prompt in [p.text for p in TEXTS] for prompt in said)
    after = [c.text for c in rows.completions()]
    assert all(b.startswith(a.rstrip()) for a, b in zip(before, after, strict=True))


def test_a_server_that_is_killed_in_the_middle_loses_nothing_and_doubles_nothing(tmp_path):
    with served_model() as server:
        whole = searched(opened(server, tmp_path / "whole"), TEXTS)[0]
        wanted = Counter(str(sorted(body.items())) for body in asked(server))
    with served_model() as server:
        policy = opened(server, tmp_path / "cut")
        stop_at = len(server.requests) + 5
        server.manner = Manner(fails=lambda count, body: 0 if count > stop_at else None)
        with pytest.raises(UserError, match=r"does not answer .*All answers so far are kept: mend that and run the"):
            searched(policy, TEXTS)
        answered = Counter(str(sorted(body.items())) for _, body in server.requests[stop_at - 5 : stop_at])
        server.manner, server.requests = Manner(), []
        assert searched(opened(server, tmp_path / "cut"), TEXTS)[0] == whole
        then = Counter(str(sorted(body.items())) for body in asked(server))
    assert sum(answered.values()) >= 1 and not answered & then and answered + then == wanted


def test_a_server_that_brings_fewer_answers_than_asked_is_asked_for_the_others(tmp_path):
    with served_model() as server:
        whole, _ = sampled(opened(server, tmp_path / "whole"), TEXTS, 8)
        policy = opened(server, tmp_path / "fewer")
        server.manner = Manner(ignores_n=True)
        fewer, _ = sampled(policy, TEXTS, 8)
    assert texts_of(fewer) == texts_of(whole)


def test_without_seeds_rows_differ_and_are_found_again(tmp_path):
    with served_model(Manner(ignores_seed=True)) as server:
        first, _ = sampled(opened(server, tmp_path), TEXTS, 8)
        assert all("seed" not in body for path, body in server.requests[-3:])
        assert texts_of(sampled(opened(server, tmp_path), TEXTS, 8)[0]) == texts_of(first)
    assert len(set(texts_of(first)["p0"])) > 4


@pytest.mark.parametrize("trouble", [429, 500, 503])
def test_what_may_pass_is_asked_again(tmp_path, trouble):
    with served_model() as server:
        whole = searched(opened(server, tmp_path / "whole"), TEXTS)[0]
        policy = opened(server, tmp_path / "troubled")
        server.manner = Manner(fails=lambda count, body: trouble if count % 2 else None)
        use = Use(patience=Patience(timeout=10, tries=20, wait=0.01, parallel=1))
        assert searched(opened(server, tmp_path / "troubled", use), TEXTS)[0] == whole
    assert policy.spending.requests == 0


def test_a_prompt_that_is_too_long_is_named(tmp_path):
    prompts = [TEXTS[0], Prompt("long one", text="abc " * 100)]
    with (
        served_model(Manner(context=200)) as server,
        pytest.raises(UserError, match=r"'long one'.*status 400.*context"),
    ):
        sampled(opened(server, tmp_path), prompts, 2)


@pytest.mark.parametrize(
    "manner, says",
    [
        (Manner(template=True, fails=lambda count, body: 400), r"\(prompt 'q.'\): status 400"),
        (Manner(template=True, fails=lambda count, body: 0), r"\(prompt 'q.'\): the connection failed"),
        (Manner(), r"\(prompt 'q.'\): status 404"),
        (Manner(nothing_rendered=True), r"\(prompt 'q.'\): the reply of /apply-template holds no prompt: \{\}"),
    ],
)
def test_a_template_that_is_not_told_any_more_is_one_clear_error(tmp_path, manner, says):
    """It was a traceback."""
    with served_model(Manner(template=True)) as server:
        policy = opened(server, tmp_path)
        server.manner = manner
        with pytest.raises(UserError, match=rf"does not answer {says}.*All answers so far are kept"):
            sampled(policy, CHATS, 2)


def test_a_filtered_answer_ends_and_is_counted(tmp_path):
    with served_model(Manner(filters="b")) as server:
        policy = opened(server, tmp_path)
        found, _ = sampled(policy, TEXTS, 16)
    filtered = [c for of_prompt in found.values() for c in of_prompt if c.stop == "filtered"]
    assert filtered and policy.spending.reasons["filtered"] == len(filtered)
    assert all(c.text.endswith("b") for c in filtered)


def test_messages_that_cannot_go_on_are_written_in_one_piece_or_refused(tmp_path):
    with served_model(Manner(texts=False, goes_on=())) as server:
        policy = opened(server, tmp_path)
        assert policy.why_in_one_piece(CHATS) and policy.why_in_one_piece(TEXTS) is None
        one, _ = sampled(policy, CHATS, 4)
        assert all(c.stop is not None for of_prompt in one.values() for c in of_prompt)
        assert searched(policy, CHATS, Search(2, 2, 12))[0]
        with pytest.raises(UserError, match="does not go on with an answer that it has begun"):
            searched(policy, CHATS)
        with pytest.raises(UserError, match="has no /completions"):
            policy.require_room(TEXTS, [12] * 3)


def test_no_top_k_is_said_as_the_server_takes_it_and_is_the_same_answer(tmp_path):
    """SGLang refuses 0; what is kept is found by the rule, whichever number stood for none."""
    loose = replace(SAMPLER, top_k=0)
    with served_model() as server:
        plain, _ = sampled(opened(server, tmp_path / "plain"), TEXTS, 4, loose)
        assert {body["top_k"] for body in asked(server)} == {0}
    with served_model(Manner(no_top_k=-1)) as server:
        other, _ = sampled(opened(server, tmp_path / "other"), TEXTS, 4, loose)
        assert {body["top_k"] for body in asked(server)} == {-1}
    assert texts_of(other) == texts_of(plain)
    names = [{path.name for path in (tmp_path / one / "served").glob("??/*.json")} for one in ("plain", "other")]
    assert names[0] == names[1] and len(names[0]) == 12


def test_a_system_prompt_and_further_fields_are_sent_and_make_another_answer(tmp_path):
    with served_model() as server:
        plain, _ = sampled(opened(server, tmp_path), CHATS, 2)
        told, _ = sampled(opened(server, tmp_path, system_prompt="be brief", more={"note": "x"}), CHATS, 2)
        body = server.requests[-1][1]
    assert body["messages"][0] == {"role": "system", "content": "be brief"} and body["note"] == "x"
    assert len(asked(server)) == 6  # the same seeds, and yet other questions
    assert texts_of(told).keys() == texts_of(plain).keys()


@pytest.mark.parametrize(
    "budget, prices",
    [(Budget(tokens=120), Prices()), (Budget(usd=1.2e-4), Prices(input=1.0, output=1.0))],
)
def test_a_budget_is_never_exceeded_and_what_it_bought_is_kept(tmp_path, budget, prices):
    with served_model() as server:
        whole = searched(opened(server, tmp_path / "whole"), TEXTS)[0]
        spent, rounds = [], 0
        while True:
            policy = opened(server, tmp_path / "bit by bit", Use(patience=USE.patience, budget=budget), prices)
            rounds += 1
            try:
                found = searched(policy, TEXTS)[0]
                break
            except UserError as error:
                assert "the budget is spent" in str(error) and policy.spending.requests
            finally:
                tokens = policy.spending.tokens
                spent.append(tokens.read + tokens.written)
        assert rounds > 2 and max(spent) <= 120 and found == whole


def test_a_budget_is_used_before_it_is_said_to_be_spent(tmp_path):
    """32 prompts of 16 rows ended at 3,810 of 20,000 tokens, "0 requests, 0 tokens": the most that those under way
    might take was taken for what they took."""
    prompts = [Prompt(str(i), text=f"film {i} was") for i in range(32)]
    largest = len(prompts[-1].text) + 16 * 100
    use = Use(patience=replace(USE.patience, parallel=16), budget=Budget(tokens=2 * largest))
    with served_model() as server:
        policy = opened(server, tmp_path, use)
        with pytest.raises(UserError, match=r"the budget is spent: (\d+) requests, ([\d,]+) tokens, and") as error:
            sampled(policy, prompts, 16, replace(SAMPLER, max_new_tokens=100))
    tokens = policy.spending.tokens.read + policy.spending.tokens.written
    assert largest < tokens <= 2 * largest
    assert f"{policy.spending.requests} requests, {tokens:,} tokens" in str(error.value)


def test_those_that_wait_for_the_budget_end_with_those_that_fail(tmp_path):
    with served_model() as server:
        use = Use(patience=replace(USE.patience, parallel=4), budget=Budget(tokens=300))
        policy = opened(server, tmp_path, use)
        server.manner = Manner(fails=lambda count, body: 400)
        with pytest.raises(UserError, match=r"does not answer .*status 400"):
            sampled(policy, TEXTS, 16)
        assert len(asked(server)) == 1


def test_dollars_without_prices_bound_nothing_and_are_refused(tmp_path):
    with served_model() as server, pytest.raises(UserError, match="--budget-usd 1 needs the prices"):
        opened(server, tmp_path, Use(budget=Budget(usd=1)))


def test_rows_that_are_selected_go_on_from_what_they_are(tmp_path):
    with served_model() as server:
        handle, _ = handle_on(opened(server, tmp_path))
        rows = handle.decode(TEXTS[:1], 4, Streams(0))
        rows.extend(4)
        kept = rows.completions()[2]
        rows.select(torch.tensor([2, 2, 2]), torch.tensor([0, 1, 2]))
        rows.extend(4)
    assert all(c.text.startswith(kept.text.rstrip()) for c in rows.completions())
    assert kept.stop is not None or len({c.text for c in rows.completions()}) > 1


def test_the_runs_of_one_command_share_its_budget(tmp_path):
    with served_model() as server:
        use = Use(patience=USE.patience, budget=Budget(tokens=400))
        sampled(opened(server, tmp_path, use), TEXTS, 8)
        with pytest.raises(UserError, match=r"the budget is spent: 3 requests, "):
            sampled(opened(server, tmp_path / "another", use), TEXTS, 16)
        assert sum(one.tokens.read + one.tokens.written for one in use.spent) <= 400


def nlls(found, handle):
    """By prompt, of all its rows."""
    return {name: nll_of(handle, completions).tolist() for name, completions in found.items()}


def likelihoods(prompt, completion, ends):
    """What the letters' table itself says of an answer's tokens."""
    text, tokens = rendered([{"role": m.role, "content": m.content} for m in prompt.messages or ()]), []
    text = prompt.text if prompt.messages is None else text
    for letter in completion.text:
        tokens.append(log_softmax(logits_behind(text))[LETTERS.index(letter)])
        text += letter
    if completion.stop == "eos" and ends:
        tokens.append(log_softmax(logits_behind(text))[-1])
    return tokens


@pytest.mark.parametrize("prompts", [TEXTS, CHATS])
@pytest.mark.parametrize("manner", [Manner(), Manner(template=True), Manner(ends=False), Manner(most_choices=4)])
def test_plain_samples_have_the_log_probabilities_that_the_server_tells(tmp_path, manner, prompts):
    with served_model(replace(manner, logprobs="raw")) as server:
        policy = opened(server, tmp_path)
        found, costs = sampled(policy, prompts, 8)
        before = len(server.requests)
        again, costs_again = sampled(opened(server, tmp_path), prompts, 8)
        assert len(server.requests) == before + 1  # which models there are
    with served_model(replace(manner, logprobs="none")) as server:
        without, costs_without = sampled(opened(server, tmp_path / "none"), prompts, 8)
    for prompt in prompts:
        for completion in found[prompt.id]:
            expected = likelihoods(prompt, completion, manner.ends)
            np.testing.assert_allclose(completion.logprobs, expected, atol=1e-9)
    assert again == found and texts_of(without) == texts_of(found)
    assert all(c.logprobs is None for of_prompt in without.values() for c in of_prompt)
    unbooked = [{k: v for k, v in row.items() if k != "seconds"} for [row] in (costs, costs_again, costs_without)]
    assert unbooked[0] == unbooked[1] == unbooked[2]
    handle, ledger = handle_on(policy)
    assert not np.isnan(list(chain(*nlls(found, handle).values()))).any() and not ledger.drain()
    assert np.isnan(list(chain(*nlls(without, handle).values()))).all()


def test_the_temperature_of_a_sample_is_not_taken_for_the_models_own(tmp_path):
    """A server that tells log-probabilities at the temperature of the request is asked for them at 1 alone."""
    with served_model(Manner(logprobs="tempered")) as server:
        policy = opened(server, tmp_path)
        warm, _ = sampled(policy, TEXTS, 2)
        cold, _ = sampled(policy, TEXTS, 2, replace(SAMPLER, temperature=0.5))
        assert [body.get("logprobs") for body in asked(server)] == [1] * 3 + [None] * 3
    assert all(c.logprobs is not None for of_prompt in warm.values() for c in of_prompt)
    assert all(c.logprobs is None for of_prompt in cold.values() for c in of_prompt)


def test_pieces_of_a_search_are_not_asked_for_log_probabilities(tmp_path):
    with served_model(Manner(logprobs="raw")) as server:
        handle, _ = handle_on(opened(server, tmp_path))
        answers = guided_search(handle, Guide(), TEXTS, SEARCH, Streams(0), Finish(vowels))
        assert not any("logprobs" in body for body in asked(server))
    assert all(c.completion.logprobs is None for a in answers for c in a.finalists)


def test_a_stop_string_ends_the_log_probabilities_with_the_token_that_completes_it(tmp_path):
    ending = replace(SAMPLER, stop=("a",))
    with served_model(Manner(logprobs="raw")) as server:
        policy = opened(server, tmp_path)
        found, _ = sampled(policy, TEXTS, 16, ending)
        whole, _ = sampled(policy, TEXTS, 16)
    ended = [(c, w) for name in found for c, w in zip(found[name], whole[name], strict=True) if c.stop == "string"]
    assert len(ended) > 8
    for cut, uncut in ended:
        assert cut.logprobs == uncut.logprobs[: len(cut.text) + 1]


def test_answers_that_an_earlier_version_kept_are_not_asked_for_again(tmp_path):
    """They have no log-probabilities, and so no base NLL: a second request would be paid for twice."""
    with served_model(Manner(logprobs="raw")) as server:
        sampled(opened(server, tmp_path), TEXTS, 2)
        for path in (tmp_path / "served").rglob("*.json"):
            if path.parent.name != "probes":
                write_json(path, {k: v for k, v in read_json(path, "").items() if k != "told"})
        before = len(asked(server))
        found, _ = sampled(opened(server, tmp_path), TEXTS, 2)
        assert len(asked(server)) == before
    assert all(c.logprobs is None for of_prompt in found.values() for c in of_prompt)


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": [{"token": "a"}, {"token": "b", "logprob": -1.0}]},
        {"content": [{"token": "a", "logprob": "-1"}, {"token": "b", "logprob": -1.0}]},
        {"content": [{"token": "a", "logprob": -9999.0}, {"token": "b", "logprob": -1.0}]},
        {"content": [{"token": "a", "logprob": 3.0}, {"token": "b", "logprob": -1.0}]},
        {"content": [{"token": "a", "logprob": float("nan")}, {"token": "b", "logprob": -1.0}]},
        {"tokens": ["a", "b"], "token_logprobs": [-1.0]},
        {"tokens": ["a", "b"], "token_logprobs": [None, -1.0]},
        [-1.0, -1.0],
        "many",
    ],
)
def test_log_probabilities_that_are_none_are_not_taken_for_any(logprobs):
    [written] = reply_of({"choices": [{"text": "ab", "finish_reason": "stop", "logprobs": logprobs}]}, 4, 1).choices
    assert written.text == "ab" and written.told is None


def test_log_probabilities_of_thoughts_are_not_the_answers():
    told = {"content": [{"token": "a", "logprob": -1.0}]}
    message = {"role": "assistant", "content": "a"}
    plain = {"choices": [{"message": message, "finish_reason": "stop", "logprobs": told}]}
    assert reply_of(plain, 4, 1).choices[0].told == (Token("a", -1.0),)
    thinking = {"choices": [{**plain["choices"][0], "message": {**message, "reasoning_content": "hm"}}]}
    assert reply_of(thinking, 4, 1).choices[0].told is None
    hidden = {**plain, "usage": {"prompt_tokens": 3, "completion_tokens": 40}}
    assert reply_of(hidden, 4, 1).choices[0].told is None
    with_end = {**plain, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    assert reply_of(with_end, 4, 1).choices[0].told is not None
    of_the_first = {"choices": 4 * plain["choices"], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    assert all(one.told is not None for one in reply_of(of_the_first, 4, 4).choices)  # as llama.cpp counts


@pytest.mark.parametrize(
    "manner, sampler, says",
    [
        (Manner(refuses=("temperature",)), replace(SAMPLER, temperature=0.5), "'letters' takes no temperature: .*=0.5"),
        (Manner(refuses=("top_p",)), replace(SAMPLER, top_p=0.9), "'letters' takes no top_p: .*=0.9"),
        (Manner(refuses_zero=True), replace(SAMPLER, temperature=0), "no temperature of 0"),
    ],
)
def test_a_rule_that_the_server_refuses_is_not_drawn_by_another(tmp_path, manner, sampler, says):
    with served_model(manner) as server:
        policy = opened(server, tmp_path)
        assert sampled(policy, TEXTS, 2)[0] and policy.why_not_drawn(SAMPLER) is None
        with pytest.raises(UserError, match=says):
            sampled(policy, TEXTS, 2, sampler)
