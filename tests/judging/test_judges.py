"""Judges: verdicts that can be read, both orders, and stored scores."""

from math import isnan, nan

import pytest

from harness.core.api.client import Patience
from harness.core.chat.chat import Chat, Endpoint
from harness.core.chat.reply import Reply
from harness.core.errors import UserError
from harness.judging.judges import TEMPLATE, ChatJudge, Entry, Pair, ScoreJudge, in_both_orders, question, verdict
from harness.judging.judges import read_template as read
from tests.planted_server import NO_TEMPERATURE, Planted, served


@pytest.mark.parametrize(
    "text, preference",
    [
        ("[[A]]", 1.0),
        ("A is clumsy, so: [[B]].", 0.0),
        ("They are alike. [[C]]", 0.5),
        ("[[A]] ... yes, [[A]]", 1.0),
        (" **B**\n", 0.0),
        ("[A]", 1.0),
        ("C.", 0.5),
        ("<think>[[A]]? No.</think>[[B]]", 0.0),
    ],
)
def test_verdicts_are_read(text, preference):
    assert verdict(text) == preference


@pytest.mark.parametrize(
    "text", ["", "A better text", "[[A]] or [[B]]", "[[D]]", "<think>[[A]]</think>", "a", "<think>[[A]] but"]
)
def test_what_names_no_verdict_or_several_is_none(text):
    assert isnan(verdict(text))


@pytest.mark.parametrize(
    "first, second, preference, flipped",
    [
        ("[[A]]", "[[B]]", 1.0, False),  # ours both times
        ("[[B]]", "[[A]]", 0.0, False),
        ("[[C]]", "[[C]]", 0.5, False),
        ("[[A]]", "[[A]]", 0.5, True),  # whatever stands first
        ("[[A]]", "[[C]]", 0.5, True),
        ("[[A]]", "hm", nan, None),
        ("", "[[B]]", nan, None),
    ],
)
def test_orders_that_disagree_are_a_tie_and_half_a_verdict_is_none(first, second, preference, flipped):
    judgement = in_both_orders(Reply(first, ""), Reply(second, ""))
    assert judgement.preference == pytest.approx(preference, nan_ok=True)
    assert judgement.flipped is flipped


def test_a_reply_that_is_no_whole_answer_gives_no_verdict_whatever_the_other_says():
    cut, whole, refused = (
        Reply("[[A]] as", "", withheld="cut short"),
        Reply("[[B]]", ""),
        Reply("", "", withheld="refused"),
    )
    for first, second, reason in ((cut, whole, "cut short"), (whole, cut, "cut short"), (refused, cut, "cut short")):
        judgement = in_both_orders(first, second)
        assert isnan(judgement.preference) and (judgement.flipped, judgement.withheld) == (None, reason)
    assert in_both_orders(whole, whole).withheld is None


def test_braces_in_texts_mean_nothing():
    assert question("{prompt}|{answer_a}|{answer_b}|{x}", "{answer_b}", "{prompt}", r"\1 {0}") == (
        r"{answer_b}|{prompt}|\1 {0}|{x}"
    )


def test_the_template_has_its_places_and_others_must(tmp_path):
    assert "[[A]]" in read(TEMPLATE)
    (tmp_path / "t.txt").write_text("{prompt} {answer_a}")
    with pytest.raises(UserError, match=r"t\.txt' lacks \{answer_b\}; judge_prompt\.txt is an example"):
        read(tmp_path / "t.txt")
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "none.txt")


def pair(ours: float, theirs: float) -> Pair:
    return Pair("p", "", Entry("x", {"gold_reward": ours}), Entry("y", {"gold_reward": theirs}))


def test_stored_scores_are_compared_and_ties_counted():
    pairs = [pair(2, 1), pair(-2, -1), pair(0.5, 0.5), pair(nan, 1), pair(1, nan)]
    found = [j.preference for j in ScoreJudge("gold_reward", "gold").judge(pairs)]
    assert found == pytest.approx([1, 0, 0.5, nan, nan], nan_ok=True)


def test_scores_that_are_not_stored_are_named():
    with pytest.raises(UserError, match=r"unknown metric 'gold'.* Valid: gold_reward"):
        ScoreJudge("gold", "reward-gold").judge([pair(1, 2)])
    with pytest.raises(UserError, match="of the human references is not stored; use --judge llm"):
        ScoreJudge("gold_reward", "gold").judge([Pair("p", "", Entry("x", {"gold_reward": 1.0}), Entry("y"))])


def test_a_chat_model_is_asked_in_both_orders_and_not_about_equal_texts(tmp_path):
    def plan(asked: str, before: int) -> Planted:
        shown_first = asked.split(" versus ")[0]
        return Planted({"good": "[[A]]", "bad": "[[B]]", "odd": "[[A]]", "even": "[[A]]"}.get(shown_first, "?"))

    texts = [("good", "bad"), ("odd", "even"), ("same", "same"), ("mute", "bad")]
    pairs = [Pair(str(i), "x", Entry(ours), Entry(theirs)) for i, (ours, theirs) in enumerate(texts)]
    with served(plan) as server:
        chat = Chat(Endpoint(server.url, "planted"), tmp_path, Patience(timeout=5))
        judgements = ChatJudge(chat, "{answer_a} versus {answer_b}").judge(pairs)
        orders = [both for x, y in texts if x != y for both in ((x, y), (y, x))]
        assert sorted(server.questions) == sorted(f"{a} versus {b}" for a, b in orders)
    assert [j.preference for j in judgements] == pytest.approx([1, 0.5, 0.5, nan], nan_ok=True)
    assert [j.flipped for j in judgements] == [False, True, None, None]


def test_a_report_says_which_fields_the_judge_did_not_take(tmp_path):
    asked = Pair("0", "which?", Entry("one"), Entry("two"))
    with served(lambda question, before: Planted("[[A]]"), {"temperature": NO_TEMPERATURE}) as server:
        for _ in range(2):  # asked, and from the cache
            judge = ChatJudge(
                Chat(Endpoint.asked_for(server.url, "o", {"max_tokens": 9}), tmp_path), "{answer_a} {answer_b}"
            )
            judge.judge([asked])
            assert "(temperature its own, for it takes no other, max_tokens=9)" in judge.describe()
