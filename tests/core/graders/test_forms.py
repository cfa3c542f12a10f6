"""Every vendor's form, by an example in the vendor's style, called in the grader's process."""

import sys

import pytest

from harness.core.errors import UserError
from harness.core.graders.forms import FORMS, Parameters, form_of
from harness.core.graders.grade import Item
from harness.core.graders.load import load_grader
from harness.core.types import Message

CHAT = (Message("system", "Be brief."), Message("user", "What is 2 + 2?"))
ROW = {"answer": "4", "reference_answer": "4", "ground_truth": "4", "label": "4", "data_source": "sums"}
RIGHT = Item(CHAT, "It is 4", {**ROW, "reward_model": {"style": "rule", "ground_truth": "4"}})
WRONG = Item("What is 2 + 2?", "It is 5!", RIGHT.row)

EXAMPLES = {
    "ours": (
        "single",
        """
def correct(prompt, response, answer, **row):
    asked = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return asked == "What is 2 + 2?" and answer in response and "label" in row
""",
    ),
    "ours, batched": (
        "batched",
        """
def correct(prompts, responses, answer):
    assert len(prompts) == len(responses) == len(answer)
    return [float(a in r) for r, a in zip(responses, answer)]
""",
    ),
    "OpenAI": (
        "openai",
        """
from typing import Any

def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    said = sample["choices"][0]["message"]["content"]
    assert said == sample["output_text"] and sample["output_tools"] == []
    return 1.0 if item["reference_answer"] in said else 0.0
""",
    ),
    "Azure": (
        "openai",
        """
def grade(sample, item):
    return {"result": item["reference_answer"] in sample["output_text"], "reason": "looked for the number"}
""",
    ),
    "TRL": (
        "trl",
        """
def accuracy_reward(prompts, completions, ground_truth, completion_ids, trainer_state, log_extra, log_metric, **kwargs):
    log_extra("said", ["x"] * len(completions))
    log_metric("mean_length", 7.0)
    said = [c if isinstance(c, str) else c[0]["content"] for c in completions]
    kinds = [isinstance(p, str) == isinstance(c, str) for p, c in zip(prompts, completions)]
    assert all(kinds) and len(completion_ids) == len(said) and "label" in kwargs
    return [1.0 if truth in text else 0.0 for text, truth in zip(said, ground_truth)]
""",
    ),
    "TRL, completions first": (
        "trl",
        """
async def short_reward(completions, **kwargs):
    said = [c if isinstance(c, str) else c[0]["content"] for c in completions]
    return [1.0 if len(text) < 8 else 0.0 for text in said]
""",
    ),
    "verifiers": (
        "rubric",
        """
async def correct_answer(completion, answer, state, task, info, parser) -> float:
    assert state["answer"] == answer and task == "default" and info == {}
    return 1.0 if answer in parser.parse_answer(completion) else 0.0
""",
    ),
    "verifiers, a group": (
        "rubric_group",
        """
def best_of_group(completions, answers, states):
    said = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
    return [float(a in text and s["answer"] == a) for text, a, s in zip(said, answers, states)]
""",
    ),
    "verl": (
        "verl",
        """
import re

def extract_solution(solution_str):
    found = re.findall(r"\\d+", solution_str)
    return found[-1] if found else None

def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    right = extract_solution(solution_str) == ground_truth
    return {"score": 1.0 if right else 0.0, "acc": right}
""",
    ),
    "Fireworks": (
        "fireworks",
        """
from dataclasses import dataclass, field

@dataclass
class EvaluateResult:
    score: float
    is_score_valid: bool = True
    reason: str = ""
    metrics: dict = field(default_factory=dict)

def evaluate(messages, ground_truth=None, **kwargs):
    last = messages[-1]
    assert last.role == "assistant" and last.content == last["content"]
    return EvaluateResult(float(ground_truth in last.content), metrics={"length": {"score": 0.5, "reason": ""}})
""",
    ),
    "Bedrock": (
        "bedrock",
        """
def lambda_handler(event, context):
    found = []
    for sample in event:
        truth = sample["reference_answer"]
        assert truth == sample["metadata"]["reference_answer"] and sample["messages"][-1]["role"] == "assistant"
        right = 1.0 if truth in sample["messages"][-1]["content"] else 0.0
        listed = [{"name": "accuracy", "value": right, "type": "Reward"}]
        found.append({"id": sample["id"], "aggregate_reward_score": right, "metrics_list": listed})
    return found[::-1]
""",
    ),
    "promptfoo": (
        "promptfoo",
        """
def get_assert(output, context):
    right = context["vars"]["answer"] in output
    return {"pass": right, "score": 1.0 if right else 0.0, "reason": "contains"}
""",
    ),
    "OpenRLHF": (
        "openrlhf",
        """
def reward_func(queries, prompts, labels):
    said = [query[len(prompt):] for query, prompt in zip(queries, prompts)]
    rewards = [float(label in text) for text, label in zip(said, labels)]
    return {"rewards": rewards, "scores": rewards, "extra_logs": {}}
""",
    ),
}


@pytest.mark.parametrize("vendor", EXAMPLES)
def test_an_example_in_the_vendors_form_is_told_apart_and_graded(vendor, tmp_path):
    form, source = EXAMPLES[vendor]
    (tmp_path / "mine.py").write_text(source)
    grader = load_grader(str(tmp_path / "mine.py"))
    try:
        assert grader._worker.job.form == form
        grades = grader.grade([RIGHT, WRONG])
        assert [(grade.score, grade.error) for grade in grades] == [(1.0, None), (0.0, None)], grades
    finally:
        grader.close()


def test_metrics_beside_the_score_are_kept(tmp_path):
    for vendor, metrics in {
        "verl": {"acc": 1.0},
        "TRL": {"mean_length": 7.0},
        "Bedrock": {"accuracy": 1.0},
        "Fireworks": {"length": 0.5},
    }.items():
        (tmp_path / "mine.py").write_text(EXAMPLES[vendor][1])
        grader = load_grader(str(tmp_path / "mine.py"))
        assert dict(grader.grade([RIGHT])[0].metrics) == metrics, vendor
        grader.close()


TINKER = """
class ProblemEnv:  # of the cookbook: what it takes from a subclass
    def __init__(self, renderer, convo_prefix=None, format_coef=0.1):
        assert renderer is None and convo_prefix is None
        self.format_coef = format_coef

class Sums(ProblemEnv):
    def __init__(self, answer, renderer, convo_prefix=None, label="", coefficient=0.5):
        super().__init__(renderer, convo_prefix, coefficient)
        self.answer, self.label = answer, label

    def get_question(self): raise AssertionError("prompts are those of the data")
    def get_reference_answer(self): return self.answer
    def check_answer(self, sample_str): return self.answer in sample_str and self.label == "4"
    def check_format(self, sample_str): return not sample_str.endswith("!")
"""


def test_a_class_of_tinker_is_made_of_the_row_and_asked_about_the_answer(tmp_path):
    (tmp_path / "mine.py").write_text(TINKER)
    grader = load_grader(f"{tmp_path / 'mine.py'}:Sums")
    assert grader.reads == {"answer", "label", "coefficient"}
    grades = grader.grade([RIGHT, WRONG, Item("p", "It is 4!", ROW), Item("p", "4", {"label": "4"})])
    assert [grade.score for grade in grades[:3]] == [1.0, -0.5, 0.5]
    assert dict(grades[2].metrics) == {"check_answer": 1.0, "check_format": 0.0}
    assert grades[3].error == "invalid_variable_error" and "it asks for answer; the row has label" in grades[3].detail
    grader.close()
    (tmp_path / "mine.py").write_text(TINKER.replace('label="", coefficient=0.5', '**more, label="", coefficient=0.5'))
    with pytest.raises(UserError, match="is no Python"):
        load_grader(f"{tmp_path / 'mine.py'}:Sums")
    (tmp_path / "mine.py").write_text(TINKER.replace("coefficient=0.5)", "coefficient=0.5, **more)"))
    grader = load_grader(f"{tmp_path / 'mine.py'}:Sums")
    assert grader.reads == "everything" and grader.grade([RIGHT])[0].score == 1.0
    grader.close()


@pytest.mark.parametrize("required, vendor", [(("trajectory",), "ART grades"), (("group", "judge"), "ART grades"),
                                              (("env", "state"), "it grades a rollout")])  # fmt: skip
def test_what_grades_more_than_an_answer_is_refused_by_name_with_what_to_do(required, vendor):
    with pytest.raises(UserError, match=rf"{vendor}.*not run here; write what it makes of the last answer as \(pr"):
        form_of(Parameters("f", required))


def test_a_reward_of_verifiers_v1_runs_where_its_package_is_installed(tmp_path, monkeypatch):
    source = (
        "import verifiers as vf\n\nclass Sums(vf.Task):\n    @vf.reward(weight=1.0)\n"
        "    async def correct(self, trace) -> float:\n        return float(self.data.answer in trace.last_reply)\n"
    )
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(UserError, match="needs the package verifiers"):
        load_grader(str(tmp_path / "mine.py"))
    stand_in = "class Task: pass\n\ndef reward(weight=1.0):\n    return lambda function: function\n"
    (tmp_path / "verifiers.py").write_text(stand_in)
    monkeypatch.syspath_prepend(tmp_path)
    grader = load_grader(f"{tmp_path / 'mine.py'}:Sums.correct")
    assert [grade.score for grade in grader.grade([RIGHT, WRONG])] == [1.0, 0.0]
    assert grader.reads == frozenset({"answer"})
    grader.close()


def test_a_row_of_eval_protocol_is_refused_where_its_package_is_missing(tmp_path):
    (tmp_path / "mine.py").write_text("def test_correct(row):\n    return row\n")
    with pytest.raises(UserError, match=r"eval-protocol, \(row\), which needs the package eval_protocol"):
        load_grader(str(tmp_path / "mine.py"))


EVAL_PROTOCOL = """
class _Model:
    def __init__(self, **given):
        vars(self).update({"evaluation_result": None, **given})

    def model_dump(self):
        return {name: value.model_dump() if isinstance(value, _Model) else value for name, value in vars(self).items()}

class EvaluationRow(_Model): pass
class Message(_Model): pass
class EvaluateResult(_Model): pass

def evaluation_test(**settings):
    def wrap(function):
        async def dual(*args, **kwargs):
            assert len(args) == 1 and not kwargs, "called in another way, the real one starts pytest's machinery"
            return function(row=args[0])
        return dual
    return wrap
"""

EVALUATION = """
from eval_protocol import EvaluateResult, EvaluationRow, evaluation_test

@evaluation_test(mode="pointwise")
def test_correct(row: EvaluationRow) -> EvaluationRow:
    right = row.ground_truth in row.messages[-1].content
    row.evaluation_result = EvaluateResult(score=float(right), is_score_valid=True)
    return row
"""


def test_a_row_of_eval_protocol_is_graded_where_its_package_is_installed(tmp_path, monkeypatch):
    (tmp_path / "eval_protocol").mkdir()
    (tmp_path / "eval_protocol/__init__.py").write_text("from eval_protocol.models import *\n")
    (tmp_path / "eval_protocol/models.py").write_text(EVAL_PROTOCOL)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(EVALUATION)
    grader = load_grader(str(tmp_path / "mine.py"))
    assert [grade.score for grade in grader.grade([RIGHT, WRONG])] == [1.0, 0.0]
    assert grader.reads == "everything"
    grader.close()


@pytest.mark.parametrize(
    "function, required, form",
    [
        ("f", ("prompt", "response"), "single"),
        ("f", ("prompts", "completions", "answer"), "trl"),  # singular: a column, as TRL has them
        ("f", ("completions", "answers"), "rubric_group"),
        ("f", ("completion",), "rubric"),
        ("f", ("prompt", "completion", "info"), "rubric"),
        ("f", ("messages",), "fireworks"),
        ("compute_score", ("solution_str", "ground_truth"), "verl"),
        ("f", ("queries", "prompts", "labels"), "openrlhf"),
    ],
)
def test_parameters_tell_the_form(function, required, form):
    assert form_of(Parameters(function, required)).name == form


@pytest.mark.parametrize(
    "required", [(), ("text",), ("answer",), ("completion", "my_column"), ("sample", "item", "more")]
)
def test_other_parameters_are_refused_with_every_form(required):
    with pytest.raises(UserError, match="fits no form") as raised:
        form_of(Parameters("f", required))
    assert all(form.shape in str(raised.value) for form in FORMS)


def test_parameters_of_two_forms_are_ambiguous_unless_the_name_is_one_vendors():
    both = ("queries", "prompts", "labels", "completions")
    with pytest.raises(UserError, match=r"fits several forms \(TRL .*OpenRLHF"):
        form_of(Parameters("f", both))
    assert form_of(Parameters("reward_func", both)).name == "openrlhf"


def test_the_process_has_neither_torch_nor_numpy_from_the_harness(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import sys\ndef f(prompt, response):\n    return len({'torch', 'numpy', 'pydantic'} & set(sys.modules))\n"
    )
    grader = load_grader(str(tmp_path / "mine.py"))
    assert grader.grade([WRONG])[0].score == 0.0
    grader.close()
    assert "mine" not in sys.modules


def graded(tmp_path, source: str, response: str, row: dict, prompt="q") -> tuple[float, str]:
    (tmp_path / "mine.py").write_text(source)
    grader = load_grader(str(tmp_path / "mine.py"))
    [grade] = grader.grade([Item(prompt, response, row)])
    grader.close()
    return grade.score, grade.detail


@pytest.mark.parametrize("column, value", [("answers", ["4", "four"]), ("tasks", "4"), ("infos", {"4": 1})])
def test_a_column_that_is_called_as_a_group_of_verifiers_is_the_column(tmp_path, column, value):
    source = f"def reward(prompts, completions, {column}, **kwargs):\n"
    source += f"    return [float(c in a) for c, a in zip(completions, {column})]\n"
    assert graded(tmp_path, source, "4", {column: value}) == (1.0, "")


@pytest.mark.parametrize("head", ["item, sample", "sample, item", "*, sample, item", "item, *, sample"])
def test_openais_function_is_called_by_its_names(tmp_path, head):
    source = f"def grade({head}):\n    return float(sample['output_text'] == item['answer'])\n"
    assert graded(tmp_path, source, "4", {"answer": "4"})[0] == 1.0
    assert graded(tmp_path, source, "5", {"answer": "4"})[0] == 0.0


def test_bedrocks_ids_are_the_rows_own(tmp_path):
    source = (
        "KEY = {'q1': '4'}\ndef lambda_handler(event, context):\n"
        "    return [{'id': s['metadata']['id'], 'metrics_list': [], 'aggregate_reward_score':"
        " float(s['messages'][-1]['content'] == KEY[s['id']])} for s in event]\n"
    )
    (tmp_path / "mine.py").write_text(source)
    grader = load_grader(str(tmp_path / "mine.py"))
    row = {"id": "q1"}
    assert [g.score for g in grader.grade([Item("q", "4", row), Item("q", "5", row), Item("q", "4", row)])] == [1, 0, 1]
    grader.close()


def test_verls_extra_info_is_a_dict_where_a_row_has_none(tmp_path):
    source = "def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):\n"
    source += "    return float(solution_str == ground_truth) + extra_info.get('index', 0)\n"
    row = {"data_source": "x", "reward_model": {"style": "rule", "ground_truth": "4"}}
    assert graded(tmp_path, source, "4", row) == (1.0, "")
    assert graded(tmp_path, source, "4", {**row, "extra_info": {"index": 2}}) == (3.0, "")
