"""OpenAI's grader JSON: what is read, what is refused, and what each type scores."""

import json
import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest

from harness.core.errors import UserError
from harness.core.graders.grade import AskError, Item, Outside
from harness.core.graders.openai_form import read_grader
from harness.core.graders.openai_grader import openai_grader
from harness.core.graders.worker import Limits

EQUAL = {"type": "string_check", "name": "equal", "input": "{{ sample.output_text }}", "reference": "{{ item.answer }}",
         "operation": "eq"}  # fmt: skip
CLOSE = {"type": "text_similarity", "name": "close", "input": "{{ sample.output_text }}",
         "reference": "{{ item.answer }}", "evaluation_metric": "rouge_l"}  # fmt: skip
SCORED = {"type": "score_model", "name": "scored", "model": "gpt-4.1-mini", "range": [0, 10],
          "input": [{"role": "system", "content": "Grade from 0 to 10."},
                    {"role": "user", "content": "{{ item.answer }} / {{ sample.output_text }}"}],
          "sampling_params": {"temperature": 0, "seed": 7}}  # fmt: skip
LABELLED = {"type": "label_model", "name": "labelled", "model": "m", "labels": ["good", "bad"],
            "passing_labels": ["good"], "input": [{"role": "user", "content": "{{ sample.output_text }}"}]}  # fmt: skip
PYTHON = {
    "type": "python",
    "name": "python",
    "image_tag": "2025-05-08",
    "source": "import math\n\ndef grade(sample, item):\n    return float(sample['output_text'] == item['answer'])\n",
}
BOTH = {"type": "multi", "name": "both", "graders": {"equal": EQUAL, "close": CLOSE},
        "calculate_output": "0.8 * equal + 0.2 * close"}  # fmt: skip


def loaded(data, outside: Outside | None = None):
    return openai_grader(read_grader(data, "g.json"), "g.json", outside or Outside(), Limits())


def score(data, response: str, outside: Outside | None = None, **row: object) -> float:
    grader = loaded(data, outside)
    (grade,) = grader.grade([Item("p", response, row)])
    grader.close()
    return grade.score


@pytest.mark.parametrize(
    "operation, response, expected",
    [
        ("eq", "Paris", 1), ("eq", "paris", 0), ("ne", "Paris", 0), ("neq", "Rome", 1), ("like", "It is Paris.", 1),
        ("like", "It is paris.", 0), ("ilike", "It is PARIS.", 1), ("ilike", "Rome", 0),
    ],
)  # fmt: skip
def test_string_check(operation, response, expected):
    assert score({**EQUAL, "operation": operation}, response, answer="Paris") == expected


def test_text_similarity_and_its_cosine_by_what_embeds():
    assert score(CLOSE, "the cat", answer="the dog") == 0.5
    cosine = {**CLOSE, "evaluation_metric": "cosine"}
    with pytest.raises(UserError, match="cosine needs a model that embeds"):
        loaded(cosine)
    embed = lambda texts: np.array([[1.0, float(len(text))] for text in texts])  # noqa: E731
    outside = Outside(embed=embed, identity={"embed": "MiniLM"})
    assert score(cosine, "a", outside, answer="b") == pytest.approx(1.0)
    assert loaded(cosine, outside).identity != loaded(cosine, Outside(embed=embed)).identity


def test_meteor_is_refused_by_name():
    with pytest.raises(UserError, match="evaluation_metric: meteor needs WordNet's data"):
        loaded({**CLOSE, "evaluation_metric": "meteor"})


def test_python_runs_in_a_process_of_its_own():
    grader = loaded({**PYTHON, "source": "import os\ndef grade(sample, item):\n    return os.getpid()\n"})
    import os

    assert grader.grade([Item("p", "x")])[0].score != os.getpid()
    grader.close()
    assert score(PYTHON, "4", answer="4") == 1.0
    wrong = loaded({**PYTHON, "source": "def grade(sample, item):\n    return item['a'] / 0\n"})
    (grade,) = wrong.grade([Item("p", "x", {"a": 1})])
    assert grade.error == "python_grader_runtime_error" and "line 2" in grade.detail
    assert wrong.reads == frozenset({"a"})
    wrong.close()


def test_grade_is_called_by_place_as_openai_does():
    source = "def grade(s, i, strict=False):\n    return float(i['answer'] in s['output_text']) + strict\n"
    assert score({**PYTHON, "source": source}, "it is 4", answer="4") == 1.0
    grader = loaded({**PYTHON, "source": source})
    assert grader.reads == frozenset({"answer"})
    grader.close()


def test_output_json_stands_in_the_sample_where_the_answer_is_json():
    source = "def grade(sample, item):\n    return sample['output_json']['n'] if 'output_json' in sample else -1.0\n"
    assert score({**PYTHON, "source": source}, '{"n": 3}') == 3.0
    assert score({**PYTHON, "source": source}, "three") == -1.0


def test_multi_is_its_formula_over_sub_rewards():
    (grade,) = loaded(BOTH).grade([Item("p", "the cat", {"answer": "the dog"})])
    assert grade.score == pytest.approx(0.1) and dict(grade.metrics) == {"equal": 0.0, "close": 0.5}
    assert (
        loaded({**BOTH, "graders": EQUAL, "calculate_output": "equal ^ 2"})
        .grade([Item("p", "a", {"answer": "a"})])[0]
        .score
        == 1.0
    )  # a bare grader goes by its own name


def test_a_part_that_has_no_score_makes_nan_only_where_the_formula_names_it():
    broken = {**EQUAL, "reference": "{{ sample.output_json.x }}"}
    parts = {"type": "multi", "graders": {"equal": EQUAL, "broken": broken}}
    item = Item("p", "a", {"answer": "a"})
    (grade,) = loaded({**parts, "calculate_output": "equal + broken"}).grade([item])
    assert (grade.error, grade.metrics["equal"]) == ("sample_parse_error", 1.0) and math.isnan(grade.metrics["broken"])
    assert grade.detail.startswith("broken: ")
    assert loaded({**parts, "calculate_output": "equal"}).grade([item])[0].score == 1.0
    (grade,) = loaded({**BOTH, "calculate_output": "1 / equal"}).grade([Item("p", "b", {"answer": "a"})])
    assert grade.error == "formula_parse_error" and "division by zero" in grade.detail


@dataclass
class Said:
    text: str
    withheld: str | None = None


def asking(reply, seen=None) -> Outside:
    def ask(conversations, model, sampling):
        if seen is not None:
            seen.extend((messages, model, sampling) for messages in conversations)
        return [Said(reply) if isinstance(reply, str) else reply] * len(conversations)

    return Outside(ask=ask, identity={"ask": "http://x"})


@pytest.mark.parametrize(
    "reply, expected",
    [
        ('{"steps": [], "result": 7.5}', 7.5),
        ('Here it is:\n```json\n{"result": 3}\n```', 3.0),
        ("4", 4.0),
        ('{"result": 11}', 10.0),  # brought into the range, as OpenAI's service does
        ('{"result": -1}', 0.0),
        ('<think>Hm, {"result": 1}?</think>\n{"steps": [], "result": 9}', 9.0),
        ("<think>x</think>9", 9.0),
        ('```json\n{"result": 0}\n``` no:\n```json\n{"result": 9}\n```', 9.0),
        ('<think>```json\n{"result": 0}\n```</think>```json\n{"result": 9}\n```', 9.0),
    ],
)
def test_score_model_reads_the_reply(reply, expected):
    assert score(SCORED, "4", asking(reply), answer="4") == expected


@pytest.mark.parametrize(
    "reply, error",
    [
        ("seven", "model_grader_parse_error"),
        ('{"result": "high"}', "model_grader_parse_error"),
        ('{"result": true}', "model_grader_parse_error"),
        ('{"result": NaN}', "model_grader_parse_error"),
        ('{"score": 7}', "model_grader_parse_error"),
        (Said("half of", "cut short"), "model_grader_parse_error"),
        (Said("I cannot", "refused"), "model_grader_refusal_error"),
        (AskError("500 from the server"), "model_grader_server_error"),
    ],
)
def test_a_reply_without_a_score_is_nan_by_its_reason(reply, error):
    (grade,) = loaded(SCORED, asking(reply)).grade([Item("p", "4", {"answer": "4"})])
    assert grade.error == error and math.isnan(grade.score)


def test_the_model_is_asked_with_templates_filled_and_its_sampling():
    seen = []
    score(SCORED, "five", asking("1", seen), answer="4")
    messages, model, sampling = seen[0]
    assert [message["role"] for message in messages] == ["system", "user", "system"]
    assert messages[1]["content"] == "4 / five" and "from 0 to 10" in messages[2]["content"]
    assert (model, dict(sampling)) == ("gpt-4.1-mini", {"temperature": 0.0, "seed": 7})


def test_a_row_that_cannot_be_filled_in_is_not_asked():
    seen = []
    (grade,) = loaded(SCORED, asking("1", seen)).grade([Item("p", "4")])
    assert grade.error == "invalid_variable_error" and seen == []


def test_all_rows_are_asked_about_in_one_go_and_each_gets_its_own_reply():
    calls = []

    def ask(conversations, model, sampling):
        calls.append(len(conversations))
        return [Said(messages[1]["content"].partition(" / ")[2]) for messages in conversations]

    items = [Item("p", "3", {"answer": "a"}), Item("p", "9"), Item("p", "7", {"answer": "b"})]
    grades = loaded(SCORED, Outside(ask=ask)).grade(items)
    assert calls == [2] and [grade.score for grade in grades][::2] == [3.0, 7.0]
    assert grades[1].error == "invalid_variable_error"


@pytest.mark.parametrize("reply, expected", [("good", 1.0), ('{"result": "bad"}', 0.0), ('"good"', 1.0)])
def test_label_model_passes_by_its_labels(reply, expected):
    assert score(LABELLED, "x", asking(reply)) == expected


def test_another_label_is_a_parse_error():
    assert loaded(LABELLED, asking("fine")).grade([Item("p", "x")])[0].error == "model_grader_parse_error"


def test_graders_that_ask_are_refused_where_there_is_nobody_to_ask():
    with pytest.raises(UserError, match=r"it asks the model gpt-4\.1-mini, and no chat server is set"):
        loaded(SCORED)


def test_reads_are_the_columns_of_the_templates():
    assert loaded(EQUAL).reads == loaded(BOTH).reads == frozenset({"answer"})
    assert loaded(LABELLED, asking("good")).reads == frozenset()


@pytest.mark.parametrize(
    "data, says",
    [
        ([], "is a list; a grader is an object"),
        ({}, "has no type; give one of string_check"),
        ({"type": "string_chek"}, "unknown type 'string_chek'. Did you mean 'string_check'?"),
        ({**EQUAL, "referense": "x"}, "unknown field 'referense'. Did you mean 'reference'?"),
        ({key: value for key, value in EQUAL.items() if key != "operation"}, "operation is missing"),
        ({**EQUAL, "operation": "contains"}, "operation is 'contains'"),
        ({**EQUAL, "input": 4}, "input is '4'"),
        ({**EQUAL, "input": "{{ answer }}"}, "a variable begins with item."),
        ({**SCORED, "range": [1, 0]}, "give the lower end first"),
        ({**SCORED, "range": [1]}, "range is"),
        ({**SCORED, "input": []}, "input is"),
        ({**SCORED, "input": [{"role": "user", "content": "x", "name": "y"}]}, "unknown field 'name'"),
        ({**SCORED, "input": [{"role": "user", "content": {"type": "input_image"}}]}, "a part of type input_image"),
        ({**SCORED, "sampling_params": {"temprature": 1}}, "Did you mean 'temperature'?"),
        ({**LABELLED, "passing_labels": ["fine"]}, "passing_labels has fine, which labels has not"),
        ({**PYTHON, "source": "def f(): pass"}, "source: it defines no function grade(sample, item)"),
        ({**PYTHON, "source": "def grade(a): return 1"}, "write grade(sample, item)"),
        ({**PYTHON, "source": "def grade(sample, item:\n  pass"}, "source: this is no Python"),
        ({**PYTHON, "source": "#" * 2**18 + "\n"}, "at most 262144"),
        ({**PYTHON, "source": "import nothing_like_it\ndef grade(sample, item): pass"}, "ModuleNotFoundError"),
        ({**BOTH, "calculate_output": "equal +"}, "calculate_output is 'equal +', which is no formula"),
        ({**BOTH, "calculate_output": "equel"}, "unknown grader 'equel'. Did you mean 'equal'?"),
        ({**BOTH, "graders": {"a": BOTH}}, "graders.a is a multi grader"),
        ({**BOTH, "graders": {"min": EQUAL}}, "'min' is no name that a formula can hold"),
        ({**BOTH, "graders": {"a b": EQUAL}}, "'a b' is no name"),
        ({**BOTH, "graders": {}}, "there is no grader in it"),
        ({**BOTH, "graders": {"a": {**EQUAL, "type": "regex"}}}, "graders.a: unknown type 'regex'"),
        ({**BOTH, "graders": {"a": {**EQUAL, "regex": "x"}}}, "unknown field 'regex'"),
        ({**BOTH, "graders": {"score_model": {**SCORED, "sampling_params": {"max_tokens": 5}}}},
         "Did you mean 'max_completions_tokens'?"),
        ({**BOTH, "graders": {"score_model": {**EQUAL, "refrence": "x"}}},
         "unknown field 'refrence'. Did you mean 'reference'?"),
        ({**EQUAL, "reference": date(2024, 1, 1)}, "reference is 2024-01-01, which is a date; put it in quotes"),
        ({**BOTH, "graders": {"a": {**EQUAL, "reference": date(2024, 1, 1)}}},
         "graders.a.reference is 2024-01-01, which is a date"),
    ],
)  # fmt: skip
def test_what_is_no_grader_is_refused_in_one_error(data, says):
    with pytest.raises(UserError) as raised:
        loaded(data, asking("1"))
    assert str(raised.value).startswith("g.json") and says in str(raised.value), str(raised.value)
    assert "pydantic" not in str(raised.value)


def test_a_grader_may_stand_in_a_request_as_a_job_has_it():
    assert json.dumps(read_grader({"grader": EQUAL}, "g.json").model_dump()) == json.dumps(
        read_grader(EQUAL, "g.json").model_dump()
    )


def test_identity_is_the_content():
    assert loaded(EQUAL).identity == loaded(dict(reversed(EQUAL.items()))).identity
    assert loaded(EQUAL).identity != loaded({**EQUAL, "operation": "ne"}).identity
