"""What a function of each form is called with, made of items as plain data. Runs in the grader's own process.

arguments("trl", Parameters(...), items, log)     # {"prompts": [...], "completions": [...], "answer": [...]}
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from harness.core.graders.forms import FORM, RUBRIC, RUBRIC_GROUP, TRL_EXTRAS, WHOLE_ROW, FormName, Parameters
from harness.core.graders.missing import MissingColumn
from harness.core.graders.sample import sample_of

_PLURALS = ("answers", "infos", "tasks")  # of verifiers; a column of that name is meant where a row has one
_LABELS = ("label", "labels", "answer", "reference_answer", "reference", "ground_truth")  # OpenRLHF lets one choose


@dataclass(frozen=True)
class PlainItem:
    """An `Item` as it crossed the pipe: the prompt as text or as dicts of role and content."""

    prompt: Any
    response: str
    row: dict[str, Any]
    tokens: list[int]

    @property
    def messages(self) -> list[dict[str, Any]]:
        asked = [{"role": "user", "content": self.prompt}] if isinstance(self.prompt, str) else self.prompt
        return [*asked, {"role": "assistant", "content": self.response}]

    @property
    def completion(self) -> Any:
        """The answer, of the prompt's kind: a text, or a list of one message."""
        return self.response if isinstance(self.prompt, str) else self.messages[-1:]

    @property
    def asked(self) -> str:
        """The prompt as one text, for forms that know no messages."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(f"{message['role']}: {message['content']}" for message in self.prompt) + "\nassistant: "


@dataclass
class Log:
    """What TRL's functions note beside their rewards."""

    metrics: dict[str, float] = field(default_factory=dict)

    def metric(self, name: str, value: Any) -> None:
        self.metrics[str(name)] = float(value)

    def extra(self, column: str, values: Any) -> None:
        """A column of TRL's printed table, which nothing shows here."""


class Message(dict[str, Any]):
    """A message that is read as m["content"] and as m.content: Fireworks' functions do either."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Parser:
    """verifiers' plain parser: the answer is the last message, as it is."""

    def parse(self, text: str) -> str:
        return text

    def parse_answer(self, completion: Any) -> str:
        return completion if isinstance(completion, str) else str(completion[-1]["content"])


def required_columns(form: FormName, parameters: Parameters, row: Mapping[str, Any]) -> None:
    """Raises MissingColumn where a row cannot be graded: what is named and has no default must be there."""
    if form == "verl":
        given = {"solution_str", "extra_info"} | ({"ground_truth"} if _verl_truth(row) is not None else set())
    elif form in WHOLE_ROW:
        return
    elif form == "openrlhf":
        given = {"queries", "prompts", "labels"} if any(name in row for name in _LABELS) else {"queries", "prompts"}
    else:
        given = set(_GIVEN.get(form, ()))
    if missing := [name for name in parameters.required if name not in given and name not in row]:
        raise MissingColumn.of(missing, row)


def arguments(form: FormName, parameters: Parameters, items: Sequence[PlainItem], log: Log) -> dict[str, Any]:
    """Arguments of one call by name: of all items for a batched form, of the only one for the others."""
    made = _batch(form, parameters, items, log) if FORM[form].batched else _MAKE[form](items[0])
    if parameters.rest is None and form not in WHOLE_ROW:
        return {name: value for name, value in made.items() if name in parameters.names}
    return made


def _batch(form: FormName, parameters: Parameters, items: Sequence[PlainItem], log: Log) -> dict[str, Any]:
    names = dict.fromkeys(name for item in items for name in item.row)
    columns: dict[str, Any] = {name: [item.row.get(name) for item in items] for name in names}
    prompts = [item.prompt for item in items]
    match form:
        case "trl":
            extras = {
                "completion_ids": [item.tokens for item in items],
                "trainer_state": None,
                "log_extra": log.extra,
                "log_metric": log.metric,
            }
            return {**columns, **extras, "prompts": prompts, "completions": [item.completion for item in items]}
        case "rubric_group":
            one = [_rubric(item) for item in items]
            return {
                **{plural: [objects[plural[:-1]] for objects in one] for plural in RUBRIC_GROUP - {"parser"}},
                **{plural: columns[plural] for plural in _PLURALS if plural in columns},
                "parser": Parser(),
            }
        case "openrlhf":
            texts = [item.asked for item in items]
            return {
                **columns,
                "queries": [text + item.response for text, item in zip(texts, items, strict=True)],
                "prompts": texts,
                "labels": [next((item.row[name] for name in _LABELS if name in item.row), None) for item in items],
            }
    return {**columns, "prompts": prompts, "responses": [item.response for item in items]}


def _openai(item: PlainItem) -> dict[str, Any]:
    return {"sample": sample_of(item.response), "item": item.row}


def _rubric(item: PlainItem) -> dict[str, Any]:
    info = item.row.get("info", {})
    objects = {
        "prompt": item.prompt,
        "completion": item.completion,
        "answer": item.row.get("answer", ""),
        "info": json.loads(info) if isinstance(info, str) else info,
        "task": item.row.get("task", "default"),
    }
    return {**objects, "state": {**item.row, **objects}, "parser": Parser()}


def _verifiers(item: PlainItem) -> dict[str, Any]:
    data = SimpleNamespace(**{**item.row, "prompt": item.prompt})
    trace = SimpleNamespace(last_reply=item.response, transcript=item.messages, task=data)
    return {"self": SimpleNamespace(data=data), "trace": trace}


def _verl_truth(row: Mapping[str, Any]) -> Any:
    model = row.get("reward_model")
    return model["ground_truth"] if isinstance(model, dict) and "ground_truth" in model else row.get("ground_truth")


def _verl(item: PlainItem) -> dict[str, Any]:
    own = {"solution_str": item.response, "ground_truth": _verl_truth(item.row), "extra_info": {}}
    return {**own, **{name: item.row[name] for name in ("data_source", "extra_info") if name in item.row}}


def _fireworks(item: PlainItem) -> dict[str, Any]:
    return {**item.row, "messages": [Message(message) for message in item.messages]}


def _bedrock(item: PlainItem) -> dict[str, Any]:
    """An event of one: ids are the rows' own, and several answers to a prompt have the same."""
    sample = {"metadata": item.row, **item.row, "id": str(item.row.get("id", "0")), "messages": item.messages}
    return {"event": [sample], "context": SimpleNamespace(function_name="grader", aws_request_id="local")}


def _eval_protocol(item: PlainItem) -> dict[str, Any]:
    from eval_protocol.models import EvaluationRow  # type: ignore[import-not-found]  # where it is installed
    from eval_protocol.models import Message as Said

    messages = [Said(role=message["role"], content=message["content"]) for message in item.messages]
    about = {"dataset_info": item.row}
    return {"row": EvaluationRow(messages=messages, ground_truth=item.row.get("ground_truth"), input_metadata=about)}


def _promptfoo(item: PlainItem) -> dict[str, Any]:
    context = {
        "prompt": item.asked if isinstance(item.prompt, str) else json.dumps(item.prompt),
        "vars": item.row,
        "test": {"vars": item.row},
        "config": {},
        "logProbs": None,
        "provider": None,
        "providerResponse": None,
    }
    return {"output": item.response, "context": context}


_MAKE: dict[str, Callable[[PlainItem], dict[str, Any]]] = {
    "single": lambda item: {**item.row, "prompt": item.prompt, "response": item.response},
    "openai": _openai,
    "rubric": _rubric,
    "verifiers": _verifiers,
    "verl": _verl,
    "fireworks": _fireworks,
    "bedrock": _bedrock,
    "eval_protocol": _eval_protocol,
    "promptfoo": _promptfoo,
    "tinker": lambda item: {"self": item.row, "sample_str": item.response},
}
_GIVEN: dict[FormName, frozenset[str]] = {  # parameters that are no columns
    "single": frozenset({"prompt", "response"}),
    "batched": frozenset({"prompts", "responses"}),
    "trl": frozenset({"prompts", "completions"}) | TRL_EXTRAS,
    "rubric": RUBRIC,
    "rubric_group": RUBRIC_GROUP,
    "verifiers": frozenset({"self", "trace"}),
    "fireworks": frozenset({"messages"}),
    "bedrock": frozenset({"event", "context"}),
    "promptfoo": frozenset({"output", "context"}),
    "tinker": frozenset({"self", "sample_str"}),
}
