"""OpenAI's grader JSON, field by field, as openai-python's `types/graders` has it.

read_grader({"type": "string_check", "input": "{{ sample.output_text }}", "reference": "4", "operation": "eq"}, "it")
"""

import ast
import json
import keyword
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from harness.core.errors import UserError, unknown
from harness.core.graders.formula import FUNCTIONS

MAX_SOURCE = 256 * 1024  # bytes of a python grader (OpenAI's guide)
RANGE = (0.0, 1.0)  # of a score_model that names none
_METRICS = Literal[
    "cosine", "fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Named(_Strict):
    name: str | None = None  # the API's examples leave it out


class StringCheck(_Named):
    type: Literal["string_check"]
    input: str
    reference: str
    operation: Literal["eq", "ne", "neq", "like", "ilike"]  # the guide's prose writes ne as neq


class TextSimilarity(_Named):
    type: Literal["text_similarity"]
    input: str
    reference: str
    evaluation_metric: _METRICS
    pass_threshold: float | None = None  # of evals, where it makes a pass of a score; the score is what counts here

    @field_validator("evaluation_metric")
    @classmethod
    def _no_meteor(cls, metric: str) -> str:
        if metric == "meteor":
            raise ValueError("meteor needs WordNet's data, which no package brings; take rouge_l, bleu or fuzzy_match")
        return metric


class Part(_Strict):
    """A text of a message that is given in parts."""

    type: Literal["input_text", "output_text", "text"]
    text: str


_OTHER_PARTS = ("input_image", "input_audio", "image_url", "input_file")  # of vendors; models here read texts


class Said(_Strict):
    """A message to the grading model."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | Part | list[str | Part]
    type: Literal["message"] | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _texts_alone(cls, content: Any) -> Any:
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, Mapping) and part.get("type") in _OTHER_PARTS:
                raise ValueError(f"a part of type {part['type']} cannot be graded here; give texts")
        return content

    @property
    def text(self) -> str:
        parts = self.content if isinstance(self.content, list) else [self.content]
        return "\n".join(part if isinstance(part, str) else part.text for part in parts)


class Sampling(_Strict):
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_completions_tokens: int | None = None
    reasoning_effort: str | None = None


class ScoreModel(_Named):
    type: Literal["score_model"]
    model: str
    input: Annotated[list[Said], Field(min_length=1)]
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    sampling_params: Sampling | None = None
    pass_threshold: float | None = None

    @field_validator("range")
    @classmethod
    def _ordered(cls, ends: list[float] | None) -> list[float] | None:
        if ends is not None and not ends[0] < ends[1]:
            raise ValueError(f"{ends}; give the lower end first")
        return ends


class LabelModel(_Named):
    type: Literal["label_model"]
    model: str
    input: Annotated[list[Said], Field(min_length=1)]
    labels: Annotated[list[str], Field(min_length=1)]
    passing_labels: Annotated[list[str], Field(min_length=1)]
    sampling_params: Sampling | None = None

    @model_validator(mode="after")
    def _known(self) -> "LabelModel":
        if other := [label for label in self.passing_labels if label not in self.labels]:
            raise ValueError(f"passing_labels has {', '.join(other)}, which labels has not")
        return self


class Python(_Named):
    type: Literal["python"]
    source: str
    image_tag: str | None = None  # the container that it ran in; here it has this environment's packages

    @field_validator("source")
    @classmethod
    def _grades(cls, source: str) -> str:
        if len(source.encode()) > MAX_SOURCE:
            raise ValueError(f"{len(source.encode())} bytes; OpenAI's graders have at most {MAX_SOURCE}")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:
            at = f" in line {error.lineno}: {(error.text or '').strip()}" if isinstance(error, SyntaxError) else ""
            raise ValueError(f"this is no Python: {getattr(error, 'msg', error)}{at}") from error
        if not any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == "grade" for n in tree.body):
            raise ValueError("it defines no function grade(sample, item)")
        return source


Single = Annotated[
    StringCheck | TextSimilarity | ScoreModel | LabelModel | Python, Field(discriminator="type")
]  # whatever may stand in a multi grader


class Multi(_Named):
    type: Literal["multi"]
    graders: dict[str, Single]
    calculate_output: str

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        """The API's type has one grader in place of the dict as well; its own name is then the formula's."""
        graders = data.get("graders") if isinstance(data, Mapping) else None
        if isinstance(graders, Mapping) and isinstance(graders.get("type"), str):
            return {**data, "graders": {str(graders.get("name")): graders}}
        return data

    @field_validator("graders")
    @classmethod
    def _names(cls, graders: dict[str, Any]) -> dict[str, Any]:
        if not graders:
            raise ValueError("there is no grader in it")
        for name in graders:
            if not name.isidentifier() or keyword.iskeyword(name) or name in FUNCTIONS:
                raise ValueError(f"{name!r} is no name that a formula can hold; take letters, digits and _")
        return graders


OpenAIGrader = StringCheck | TextSimilarity | ScoreModel | LabelModel | Python | Multi
_KINDS: dict[str, type[_Named]] = {
    "string_check": StringCheck, "text_similarity": TextSimilarity, "score_model": ScoreModel,
    "label_model": LabelModel, "python": Python, "multi": Multi,
}  # fmt: skip
_ANY: TypeAdapter[OpenAIGrader] = TypeAdapter(Annotated[OpenAIGrader, Field(discriminator="type")])


def read_grader(data: Any, where: str) -> OpenAIGrader:
    """A grader from parsed JSON. Raises UserError, which begins with `where`, for the first thing that is wrong."""
    if not isinstance(data, Mapping):
        raise UserError(f"{where} is a {type(data).__name__}; a grader is an object with type, name, ...")
    if list(data) == ["grader"] or ("type" not in data and isinstance(data.get("grader"), Mapping)):
        return read_grader(data["grader"], where)  # as a request for a fine-tuning job has it
    _require_kinds(data, where)
    try:
        return _ANY.validate_json(json.dumps(data))
    except ValidationError as error:
        raise UserError(f"{where}: {_first(error, data)}") from error
    except TypeError as error:  # YAML reads 2024-01-01 as a date
        raise UserError(f"{where}: {_unquoted(data)}") from error


def _require_kinds(data: Mapping[str, Any], where: str) -> None:
    """Says which types there are before anything else is said."""
    kind = data.get("type")
    if not isinstance(kind, str):
        raise UserError(f"{where} has no type; give one of {', '.join(_KINDS)}")
    if kind not in _KINDS:
        raise UserError(f"{where}: {unknown('type', kind, _KINDS)}")
    graders = data.get("graders")
    if kind == "multi" and isinstance(graders, Mapping) and not isinstance(graders.get("type"), str):
        for name, inner in graders.items():
            if not isinstance(inner, Mapping):
                raise UserError(f"{where}, graders.{name} is a {type(inner).__name__}; give a grader")
            _require_kinds(inner, f"{where}, graders.{name}")
            if inner["type"] == "multi":
                raise UserError(f"{where}, graders.{name} is a multi grader, and one may not stand in another")


def _unquoted(data: Any, place: str = "it") -> str:
    """Names the first value that JSON does not have."""
    parts: list[tuple[Any, Any]] = []
    if isinstance(data, Mapping):
        if odd := [key for key in data if not isinstance(key, str | int | float | None)]:
            return f"{place} has the key {odd[0]}, which is a {type(odd[0]).__name__}; put it in quotes"
        parts = list(data.items())
    elif isinstance(data, list | tuple):
        parts = list(enumerate(data))
    elif not isinstance(data, str | int | float | None):
        return f"{place} is {data}, which is a {type(data).__name__}; put it in quotes"
    found = (_unquoted(value, f"{name}" if place == "it" else f"{place}.{name}") for name, value in parts)
    return next(filter(None, found), "")


def _first(error: ValidationError, data: Mapping[str, Any]) -> str:
    """The first of pydantic's errors in this project's words."""
    first = error.errors()[0]
    steps = _steps([str(step) for step in first["loc"]])
    place = ".".join(steps) or "it"
    match first["type"]:
        case "extra_forbidden":
            valid = sorted(_fields(data, steps))
            return str(unknown("field", steps[-1], valid)) + (f" (in {place})" if len(steps) > 1 else "")
        case "missing":
            return f"{place} is missing"
        case "value_error":
            said = first["msg"].removeprefix("Value error, ")
            return f"{place}: {said}" if steps else said
    return f"{place} is {str(first['input'])[:60]!r}: {first['msg']}"


def _steps(place: list[str]) -> list[str]:
    """A place as the file has it: pydantic puts a grader's type before its fields, and parts may be called like one."""
    steps = place[1:] if place[:1] and place[0] in _KINDS else place
    is_typed = steps[:1] == ["graders"] and len(steps) > 2 and steps[2] in _KINDS
    return [*steps[:2], *steps[3:]] if is_typed else steps


def _fields(data: Mapping[str, Any], steps: list[str]) -> set[str]:
    """The fields that there are where an unknown one stands."""
    here = data
    if steps[:1] == ["graders"] and len(steps) > 2:
        graders = data["graders"]
        here = graders if "type" in graders else graders[steps[1]]
        steps = steps[2:]
    models: dict[str, type[BaseModel]] = {"sampling_params": Sampling, "input": Said}
    model = _KINDS[str(here["type"])] if len(steps) == 1 else models.get(steps[0], Said)
    return set(model.model_fields)
