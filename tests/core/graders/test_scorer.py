import math

import numpy as np
import pytest

from harness.core.graders.grade import ERRORS, Grade, Item
from harness.core.graders.scorer import Scorer
from harness.core.types import Completion, Message, Prompt


class Counted:
    """Scores the length, fails on "bad" and "none", and remembers what it was asked."""

    name, identity, reads = "counted", "1", frozenset()

    def __init__(self) -> None:
        self.asked: list[Item] = []

    def grade(self, items):
        self.asked += items
        return [self._grade(item.response) for item in items]

    def close(self) -> None: ...

    def _grade(self, response: str) -> Grade:
        if response.startswith("bad"):
            return Grade.failed("python_grader_runtime_error", f"it was {response}")
        if response == "none":
            return Grade.failed("unresponsive_reward_error", "it returned None")
        if response == "huge":
            return Grade(1e300)
        return Grade(float(len(response)), metrics={"words": 1.0})


def completions(*texts: str, **row: object) -> list[Completion]:
    return [Completion(Prompt(f"p{i}", text="q", row=row), (), text, None) for i, text in enumerate(texts)]


def test_scores_are_float32_in_order_and_failures_are_counted_with_the_first_of_each():
    scorer = Scorer(Counted())
    scores = scorer(completions("a", "bad 1", "abc", "bad 2", "none"))
    assert scores.dtype == np.float32 and scores.shape == (5,)
    assert np.isnan(scores).tolist() == [False, True, False, True, True] and scores[[0, 2]].tolist() == [1, 3]
    scorer(completions("bad 1"))  # known, and not counted again
    assert list(scorer.failures) == ["python_grader_runtime_error", "unresponsive_reward_error"]
    first = scorer.failures["python_grader_runtime_error"]
    assert (first.count, first.detail, first.response) == (2, "it was bad 1", "bad 1")


def test_an_equal_prompt_and_response_is_graded_once():
    scorer = Scorer(grader := Counted())
    scorer(completions("a", "b", "a"))
    scorer([*completions("b", "c"), *completions("a", answer="4")])  # another row is another question
    assert [item.response for item in grader.asked] == ["a", "b", "c", "a"]


def test_nothing_is_raised_by_a_grader_that_breaks_its_word():
    class Broken(Counted):
        def grade(self, items):
            raise ZeroDivisionError("oh")

    scorer = Scorer(Broken())
    assert np.isnan(scorer(completions("a", "b"))).all()
    assert (
        scorer.failures["other_error"].count == 2 and "ZeroDivisionError: oh" in scorer.failures["other_error"].detail
    )
    assert scorer([]).shape == (0,)


def test_what_float32_cannot_hold_is_no_score():
    scorer = Scorer(Counted())
    assert np.isnan(scorer(completions("huge"))).all() and list(scorer.failures) == ["other_error"]


def test_metrics_come_with_the_grades():
    assert Scorer(Counted()).grades(completions("a"))[0].metrics == {"words": 1.0}


def test_an_item_has_messages_tokens_reference_and_row():
    prompt = Prompt("p", messages=(Message("user", "hi"),), reference="ref", row={"answer": "4"})
    item = Item.of(Completion(prompt, (1, 2), "text", "eos"))
    assert item == Item((Message("user", "hi"),), "text", {"reference": "ref", "answer": "4"}, (1, 2))


def test_a_grade_is_a_number_or_nan_with_a_reason():
    for score, error in ((1.0, "other_error"), (math.nan, None), (math.inf, None)):
        with pytest.raises(ValueError, match="a grade of"):
            Grade(score, error)
    assert len(set(ERRORS)) == 11 and Grade.failed("other_error", "x").score != 0
