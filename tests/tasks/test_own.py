"""Prompts and rewards as users give them."""

import numpy as np
import pytest

from harness.core.errors import UserError
from harness.core.types import Completion, Message, Prompt
from harness.tasks.own import Reward, own_task, prompts_of, settings_of


def completions(*texts: str, **row: object) -> list[Completion]:
    return [Completion(Prompt(f"p{i}", text="q", row=row), (), text, None) for i, text in enumerate(texts)]


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


def test_one_by_one_and_together_give_the_same_scores():
    one = Reward.of(lambda prompt, response, answer: len(response) + answer + len(prompt))
    together = Reward.of(
        lambda prompts, responses, answer: [len(r) + a + len(p) for p, r, a in zip(prompts, responses, answer)]  # noqa: B905  # as users write it
    )
    texts = completions("a", "bb", "", answer=10)
    assert one(texts).tolist() == together(texts).tolist() == [12, 13, 11]
    assert one(texts).dtype == np.float32


def test_messages_reach_the_function_as_dicts():
    seen = []
    prompt = Prompt("p", messages=(Message("user", "hi"),))
    Reward.of(lambda prompt, response: seen.append(prompt) or 0.0)([Completion(prompt, (), "x", None)])
    assert seen == [[{"role": "user", "content": "hi"}]]


def test_a_text_is_scored_once():
    calls = []
    reward = Reward.of(lambda prompt, response: calls.append(response) or 1.0)
    reward(completions("a", "b"))
    reward([*completions("a", "b"), *completions("c", "c")])
    assert calls == ["a", "b", "c"]  # the prompts read alike


@pytest.mark.parametrize("bad", [None, "0.5", float("nan"), float("inf"), [1, 2], ZeroDivisionError])
def test_a_failure_is_nan_for_its_row_and_the_first_is_shown_in_one_line(capsys, bad):
    def reward(prompt, response):
        if response.startswith("x"):
            return 1 / 0 if bad is ZeroDivisionError else bad
        return 1.0

    scores = Reward.of(reward)(completions("a", "x1", "b", "x2"))
    assert np.isnan(scores).tolist() == [False, True, False, True]
    said = capsys.readouterr().err.splitlines()
    assert (
        len(said) == 1 and "gave no number for the response 'x1'" in said[0] and "are left out and counted" in said[0]
    )


def test_a_batch_that_fails_is_nan_and_one_of_another_length_stops(capsys):
    assert np.isnan(Reward.of(lambda prompts, responses: 1 / 0)(completions("a", "b"))).all()
    assert "ZeroDivisionError" in capsys.readouterr().err
    with pytest.raises(UserError, match="returned 1 numbers for 2 responses"):
        Reward.of(lambda prompts, responses: [1.0])(completions("a", "b"))


def test_a_missing_column_is_named_before_any_work():
    reward = Reward.of(lambda prompt, response, answer: 0.0)
    with pytest.raises(UserError, match="asks for answer, which the row of prompt 'two' has not; it has other"):
        reward.require_columns(prompts_of([{"prompt": "one", "answer": 1}, {"prompt": "two", "other": 1}]))


def test_fitted_and_answered_prompts_are_disjoint_and_repeats_have_ids_of_their_own():
    given = prompts_of([f"text {i % 6}" for i in range(12)])
    kind = own_task(given, Reward.of(lambda prompt, response: 0.0), "some model")
    task = kind(kind.Config(held_out=3), None, None)
    fit, test = task.prompts("fit"), task.prompts("test")
    assert (len(fit), len(test)) == (9, 3) and len({p.id for p in fit + test}) == 12
    assert task.prompts("development") == test
    facts = task.describe()
    assert "no held-out judgement" in facts["gold"] and facts["answered_prompts_also_fitted_on"] == 1


def test_the_settings_name_prompts_and_reward():
    def one(prompt, response):
        return 0.0

    def other(prompt, response):
        return 1.0

    def named(texts, function=one):
        return settings_of(prompts_of(texts), Reward.of(function), 1)

    assert named(["a", "b"]) == named(["a", "b"])
    assert named(["a", "b"]) != named(["b", "a"]) != named(["a", "c"])
    assert named(["a"])["reward"] != named(["a"], other)["reward"]
