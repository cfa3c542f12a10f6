"""Bodies of requests and what replies to them say: the one place that knows the protocol's fields.

reply_of(parsed(body), most=8, choices=4)      # Reply([Written(" and so", "length", 8), ...], Tokens(12, 0, 32))
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.core.api.failures import NoAnswer, StatusInBody, shortened
from harness.core.api.spending import Tokens
from harness.core.models.sampling import Sampler
from harness.core.models.served.dialect import Dialect, GoesOn

Finish = Literal["stop", "length", "filtered"]
COMPLETIONS, CHAT = "/completions", "/chat/completions"
TEMPLATE = "/apply-template"  # of llama.cpp, above the URL
_FAILED, _CUT, _FILTERED = "error", "length", "content_filter"  # values of finish_reason
_THOUGHTS = ("reasoning_content", "reasoning")  # fields of a message: tokens are told of them, and they are no answer
_CHARACTERS_A_TOKEN = 4  # about, of English


@dataclass(frozen=True)
class Token:
    """As a server tells it when it is asked for log-probabilities; of a part of a character, no text that holds."""

    text: str
    logprob: float  # nats


@dataclass(frozen=True)
class Written:
    """One choice of a reply."""

    text: str
    finish: Finish
    tokens: int  # as many as were allowed where it was cut; else by the server's count, shared by its choices
    told: tuple[Token, ...] | None = None  # its tokens, by some servers the one that ended it, too; None: not told


@dataclass(frozen=True)
class Reply:
    choices: Sequence[Written]
    tokens: Tokens


def about_tokens(characters: int) -> int:
    """Tokens of so long a text, about, where only a server could count them."""
    return -(-characters // _CHARACTERS_A_TOKEN)


def sampling_fields(sampler: Sampler, dialect: Dialect) -> dict[str, Any]:
    """The sampling rule as far as the server takes it; what it would do by itself is switched off by name."""
    fields: dict[str, Any] = {} if dialect.temperature == "its own" else {"temperature": sampler.temperature}
    fields |= {"top_p": sampler.top_p} if dialect.top_p else {}
    return {**fields, "top_k": sampler.top_k, "min_p": 0} if dialect.top_k else fields


def logprob_fields(path: str, most: int = 1) -> dict[str, Any]:
    """Fields of a request for the log-probabilities of the tokens written, and of the `most` likeliest beside each.

    One at least, for llama.cpp tells nothing at 0.
    """
    return {"logprobs": True, "top_logprobs": most} if path == CHAT else {"logprobs": most}


def continued(messages: Sequence[Mapping[str, str]], said: str, way: GoesOn) -> dict[str, Any]:
    """Fields of a request that has the answer `said` to messages go on."""
    last: dict[str, Any] = {"role": "assistant", "content": said}
    match way:
        case "continue_final_message":
            flags = {"continue_final_message": True, "add_generation_prompt": False}
            return {"messages": [*messages, last], **flags}
        case "trailing":
            return {"messages": [*messages, last]}
        case "prefix":
            return {"messages": [*messages, {**last, "prefix": True}]}
    raise AssertionError(f"{way} goes on by no message")


def reply_of(answer: Mapping[str, Any], most: int, choices: int) -> Reply:
    """What a reply to a request for `choices` answers of at most `most` tokens says; there may be fewer.

    Raises StatusInBody where a choice holds an error, NoAnswer where it is none of the protocol's replies.
    """
    try:
        found = [_choice(one) for one in answer["choices"]][:choices]
    except (KeyError, TypeError, AttributeError) as error:
        raise NoAnswer(f"this is no OpenAI-compatible answer: {shortened(json.dumps(answer))}") from error
    if not found:
        raise NoAnswer(f"the reply holds no choice: {shortened(json.dumps(answer))}")
    usage = _usage(answer)
    reported = _count(usage.get("completion_tokens"))
    cut = sum(most for one in found if one.finish == "length")
    ended = [one.text for one in found if one.finish != "length"]
    shares = _shared(max(0, reported - cut), ended, most)
    told = _told_in_full([one.told for one in found], reported)
    made = [
        replace(one, tokens=most if one.finish == "length" else shares.pop(0), told=tokens)
        for one, tokens in zip(found, told, strict=True)
    ]
    read, details = _count(usage.get("prompt_tokens")), usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    return Reply(made, Tokens(read, min(cached, read), max(reported, sum(one.tokens for one in made))))


def parsed(body: str) -> dict[str, Any]:
    """The object that a body holds. Raises StatusInBody where that is an error, NoAnswer for anything else."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoAnswer(f"this is no OpenAI-compatible answer: {shortened(body)}") from error
    if not isinstance(answer, dict):
        raise NoAnswer(f"this is no OpenAI-compatible answer: {shortened(body)}")
    _raise_error_in(answer)
    return answer


def parsed_with_choices(body: str) -> dict[str, Any]:
    """The same of a reply with choices. Raises StatusInBody where one of these is an error, too."""
    answer = parsed(body)
    choices = answer.get("choices")
    for one in choices if isinstance(choices, list) else []:
        if isinstance(one, dict):
            _raise_error_in(one)
    return answer


def rendered_in(body: str) -> str:
    """The text that messages become by the server's template. Raises as `parsed`, and NoAnswer where there is none."""
    prompt = parsed(body).get("prompt")
    if not isinstance(prompt, str):
        raise NoAnswer(f"the reply of {TEMPLATE} holds no prompt: {shortened(body)}")
    return prompt


def tells_cached_tokens(answer: Mapping[str, Any]) -> bool:
    details = _usage(answer).get("prompt_tokens_details")
    return isinstance(details, Mapping) and type(details.get("cached_tokens")) is int


def likeliest(answer: Mapping[str, Any]) -> dict[str, float]:
    """Text -> log-probability of the likeliest first tokens of a reply that was asked for them; none where not told."""
    try:
        told = answer["choices"][0]["logprobs"]
        first = told["content"][0]["top_logprobs"] if "content" in told else told["top_logprobs"][0]
        pairs = first.items() if isinstance(first, Mapping) else [(one["token"], one["logprob"]) for one in first]
        return {str(text): float(value) for text, value in pairs}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return {}


def likeliest_but_drawn(answer: Mapping[str, Any]) -> dict[str, float]:
    """The same without the token that was drawn, unless it is the likeliest: vLLM tells it however unlikely it is."""
    found = likeliest(answer)
    if found:
        told = answer["choices"][0]["logprobs"]
        drawn = told["content"][0].get("token") if "content" in told else next(iter(told.get("tokens") or ()), None)
        if drawn != max(found, key=lambda text: found[text]):
            found.pop(str(drawn), None)
    return found


def _choice(one: Any) -> Written:
    """A choice of either endpoint, its tokens not counted yet. Raises TypeError where it has no text."""
    _raise_error_in(one)
    finish = one.get("finish_reason")
    if finish == _FAILED:
        raise StatusInBody(None)
    message = one.get("message")
    text = one["text"] if message is None else message.get("content")
    filtered = finish == _FILTERED or (message is not None and bool(message.get("refusal")))
    if text is None:  # thoughts alone, or refused
        text = ""
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}")
    thoughts = message is not None and any(message.get(name) for name in _THOUGHTS)
    told = None if thoughts else _told(one.get("logprobs"), text)
    return Written(text, "filtered" if filtered else "length" if finish == _CUT else "stop", 0, told)


def _told(logprobs: Any, text: str) -> tuple[Token, ...] | None:
    """Tokens and their log-probabilities, as chat has them, and llama.cpp everywhere, or as /completions has them.

    None where there are none, or not a number for every token.
    """
    try:
        if "content" in logprobs:
            pairs = [(one["token"], one["logprob"]) for one in logprobs["content"] or ()]
        else:
            pairs = list(zip(logprobs["tokens"], logprobs["token_logprobs"], strict=True))
    except (KeyError, TypeError, ValueError):
        return None
    if not all(isinstance(said, str) and _is_logprob(value) for said, value in pairs) or (text and not pairs):
        return None
    return tuple(Token(said, float(value)) for said, value in pairs)


def _told_in_full(told: Sequence[tuple[Token, ...] | None], reported: int) -> Sequence[tuple[Token, ...] | None]:
    """None for all where the server counts more tokens than it tells, but for an end each: it had thoughts.

    It may count fewer: llama.cpp counts those of the first of several choices alone.
    """
    known = sum(map(len, filter(None, told)))
    is_full = all(one is not None for one in told) and reported - known <= len(told)
    return told if is_full else [None] * len(told)


def _is_logprob(value: Any) -> bool:
    """Servers have -9999 for what cannot be."""
    return type(value) in (int, float) and math.isfinite(value) and -1000 < value <= 1e-3


def _shared(tokens: int, texts: Sequence[str], most: int) -> list[int]:
    """Tokens of texts that ended by themselves, in proportion to their lengths, as the server counts them together.

    One for each text at least, which is its end; where the server does not count, about as many as it has letters for.
    """
    if not texts:
        return []
    if len(texts) == 1 and tokens:
        return [min(tokens, most)]
    about = [min(most, 1 + about_tokens(len(text))) for text in texts]
    if tokens < len(texts):
        return about
    left, shares = tokens, []
    for i, weight in enumerate(about):
        share = max(1, min(left - (len(about) - i - 1), round(left * weight / sum(about[i:]))))
        shares.append(share)
        left -= share
    return shares


def _usage(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    usage = answer.get("usage")
    return usage if isinstance(usage, Mapping) else {}


def _raise_error_in(part: Any) -> None:
    error = part.get("error")
    if not error:
        return
    named = error.get("code", error.get("status")) if isinstance(error, dict) else None
    text = str(named)
    raise StatusInBody(int(text) if text.isascii() and text.isdigit() else None)


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0
