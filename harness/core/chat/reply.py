"""What a chat server answered, and whether it is a whole answer.

reply = parsed(body)                  # of a response; AskAgain for an error in it
reply.withheld                        # None, or why nothing may be read from it: "cut short", "refused", ...
from_file(stored), to_file(reply)     # as the cache keeps it; what is withheld is never kept
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.core.api.failures import NoAnswer, StatusInBody, shortened
from harness.core.thinking import after_thinking

Withheld = Literal["cut short", "unfinished thinking", "refused", "empty"]
REASONS: tuple[Withheld, ...] = ("cut short", "unfinished thinking", "refused", "empty")
_CUT, _FILTERED, _FAILED = "length", "content_filter", "error"  # values of finish_reason
_LIMITS = ("max_completion_tokens", "max_tokens")  # fields of a request


@dataclass(frozen=True)
class Reply:
    """A chat answer; tokens as the server counted them (0 where it did not)."""

    text: str
    model: str  # as the server names itself
    prompt_tokens: int = 0
    tokens: int = 0
    withheld: Withheld | None = None  # why it is no whole answer


def parsed(body: str, request: Mapping[str, Any]) -> Reply:
    """The reply in the body of a response to `request`.

    Raises StatusInBody where the body holds an error, NoAnswer where it is no chat answer.
    """
    try:
        answer = json.loads(body)
        _raise_error_in(answer)
        choice = answer["choices"][0]
        _raise_error_in(choice)
        if choice.get("finish_reason") == _FAILED:
            raise StatusInBody(None)
        message, usage = choice["message"], answer.get("usage")
        text, finish = joined(message.get("content")), choice.get("finish_reason")
        refusal = message.get("refusal")
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise NoAnswer(f"this is no OpenAI-compatible chat answer: {shortened(body)}") from error
    usage = usage if isinstance(usage, dict) else {}
    tokens, model = _count(usage.get("completion_tokens")), answer.get("model")
    withheld = _withheld(text, tokens, request, finish, refused=isinstance(refusal, str) and bool(refusal.strip()))
    return Reply(
        text, _whole(model) if isinstance(model, str) else "", _count(usage.get("prompt_tokens")), tokens, withheld
    )


def to_file(reply: Reply) -> dict[str, Any]:
    """What the cache keeps of a whole reply."""
    assert reply.withheld is None, f"a reply that is {reply.withheld} is not kept"
    return {name: value for name, value in vars(reply).items() if name != "withheld"}


def from_file(stored: Mapping[str, Any], request: Mapping[str, Any]) -> Reply | None:
    """A reply from the cache; None where it is not believed, as older versions kept whatever came.

    They kept no finish_reason: as many tokens as the request allowed mean that the reply was cut short.
    """
    try:
        text = joined(stored["text"])
    except (KeyError, TypeError):
        return None
    model, tokens = stored.get("model"), _count(stored.get("tokens"))
    if not isinstance(model, str) or _withheld(text, tokens, request) is not None:
        return None
    return Reply(text, model, _count(stored.get("prompt_tokens")), tokens)


def joined(content: Any) -> str:
    """The text of a message: a string, null, or parts, of which those of type text are joined.

    Raises TypeError for anything else.
    """
    match content:
        case None:
            return ""
        case str():
            return _whole(content)
        case list():
            return _whole("".join(_text_of(part) for part in content))
    raise TypeError(f"content is a {type(content).__name__}")


def _whole(text: str) -> str:
    """The text; halves of a character, which no file takes, become the sign for what cannot be read."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _withheld(
    text: str, tokens: int, request: Mapping[str, Any], finish: Any = None, *, refused: bool = False
) -> Withheld | None:
    """Why nothing may be read from a text; `finish` is None where the server, or the cache, does not say."""
    if refused or finish == _FILTERED:
        return "refused"
    limits = [request[name] for name in _LIMITS if type(request.get(name)) is int]
    if finish == _CUT or (finish is None and limits and 0 < min(limits) <= tokens):
        return "cut short"
    answer = after_thinking(text)
    if answer is None:
        return "unfinished thinking"
    return None if answer.strip() else "empty"


def _raise_error_in(part: Any) -> None:
    error = part.get("error")
    if not error:
        return
    named = error.get("code", error.get("status")) if isinstance(error, dict) else None
    text = str(named)
    raise StatusInBody(int(text) if text.isascii() and text.isdigit() else None)


def _text_of(part: Any) -> str:
    """Of one part of a message: thoughts, images and calls of tools are no text."""
    match part:
        case str():
            return part
        case {"type": "text" | "output_text", "text": str(text)}:
            return text
        case {"type": str(kind)} if kind not in ("text", "output_text"):
            return ""
    raise TypeError(f"a part of the content is {shortened(repr(part))}")


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0
