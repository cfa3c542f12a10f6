import numpy as np
import pytest

from harness.core.graders.similarity import similarity

TEXT, REFERENCE = "the cat sat on the mat", "the cat lay on the mat"


@pytest.mark.parametrize(
    "metric, expected",
    [
        ("rouge_1", 5 / 6),  # five of six words
        ("rouge_2", 3 / 5),  # three of five pairs
        ("rouge_3", 1 / 4),
        ("rouge_4", 0.0),
        ("rouge_5", 0.0),
        ("rouge_l", 5 / 6),
        ("gleu", (5 + 3 + 1 + 0) / (6 + 5 + 4 + 3)),
        ("bleu", (5 / 6 * 3 / 5 * 1 / 4 * 0.5 / 3) ** 0.25),  # sacrebleu smooths what is 0 to a half
    ],
)
def test_metrics_by_hand(metric, expected):
    assert similarity(metric, TEXT, REFERENCE, None) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_4", "rouge_l"])
def test_equal_texts_are_1_and_others_0(metric):
    assert similarity(metric, TEXT, TEXT, None) == pytest.approx(1.0)
    assert similarity(metric, "", TEXT, None) == 0.0


@pytest.mark.parametrize("metric", ["rouge_1", "rouge_l"])
def test_words_of_rouge_are_of_any_script(metric):
    for text in ("Париж", "東京 です", "Ünïcode"):
        assert similarity(metric, text, text, None) == 1.0
    assert similarity(metric, "в Париже весна", "в Лондоне весна", None) == pytest.approx(2 / 3)
    assert similarity(metric, "don't_stop 4x", "DON T stop, 4x!", None) == 1.0  # as rouge-score cuts English


def test_fuzzy_match_sees_neither_case_nor_punctuation():
    assert similarity("fuzzy_match", "Fuzzy-Wuzzy!", "fuzzy wuzzy", None) == 1.0


def test_cosine_asks_for_both_texts():
    vectors = {"a": [3.0, 0.0], "b": [3.0, 4.0], "": [0.0, 0.0]}
    embed = lambda texts: np.array([vectors[text] for text in texts])  # noqa: E731
    assert similarity("cosine", "a", "b", embed) == pytest.approx(0.6)
    assert similarity("cosine", "a", "a", embed) == pytest.approx(1.0)
    assert similarity("cosine", "a", "", embed) == 0.0
