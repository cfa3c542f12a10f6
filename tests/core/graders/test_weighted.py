import json
import math

import pytest

from harness.core.graders.grade import Item
from harness.core.graders.load import load_grader

CHECKS = """
def correct(prompt, response, answer):
    return answer in response

def length(prompt, response):
    return len(response)

def fails(prompt, response):
    return None
"""
CLOSE = {"type": "text_similarity", "input": "{{ sample.output_text }}", "reference": "{{ item.key }}",
         "evaluation_metric": "rouge_l"}  # fmt: skip
ITEM = Item("p", "it is 4", {"answer": "4", "key": "it is 5"})


@pytest.fixture
def load(tmp_path):
    (tmp_path / "checks.py").write_text(CHECKS)
    (tmp_path / "close.json").write_text(json.dumps(CLOSE))
    made = []

    def load(text: str, name: str = "grader.yaml"):
        (tmp_path / name).write_text(text)
        made.append(load_grader(str(tmp_path / name)))
        return made[-1]

    yield load
    for grader in made:
        grader.close()


def test_the_score_is_the_weighted_sum_and_each_part_a_metric(load):
    grader = load("grader:\n  - {fn: 'checks.py:correct', weight: 0.5}\n  - {openai: close.json}\n"
                  "  - {fn: 'checks.py:length', weight: 0, name: long}\n")  # fmt: skip
    (grade,) = grader.grade([ITEM])
    assert grade.score == pytest.approx(0.5 * 1 + 1 * 2 / 3)
    assert dict(grade.metrics) == pytest.approx({"checks.py:correct": 1.0, "close.json": 2 / 3, "long": 7.0})
    assert grader.reads == frozenset({"answer", "key"})


def test_a_weighted_part_without_a_score_makes_nan_and_a_metric_does_not(load):
    parts = [{"fn": "checks.py:correct", "weight": 1}, {"fn": "checks.py:fails", "weight": -2}]
    (grade,) = load(json.dumps(parts), "a.json").grade([ITEM])
    assert grade.error == "unresponsive_reward_error" and grade.detail == "checks.py:fails: it returned None"
    assert grade.metrics["checks.py:correct"] == 1.0 and math.isnan(grade.metrics["checks.py:fails"])
    parts[1]["weight"] = 0
    assert load(json.dumps({"grader": parts}), "b.json").grade([ITEM])[0].score == 1.0


def test_identity_holds_weights_and_parts(load):
    one = load("grader: [{fn: 'checks.py:correct', weight: 1}]")
    assert load("[{fn: 'checks.py:correct'}]", "b.yaml").identity == one.identity
    assert load("[{fn: 'checks.py:correct', weight: 2}]", "c.yaml").identity != one.identity
    assert load("[{fn: 'checks.py:length'}]", "d.yaml").identity != one.identity


def test_a_single_grader_may_be_written_as_yaml(load):
    text = "type: string_check\ninput: '{{ sample.output_text }}'\nreference: it is 4\noperation: eq\n"
    assert load(text).grade([ITEM])[0].score == 1.0
