"""Grades by OpenAI's grader JSON.

grader = openai_grader(read_grader(data, "grader.json"), "grader.json", Outside(ask=...), Limits())
grader.grade(items)
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.graders.forms import FORM
from harness.core.graders.formula import Formula
from harness.core.graders.function_grader import FunctionGrader, identity_of
from harness.core.graders.grade import Ask, AskError, Embed, Grade, Grader, Item, Outside, Reads, Reply, joined
from harness.core.graders.openai_form import (
    RANGE,
    LabelModel,
    Multi,
    OpenAIGrader,
    Python,
    ScoreModel,
    StringCheck,
    TextSimilarity,
)
from harness.core.graders.similarity import similarity
from harness.core.graders.source import columns_read, functions_of, in_place
from harness.core.graders.template import Template, Unfilled, namespaces
from harness.core.graders.worker import Job, Limits, Worker, one_line
from harness.core.thinking import after_thinking

# OpenAI's service asks for this form by a response format, which not every server has; so it is asked for in words
_SCORE_FORM = (
    'Reply with one JSON object and nothing else: {{"steps": [{{"description": "...", "conclusion": "..."}}], '
    '"result": NUMBER}}, where result is the score, a number from {low:g} to {high:g}.'
)
_LABEL_FORM = (
    'Reply with one JSON object and nothing else: {{"steps": [{{"description": "...", "conclusion": "..."}}], '
    '"result": "LABEL"}}, where result is one of: {labels}.'
)
_FENCED = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


def openai_grader(read: OpenAIGrader, where: str, outside: Outside, limits: Limits) -> Grader:
    """Raises UserError for templates and formulas that are none, and where `outside` lacks what the grader needs."""
    name = read.name or where
    match read:
        case Multi():
            return _MultiGrader.of(read, where, outside, limits)
        case Python():
            return _python(read, where, limits)
        case StringCheck():
            operation = read.operation
            texts = _templates([read.input, read.reference], where)
            return _Templated(
                name, _identity(read, {}), texts, _Comparison(lambda a, b: float(_CHECKS[operation](a, b)))
            )
        case TextSimilarity():
            return _similarity(read, where, outside)
        case ScoreModel() | LabelModel():
            return _model(read, where, outside)


_CHECKS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "neq": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}


@dataclass(frozen=True)
class _Templated:
    """Grades by what its templates say of an item: string_check, text_similarity, score_model and label_model."""

    name: str
    identity: str
    templates: tuple[Template, ...]
    graded: Callable[[Sequence[Sequence[str]]], list[Grade]]  # of the filled templates of several items, in order

    @property
    def reads(self) -> Reads:
        return joined([template.reads for template in self.templates])

    def grade(self, items: Sequence[Item]) -> list[Grade]:
        filled = [self._filled(item) for item in items]
        found = iter(self.graded([texts for texts in filled if not isinstance(texts, Grade)]))
        return [texts if isinstance(texts, Grade) else next(found) for texts in filled]

    def close(self) -> None:
        """Holds no process."""

    def _filled(self, item: Item) -> list[str] | Grade:
        try:
            return [template.text(namespaces(item)) for template in self.templates]
        except Unfilled as missing:
            return Grade.failed(missing.error, missing.detail)


@dataclass(frozen=True)
class _Comparison:
    """A number from each pair of texts."""

    compared: Callable[[str, str], float]

    def __call__(self, pairs: Sequence[Sequence[str]]) -> list[Grade]:
        return [Grade(self.compared(text, reference)) for text, reference in pairs]


@dataclass(frozen=True)
class _Asked:
    """A number from the reply of a chat model to each question; all are asked together."""

    roles: tuple[str, ...]
    form: str  # what the reply should look like
    model: str
    sampling: Mapping[str, object]
    ask: Ask
    score: Callable[[Any], Grade]  # of what the reply holds under "result"

    def __call__(self, questions: Sequence[Sequence[str]]) -> list[Grade]:
        last = {"role": "system", "content": self.form}
        said = [
            [*({"role": role, "content": text} for role, text in zip(self.roles, texts, strict=True)), last]
            for texts in questions
        ]
        return [self._graded(reply) for reply in self.ask(said, self.model, self.sampling)] if said else []

    def _graded(self, reply: Reply | AskError) -> Grade:
        if isinstance(reply, AskError):
            return Grade.failed("model_grader_server_error", one_line(str(reply)))
        if reply.withheld == "refused":
            return Grade.failed("model_grader_refusal_error", f"it refused: {one_line(reply.text)[:80]}")
        if reply.withheld is not None:
            return Grade.failed("model_grader_parse_error", f"its reply was {reply.withheld}")
        return self.score(_result(after_thinking(reply.text) or ""))


class _MultiGrader:
    """A formula over the scores of several graders, all of which grade every item."""

    def __init__(self, name: str, parts: Mapping[str, Grader], formula: Formula) -> None:
        self.name, self._parts, self._formula = name, parts, formula
        self.reads: Reads = joined([part.reads for part in parts.values()])
        self.identity = digest([formula.written, {name: part.identity for name, part in parts.items()}])[:20]

    @classmethod
    def of(cls, read: Multi, where: str, outside: Outside, limits: Limits) -> "_MultiGrader":
        formula = Formula.of(read.calculate_output, list(read.graders), f"{where}, calculate_output")
        parts = {
            name: openai_grader(part, f"{where}, graders.{name}", outside, limits)
            for name, part in read.graders.items()
        }
        return cls(read.name or where, parts, formula)

    def grade(self, items: Sequence[Item]) -> list[Grade]:
        columns = {name: part.grade(items) for name, part in self._parts.items()}
        return [self._of({name: grades[i] for name, grades in columns.items()}) for i in range(len(items))]

    def close(self) -> None:
        for part in self._parts.values():
            part.close()

    def _of(self, grades: Mapping[str, Grade]) -> Grade:
        scores = {name: grade.score for name, grade in grades.items()}
        for name, grade in grades.items():
            if grade.error is not None and name in self._formula.names:
                return Grade.failed(grade.error, f"{name}: {grade.detail}", scores)
        try:
            value = self._formula.value({name: scores[name] for name in self._formula.names})
        except (ArithmeticError, ValueError) as error:
            return Grade.failed("formula_parse_error", f"{self._formula.written} has no value: {error}", scores)
        if not math.isfinite(value):
            return Grade.failed("formula_parse_error", f"{self._formula.written} is {value}", scores)
        return Grade(value, metrics=scores)


def _python(read: Python, where: str, limits: Limits) -> Grader:
    given = functions_of(read.source, where)["grade"]
    if len(given.parameters.required) != 2:
        raise UserError(f"{where}: its function is grade{given.parameters}; write grade(sample, item)")
    function, form = in_place(given, ("sample", "item")), FORM["openai"]
    job = Job(f"{where}:source", read.source, "grade", form.name, function.parameters, by_place=True)
    grader = FunctionGrader(
        read.name or where,
        identity_of("source", {"source": digest(read.source)}, "grade", form.name, limits),
        columns_read(function, form),
        Worker(job, limits),
    )
    grader.start()
    return grader


def _similarity(read: TextSimilarity, where: str, outside: Outside) -> Grader:
    metric, embed = read.evaluation_metric, outside.embed
    assert metric != "meteor", "refused when it was read"
    if metric == "cosine" and embed is None:
        raise UserError(
            f"{where}: cosine needs a model that embeds texts, and none is set; take rouge_l or fuzzy_match"
        )
    used: Embed | None = embed if metric == "cosine" else None
    words = {"words": "of any script"} if metric.startswith("rouge") else {}
    identity = _identity(read, _only(outside, "embed") if metric == "cosine" else words)
    texts = _templates([read.input, read.reference], where)
    return _Templated(read.name or where, identity, texts, _Comparison(lambda a, b: similarity(metric, a, b, used)))


def _model(read: ScoreModel | LabelModel, where: str, outside: Outside) -> Grader:
    if outside.ask is None:
        raise UserError(
            f"{where}: it asks the model {read.model}, and no chat server is set to ask it at; give one, such as "
            "--set data.endpoint=https://api.openai.com/v1 (lm_eval.endpoint with --task lm_eval:NAME; `score` has "
            "--endpoint)"
        )
    sampling = read.sampling_params.model_dump(exclude_none=True) if read.sampling_params else {}
    score: Callable[[Any], Grade]
    if isinstance(read, ScoreModel):
        low, high = read.range or RANGE
        form = _SCORE_FORM.format(low=low, high=high)
        score = partial(_scored, low=low, high=high)
    else:
        labels, passing = read.labels, read.passing_labels
        form = _LABEL_FORM.format(labels=", ".join(map(json.dumps, labels)))
        score = partial(_labelled, labels=labels, passing=passing)
    return _Templated(
        read.name or where,
        _identity(read, {"form": form, "reads": "what follows thoughts", **_only(outside, "ask")}),
        _templates([message.text for message in read.input], where),
        _Asked(tuple(message.role for message in read.input), form, read.model, sampling, outside.ask, score),
    )


def _scored(result: Any, low: float, high: float) -> Grade:
    """A number, brought into the range as OpenAI's service does; what is none is an error here and 0 there."""
    if isinstance(result, bool) or not isinstance(result, int | float) or not math.isfinite(result):
        return Grade.failed("model_grader_parse_error", f"its reply has no number: {one_line(str(result))[:80]}")
    return Grade(float(min(max(result, low), high)))


def _labelled(result: Any, labels: Sequence[str], passing: Sequence[str]) -> Grade:
    said = str(result).strip()
    if said not in labels:
        return Grade.failed("model_grader_parse_error", f"its reply is none of the labels: {one_line(said)[:80]}")
    return Grade(float(said in passing))


def _result(text: str) -> Any:
    """What a reply holds: `result` of its JSON object, fenced or not, or the JSON value that it is, or its text."""
    fenced = _FENCED.findall(text)
    for candidate in (text, *fenced[-1:]):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return value.get("result") if isinstance(value, dict) else value
    return text


def _templates(texts: Sequence[str], where: str) -> tuple[Template, ...]:
    return tuple(Template.of(text, where) for text in texts)


def _only(outside: Outside, name: str) -> dict[str, str]:
    return {key: value for key, value in outside.identity.items() if key == name}


def _identity(read: OpenAIGrader, used: Mapping[str, str]) -> str:
    return digest([read.model_dump(mode="json"), dict(used)])[:20]
