"""A request's body, checked field by field: what is asked of which model, and every other field by name.

asked = read_chat(body, models, limits)       # Asked; raises Refused, which becomes an error in OpenAI's form

A field that would change the answer and is not understood is refused; fields that only name the caller are ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.core.data.asked import asked_in
from harness.core.data.rows import DataRow
from harness.core.errors import UserError
from harness.core.given_prompts import prompts_of
from harness.core.models.toy import ToyPolicy
from harness.core.types import Prompt
from harness.serve.http.models import Models, Served
from harness.serve.http.writer import Wanted

_IGNORED = (
    "user", "metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier",
    "parallel_tool_calls", "verbosity",
)  # fmt: skip
_NEUTRAL: Mapping[str, Sequence[Any]] = {  # fields that are taken where they ask for nothing
    "frequency_penalty": (None, 0), "presence_penalty": (None, 0), "logit_bias": (None, {}), "logprobs": (None, False),
    "top_logprobs": (None, 0), "tools": (None, []), "tool_choice": (None, "none", "auto"), "functions": (None, []),
    "function_call": (None, "none", "auto"), "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "suffix": (None, ""), "echo": (None, False), "best_of": (None, 1), "audio": (None,), "prediction": (None,),
    "reasoning_effort": (None, "none"), "web_search_options": (None,),
}  # fmt: skip
_STOPS, _STOP_LENGTH = 16, 256


@dataclass(frozen=True)
class Limits:
    """What one request, and the line, may hold."""

    body_bytes: int = 2**20
    n: int = 16
    prompts: int = 64  # of a completion request
    max_tokens: int = 4096
    rows: int = 256
    waiting: int = 256  # answers in line
    traced: int = 4  # answers with a search tree in one reply


class Refused(Exception):
    """An error in OpenAI's terms."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def body(self) -> dict[str, Any]:
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = "server_error" if self.status >= 500 else kinds.get(self.status, "invalid_request_error")
        param = None if self.param is None else _escaped(self.param)
        return {"error": {"message": _escaped(self.message), "type": kind, "param": param, "code": self.code}}


def _escaped(said: str) -> str:
    """With half characters, which no reply can hold, by their numbers."""
    return said.encode(errors="backslashreplace").decode()


class Iro(BaseModel):
    """What belongs to this harness: `extra_body={"iro": {...}}` of openai's client."""

    model_config = ConfigDict(extra="forbid", strict=True)
    trace: bool = False
    rows: Annotated[int, Field(ge=1)] | None = None
    iteration: Annotated[int, Field(ge=0)] | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    include_usage: bool = False


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    model: Annotated[str, Field(min_length=1, max_length=200)]
    n: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    iro: Iro | None = None


B = TypeVar("B", bound=_Body)


class ChatBody(_Body):
    messages: Annotated[list[Any], Field(min_length=1, max_length=1000)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None


class CompletionBody(_Body):
    prompt: str | list[Any]


@dataclass(frozen=True)
class Asked:
    """A request: `wanted` are n answers to each prompt, prompt by prompt."""

    kind: Literal["chat", "text"]
    served: Served
    wanted: Sequence[Wanted]
    n: int
    stream: bool
    include_usage: bool
    trace: bool


def read_chat(body: Any, models: Models, limits: Limits) -> Asked:
    """Raises Refused."""
    read = _parsed(ChatBody, body)
    asked = _said_by(read.messages, models)
    return _asked("chat", read, [asked], read.max_completion_tokens or read.max_tokens, models, limits)


def read_completion(body: Any, models: Models, limits: Limits) -> Asked:
    """Raises Refused."""
    read = _parsed(CompletionBody, body)
    given = [read.prompt] if isinstance(read.prompt, str) else read.prompt
    if not given or not all(isinstance(text, str) for text in given):
        raise Refused(400, "prompt must be a text or a list of texts; token ids are not taken (lm-eval: "
                      "tokenized_requests=False)", "prompt")  # fmt: skip
    if len(given) > limits.prompts:
        raise Refused(400, f"prompt has {len(given)} texts; a request may have {limits.prompts}", "prompt")
    _require_whole("prompt", given)
    if any(not text for text in given):
        raise Refused(400, "prompt is an empty text; write what is to be continued", "prompt")
    return _asked("text", read, prompts_of(given), read.max_tokens, models, limits)


def _parsed(kind: type[B], body: Any) -> B:
    """The typed body. Raises Refused that names the field."""
    if not isinstance(body, dict):
        raise Refused(400, "the body must be a JSON object")
    for name, neutral in _NEUTRAL.items():
        if name in body and not any(_same(body[name], one) for one in neutral):
            raise Refused(400, f"{name} is not supported here; leave it out", name, "unsupported_parameter")
    known = {name: value for name, value in body.items() if name not in _IGNORED and name not in _NEUTRAL}
    try:
        return kind.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(part) for part in first["loc"] if part not in ("str", "int") and not str(part).startswith("list[")]
        param = ".".join(path) or None
        if first["type"] == "extra_forbidden":
            raise Refused(400, f"unknown field {param!r}", param, "unknown_parameter") from error
        if first["type"] == "missing":
            raise Refused(400, f"you must provide {param}", param, "missing_required_parameter") from error
        raise Refused(400, f"{param or 'the body'}: {first['msg'].lower()}", param) from error


def _same(given: Any, neutral: Any) -> bool:
    """0 and 0.0 are one number, and neither is false."""
    return bool(given == neutral) and isinstance(given, bool) == isinstance(neutral, bool)


def _asked(
    kind: Literal["chat", "text"],
    read: _Body,
    prompts: Sequence[Prompt],
    max_tokens: int | None,
    models: Models,
    limits: Limits,
) -> Asked:
    iro, n = read.iro or Iro(), read.n or 1
    served = _named(models, read.model, iro.iteration)
    if n > limits.n:
        raise Refused(400, f"n={n}; a request may ask for {limits.n}", "n")
    if max_tokens is not None and max_tokens > limits.max_tokens:
        raise Refused(400, f"max_tokens={max_tokens}; a request may ask for {limits.max_tokens}", "max_tokens")
    if iro.rows is not None:
        if iro.rows > limits.rows:
            raise Refused(400, f"iro.rows={iro.rows}; a request may ask for {limits.rows}", "iro.rows")
        try:
            served.aligned.at_rows(iro.rows)
        except UserError as error:
            raise Refused(400, str(error), "iro.rows") from error
    if iro.trace and n * len(prompts) > limits.traced:
        raise Refused(400, f"iro.trace shows {limits.traced} answers at most, and {n * len(prompts)} are asked for",
                      "iro.trace")  # fmt: skip
    rule = served.aligned.sampler
    changes: dict[str, Any] = {"stop": _stops(read.stop) or rule.stop}
    changes |= {name: value for name in ("temperature", "top_p") if (value := vars(read)[name]) is not None}
    changes["max_new_tokens"] = _within(served, max_tokens or min(rule.max_new_tokens, limits.max_tokens))
    sampler = replace(rule, **changes)
    seed = read.seed if read.seed is not None else int(served.aligned.about.asked["seed"])
    wanted = [Wanted(served, prompt, sampler, iro.rows, seed + i, iro.trace) for prompt in prompts for i in range(n)]
    usage = read.stream_options is not None and read.stream_options.include_usage
    return Asked(kind, served, wanted, n, bool(read.stream), usage, iro.trace)


def _named(models: Models, name: str, iteration: int | None) -> Served:
    try:
        return models.named(name, iteration)
    except UserError as error:
        if name in models.served:
            raise Refused(400, str(error), "iro.iteration") from error
        status, code = (400, "model_not_served") if name in models.refused else (404, "model_not_found")
        raise Refused(status, str(error), "model", code) from error


def _within(served: Served, tokens: int) -> int:
    """The toy lists all its texts, and ends at the longest."""
    policy = served.aligned.policy
    return min(tokens, policy.length) if isinstance(policy, ToyPolicy) else tokens


def _said_by(messages: Sequence[Any], models: Models) -> Prompt:
    try:
        said = asked_in(DataRow("the request", {"messages": list(messages)}), "messages")
    except UserError as error:
        raise Refused(400, str(error).removeprefix("the request: "), "messages") from error
    assert not isinstance(said, str), "messages are messages"
    _require_whole("messages", [one.content for one in said])
    if isinstance(models.main.aligned.policy, ToyPolicy):  # it has no chat template: it reads what was said last
        return prompts_of([said[-1].content])[0]
    return prompts_of([list(said)])[0]


def _stops(given: str | list[str] | None) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given or []
    if len(stops) > _STOPS or any(not one or len(one) > _STOP_LENGTH for one in stops):
        raise Refused(400, f"stop takes up to {_STOPS} texts of 1 to {_STOP_LENGTH} characters", "stop")
    _require_whole("stop", stops)
    return tuple(dict.fromkeys(stops))


def _require_whole(param: str, texts: Sequence[str]) -> None:
    """Raises Refused for half characters, which JSON can name and no tokenizer reads."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Refused(400, f"{param} holds half a character ({text[error.start]!a})", param) from error
