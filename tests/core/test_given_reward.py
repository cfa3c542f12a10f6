"""Rewards as users give them."""

import numpy as np
import pytest

from harness.core.errors import UserError
from harness.core.given_prompts import prompts_of
from harness.core.given_reward import Reward
from harness.core.types import Completion, Message, Prompt


def completions(*texts: str, **row: object) -> list[Completion]:
    return [Completion(Prompt(f"p{i}", text="q", row=row), (), text, None) for i, text in enumerate(texts)]


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
