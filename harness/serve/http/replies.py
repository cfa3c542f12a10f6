"""Answers in OpenAI's form, built from the types of its own client."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from openai.types import Completion, CompletionChoice, CompletionUsage, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice as ChatChoice
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from harness.core.search.tree import Prefix
from harness.serve.http.asked import Asked
from harness.serve.http.writer import Written

_OWNER = "iro-harness"


def model_of(name: str, created: int) -> dict[str, Any]:
    return Model(id=name, object="model", created=created, owned_by=_OWNER).model_dump()


def whole(asked: Asked, made: Sequence[Written], name: str, created: int) -> dict[str, Any]:
    """The reply to a request that is not streamed."""
    about: dict[str, Any] = {"id": name, "created": created, "model": asked.served.name, "usage": usage(asked, made)}
    finish = [one.finish for one in made]
    if asked.kind == "chat":
        said = [ChatCompletionMessage(role="assistant", content=one.text) for one in made]
        choices: list[Any] = [
            ChatChoice(index=i, message=message, finish_reason=finish[i], logprobs=None)  # type: ignore[arg-type]
            for i, message in enumerate(said)
        ]
        reply: Any = ChatCompletion(object="chat.completion", choices=choices, **about)
    else:
        choices = [
            CompletionChoice(index=i, text=one.text, finish_reason=finish[i], logprobs=None)  # type: ignore[arg-type]
            for i, one in enumerate(made)
        ]
        reply = Completion(object="text_completion", choices=choices, **about)
    plain: dict[str, Any] = reply.model_dump(mode="json")
    if asked.trace:
        for choice, one in zip(plain["choices"], made, strict=True):
            choice["iro"] = traced(one)
    return plain


def begun(asked: Asked, index: int, name: str, created: int) -> dict[str, Any]:
    """The first event of an answer to messages: who speaks. No other says so, for clients add up what they are told."""
    delta = ChoiceDelta(role="assistant", content="")
    return _chunk(asked, ChunkChoice(index=index, delta=delta), name, created)


def piece(
    asked: Asked, index: int, text: str, name: str, created: int, finish: str | None = None, made: Written | None = None
) -> dict[str, Any]:
    """One event of a stream; the last of an answer says why it ended, and has its tree."""
    if asked.kind == "chat":
        delta = ChoiceDelta(content=text)
        part = ChunkChoice(index=index, delta=delta, finish_reason=finish)  # type: ignore[arg-type]  # ours are of theirs
        plain = _chunk(asked, part, name, created)
        del plain["choices"][0]["delta"]["role"]
    else:
        choice = CompletionChoice.model_construct(index=index, text=text, finish_reason=finish, logprobs=None)
        plain = {"id": name, "object": "text_completion", "created": created, "model": asked.served.name,
                 "choices": [choice.model_dump(mode="json", warnings=False)]}  # fmt: skip
    if asked.trace and made is not None:
        plain["choices"][0]["iro"] = traced(made)
    return plain


def _chunk(asked: Asked, choice: ChunkChoice, name: str, created: int) -> dict[str, Any]:
    reply = ChatCompletionChunk(
        id=name, object="chat.completion.chunk", created=created, model=asked.served.name, choices=[choice]
    )
    return reply.model_dump(mode="json")


def last(asked: Asked, made: Sequence[Written], name: str, created: int) -> dict[str, Any]:
    """The usage of a stream, where it was asked for."""
    kind = "chat.completion.chunk" if asked.kind == "chat" else "text_completion"
    of = usage(asked, made).model_dump(mode="json")
    return {"id": name, "object": kind, "created": created, "model": asked.served.name, "choices": [], "usage": of}


def usage(asked: Asked, made: Sequence[Written]) -> CompletionUsage:
    """Tokens of the prompts (once for all their answers) and of the answers; `iro` has what the search took."""
    prompt = sum(one.prompt_tokens for one in made[:: asked.n])
    answer = sum(one.tokens for one in made)
    work = {name: sum(vars(one.work)[name] for one in made) for name in asdict(made[0].work)} if made else {}
    work["seconds"] = round(sum(one.seconds for one in made), 6)
    return CompletionUsage(prompt_tokens=prompt, completion_tokens=answer, total_tokens=prompt + answer, iro=work)  # type: ignore[call-arg]  # the client keeps fields that it does not know


def traced(made: Written) -> dict[str, Any]:
    """The search: finalists with S, what each pick would answer, and the tree as the page of a run has it."""
    betas = next((prefix.betas for rounds in made.tree or () for prefix in rounds), ())
    return {
        "finalists": [{"text": text, "score": score} for text, score in made.finalists],
        "picks": dict(made.picks),
        "betas": list(betas),
        "rounds": None if made.tree is None else [[_prefix(prefix) for prefix in rounds] for rounds in made.tree],
    }


def _prefix(prefix: Prefix) -> list[Any]:
    """[parent, text, S, kept, [V_1, ..]]."""
    return [prefix.parent, prefix.text, round(prefix.score, 4), prefix.kept, [round(v, 4) for v in prefix.values]]
