"""Prompts as a user of the library gives them: texts, messages, rows of a data set.

prompts_of(["The film was", [{"role": "user", "content": "Hello"}], {"prompt": "2 + 2 =", "answer": "4"}])
"""

from collections.abc import Iterable, Mapping
from typing import Any

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.types import Message, Prompt


def prompts_of(given: Iterable[Any]) -> list[Prompt]:
    """Prompts from texts, lists of messages (dicts of role and content), rows with `prompt` or `messages`, or Prompts.

    The other columns of a row are what the reward may ask for. A prompt's id is the hash of all of it, unless it has
    one. Raises UserError for anything else.
    """
    if isinstance(given, str | bytes | Mapping):
        raise UserError(f"prompts is a {type(given).__name__}; give a list of prompts")
    return [_prompt(item, f"prompt {i}") for i, item in enumerate(given)]


def plain(prompt: Prompt) -> str | list[dict[str, str]]:
    """A prompt as a user's function gets it: its text, or its messages."""
    if prompt.messages is None:
        assert prompt.text is not None, "a prompt has text or messages"
        return prompt.text
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def content_of(prompt: Prompt) -> tuple[str, str]:
    """Hashes of what the policy and graders read of a prompt, its id left out."""
    return digest(plain(prompt)), digest(dict(prompt.row))


def _prompt(item: Any, where: str) -> Prompt:
    if isinstance(item, Prompt):
        _require_plain(item.row, where)
        return item
    row: Mapping[str, Any] = (
        item if isinstance(item, Mapping) else {"messages" if isinstance(item, list) else "prompt": item}
    )
    asked = [name for name in ("prompt", "messages") if name in row]
    if len(asked) != 1:
        raise UserError(f"{where} is {_short(item)}: give a text, a list of messages, or a row with prompt or messages")
    value = row[asked[0]]
    rest = {str(name): content for name, content in row.items() if name not in (*asked, "id")}
    text = value if isinstance(value, str) else None
    messages = None if text is not None else _messages(value, where)
    reference = rest.get("reference") if isinstance(rest.get("reference"), str) else None
    _require_plain(rest, where)
    identity = digest([text, messages and [[m.role, m.content] for m in messages], rest])
    return Prompt(str(row.get("id", identity[:12])), text, messages, reference, rest)


def _require_plain(row: Mapping[str, Any], where: str) -> None:
    try:
        digest(dict(row))
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}; the columns of a row are plain data, as JSON has it") from error


def _messages(value: Any, where: str) -> tuple[Message, ...]:
    made = []
    for message in value if isinstance(value, list | tuple) and value else [None]:
        if isinstance(message, Message):
            made.append(message)
        elif isinstance(message, Mapping) and isinstance(message.get("content"), str) and "role" in message:
            made.append(Message(str(message["role"]), message["content"]))
        else:
            raise UserError(f"{where} is {_short(value)}: give a text, or messages with role and content")
    return tuple(made)


def _short(item: Any) -> str:
    return f"{item!r}"[:80]
