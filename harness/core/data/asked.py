"""The prompt of a row, in the forms of those whose files these are: OpenAI, verifiers, TRL, verl, Google.

rule = rule_of(row)                 # "messages"
asked_in(row, rule)                 # (Message("user", "Where is my parcel?"),), or a text
item_of(row, rule)                  # every other column, which is what graders read

A `prompt` that is a text goes on as it stands; `messages`, `contents`, a `question` and a `prompt` of messages go
through the model's chat template, where `developer` says what `system` does.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from harness.core.data.rows import DataRow, short
from harness.core.errors import UserError
from harness.core.types import Message

Rule = Literal["messages", "prompt", "question", "contents"]
RULES: tuple[Rule, ...] = get_args(Rule)
ORIGINS: Mapping[Rule, str] = {
    "messages": "messages as OpenAI has them",
    "prompt": "a text that is continued, or messages",
    "question": "a text, said by the user",
    "contents": "contents as Google has them",
}
_SPLIT = "split"
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_GOOGLE_ROLES = {"user": "user", "model": "assistant"}
_SYSTEM = ("systemInstruction", "system_instruction")
_TEXT_PARTS = ("text", "input_text")
_KNOWN = {"role", "content", "type"}
_REFERENCES = ("reference", "reference_answer", "answer")


def rule_of(row: DataRow) -> Rule:
    """The first rule whose column a row has. Raises UserError where it has none."""
    for rule in RULES:
        if rule in row.columns:
            return rule
    there = ", ".join(list(row.columns)[:12]) or "none"
    raise UserError(
        f"{row.where} has no {', '.join(RULES[:-1])} or {RULES[-1]}; its columns: {there}. Name the one with the "
        "prompts so"
    )


def asked_in(row: DataRow, rule: Rule) -> str | tuple[Message, ...]:
    """What the model is asked. Raises UserError for what it cannot be: no text, images, tools, the answer as well."""
    if row.columns.get("tools"):
        raise UserError(f"{row.where}: tools are not offered to models here ({short(row.columns['tools'])}); leave "
                        "tools out, and write prompts that need none")  # fmt: skip
    if rule not in row.columns:
        raise UserError(
            f"{row.where} has no {rule}, which the first row has; its columns: {', '.join(list(row.columns)[:12])}. "
            f"Write {rule} in every row"
        )
    value = row.columns[rule]
    if rule == "contents":
        return _ending_with_user(_google(row), row.where)
    if rule == "question" or (rule == "prompt" and isinstance(value, str)):
        text = _filled(value, f"{row.where}: {rule}")
        return (Message("user", text),) if rule == "question" else text
    if rule == "prompt" and not isinstance(value, list):
        raise UserError(f"{row.where}: prompt is {short(value)}; write a text, or a list of messages")
    return _ending_with_user(_messages(value, f"{row.where}: {rule}"), row.where)


def item_of(row: DataRow, rule: Rule) -> dict[str, Any]:
    """Every column but the prompt and the split: the row as graders get it, its id and its reference included."""
    own = {rule, _SPLIT, *(_SYSTEM if rule == "contents" else ()), "tools"}
    return {name: value for name, value in row.columns.items() if name not in own}


def reference_of(item: Mapping[str, Any]) -> str | None:
    """The first of reference, reference_answer and answer that is a text."""
    return next((item[name] for name in _REFERENCES if isinstance(item.get(name), str)), None)


def _messages(value: Any, where: str) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise UserError(
            f"{where} is {short(value)}; write a list of messages with role and content, the last the user's"
        )
    return tuple(_message(one, f"{where}, message {n}") for n, one in enumerate(value, 1))


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, Mapping) or "role" not in value or "content" not in value:
        raise UserError(f"{where} is {short(value)}; write role and content")
    role = value["role"]
    if not isinstance(role, str) or role not in _ROLES:
        raise UserError(f"{where} has the role {short(role)}; roles are {', '.join(_ROLES)}")
    if others := [name for name in value if name not in _KNOWN and value[name] not in (None, [], {})]:
        raise UserError(f"{where} has {others[0]} ({short(value[others[0]])}); messages have role and content alone")
    content = value["content"]
    if isinstance(content, list):
        content = "".join(_part(part, f"{where}, part {n}") for n, part in enumerate(content, 1))
    return Message(_ROLES[role], _filled(content, f"{where}: content"))


def _part(part: Any, where: str) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind not in _TEXT_PARTS or not isinstance(part.get("text"), str):
        said = f"of type {kind!r}" if kind is not None and kind not in _TEXT_PARTS else short(part)
        raise UserError(f'{where} is {said}; models here read text alone: write {{"type": "text", "text": "..."}}')
    text: str = part["text"]
    return text


def _google(row: DataRow) -> tuple[Message, ...]:
    value, system = row.columns["contents"], next((row.columns[n] for n in _SYSTEM if row.columns.get(n)), None)
    if not isinstance(value, list) or not value:
        raise UserError(f"{row.where}: contents is {short(value)}; write a list with role and parts")
    said = [] if system is None else [Message("system", _parts(system, f"{row.where}: systemInstruction"))]
    for n, one in enumerate(value, 1):
        where = f"{row.where}: contents {n}"
        role = one.get("role") or "user" if isinstance(one, Mapping) else None
        if not isinstance(role, str) or role not in _GOOGLE_ROLES:
            raise UserError(f"{where} is {short(one)}; write role (user or model) and parts")
        said.append(Message(_GOOGLE_ROLES[role], _parts(one, where)))
    return tuple(said)


def _parts(value: Any, where: str) -> str:
    parts = value.get("parts") if isinstance(value, Mapping) else value
    if isinstance(parts, str):
        return _filled(parts, where)
    parts = [parts] if isinstance(parts, Mapping) else parts  # one part may stand without a list
    if not isinstance(parts, list) or not parts:
        raise UserError(f'{where} has the parts {short(parts)}; write [{{"text": "..."}}]')
    for part in parts:
        given = [n for n, v in part.items() if v is not None] if isinstance(part, Mapping) else []
        if given != ["text"] or not isinstance(part["text"], str):
            raise UserError(f'{where} has the part {short(part)}; models here read text alone: {{"text": "..."}}')
    return _filled("".join(part["text"] for part in parts), where)


def _filled(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where} is {short(value)}; write a text")
    if not value.strip():
        raise UserError(f"{where} is an empty text; write what the model is asked, or leave the row out")
    return value


def _ending_with_user(said: tuple[Message, ...], where: str) -> tuple[Message, ...]:
    if said[-1].role != "user":
        raise UserError(
            f"{where}: the last message is of the role {said[-1].role} ({short(said[-1].content)}); the user's must be "
            "the last. An answer that is known stands in a column of its own, such as reference_answer"
        )
    return said
