"""A server on 127.0.0.1 that speaks OpenAI's protocol over a model of letters, in whichever dialect it is told to.

with served_model(Manner(chat=True, goes_on=("trailing",))) as server:
    server.model            # "openai:http://127.0.0.1:PORT/v1#letters"
    server.requests         # paths and bodies so far

The model is a table: what comes next depends on the last three letters. A token is a letter, and a seed decides all.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import numpy as np

LETTERS = "abcdefgh ."
_EOS = len(LETTERS)


@dataclass(frozen=True)
class Manner:
    """What the server does, and does not."""

    texts: bool = True  # /completions
    chat: bool = True
    goes_on: tuple[str, ...] = ("trailing",)
    echoes: bool = False
    template: bool = False  # /apply-template
    nothing_rendered: bool = False  # it is there, and tells no prompt
    strips: bool = False  # answers of chat lose their blanks at both ends
    most_choices: int = 16
    ignores_n: bool = False
    ignores_seed: bool = False
    luck: int = 0  # what is drawn by a seed
    ignores_temperature: bool = False
    refuses: tuple[str, ...] = ()  # fields of the sampling rule; temperature: all but its own, which is 1
    refuses_zero: bool = False  # as a temperature
    no_top_k: int = 0  # what stands for no top-k; SGLang refuses 0 and takes -1
    ignores_top_k: bool = False  # and says nothing, as Ollama does
    logprobs: str = "none"  # or of what they are: raw, tempered, sampled
    drawn_too: bool = False  # the token that was drawn is told among the likeliest, as vLLM does
    ends: bool = True  # log-probabilities tell the token that ended a text, too
    top_k: bool = True
    limit: str = "max_tokens"
    listed: bool = True  # /models
    says: dict[str, Any] = field(default_factory=lambda: {"owned_by": "tests"})
    usage: bool = True
    cached: bool = False
    key: str | None = None
    context: int = 10_000
    fails: Callable[[int, dict[str, Any]], int | None] = lambda count, body: None  # status of a request, by its number
    filters: str | None = None  # what ends an answer as filtered


@dataclass
class Server:
    manner: Manner
    port: int = 0
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def model(self) -> str:
        return f"openai:{self.url}#letters"

    def answers(self) -> int:
        """Requests that had an answer written, the probe's among them."""
        return sum(path.endswith("completions") for path, _ in self.requests)


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@cache
def _logits(context: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(context.encode())).normal(0, 1.5, _EOS + 1) - 2 * (
        np.arange(_EOS + 1) == _EOS
    )


def logits_behind(text: str) -> np.ndarray:
    """(letters and the end,) of what comes next."""
    return _logits(text[-3:])


@dataclass
class Written:
    """What follows a text, why it ends, its tokens, and their log-probabilities as the manner has them."""

    text: str = ""
    finish: str = "length"
    tokens: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    largest = logits.max()
    return logits - largest - np.log(np.exp(logits - largest).sum())


def write(text: str, body: dict[str, Any], most: int, seed: int, manner: Manner) -> Written:
    rng, made = np.random.default_rng(seed + 1000 * manner.luck), Written()
    temperature = 0 if manner.ignores_temperature else body.get("temperature", 1)
    for count in range(1, most + 1):
        made.tokens = count
        raw = logits_behind(text + made.text)
        tempered = raw / (temperature or 1)
        logits = tempered
        if body.get("top_k", 0) > 0 and not manner.ignores_top_k:
            logits = np.where(logits >= np.sort(logits)[-min(body["top_k"], len(logits))], logits, -np.inf)
        if body.get("top_p", 1) < 1:
            order = np.argsort(-logits)
            weights = np.exp(log_softmax(logits))[order]
            logits[order[np.cumsum(weights) - weights >= body["top_p"]]] = -np.inf
        weights = np.exp(logits - logits.max())
        token = int(np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(), side="right"))
        token = int(raw.argmax()) if temperature == 0 else token
        told = np.maximum(log_softmax({"tempered": tempered, "sampled": logits}.get(manner.logprobs, raw)), -9999.0)
        if token != _EOS or manner.ends:
            said = [
                {"token": (*LETTERS, "<end>")[i], "logprob": float(told[i])} for i in np.argsort(-told, kind="stable")
            ]
            one = {"token": (*LETTERS, "<end>")[token], "logprob": float(told[token])}
            made.told.append({**one, "top_logprobs": _top(said, one, body, manner)})
        if token == _EOS:
            made.finish = "stop"
            break
        made.text += LETTERS[token]
        if manner.filters is not None and manner.filters in made.text:
            made.finish = "content_filter"
            break
    return made


def _wants(body: dict[str, Any]) -> int:
    """How many likely tokens are asked for, beside the one that was written."""
    return int(body.get("top_logprobs", 0) if body.get("logprobs") is True else body.get("logprobs") or 0)


def _top(
    said: list[dict[str, Any]], drawn: dict[str, Any], body: dict[str, Any], manner: Manner
) -> list[dict[str, Any]]:
    """The likeliest tokens that are told; beside the drawn one for a text, in the same number for a chat."""
    top = said[: _wants(body)]
    if not manner.drawn_too or drawn in top:
        return top
    return [drawn, *top][: len(top) if body.get("logprobs") is True else None]


def _logprobs(made: Written, body: dict[str, Any], chat: bool) -> dict[str, Any]:
    """As /chat/completions tells them, or /completions."""
    if chat:
        return {"content": made.told}
    return {
        "tokens": [one["token"] for one in made.told],
        "token_logprobs": [one["logprob"] for one in made.told],
        "top_logprobs": [{top["token"]: top["logprob"] for top in one["top_logprobs"]} for one in made.told],
    }


def rendered(messages: Sequence[dict[str, Any]]) -> str:
    return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"


def _answer(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    manner = server.manner
    if path == "/apply-template" and manner.nothing_rendered:
        return {}
    if path == "/apply-template" and manner.template:
        return {"prompt": rendered(body["messages"])}
    chat = path == "/v1/chat/completions" and manner.chat
    if not chat and not (path == "/v1/completions" and manner.texts):
        raise Refused(404, "no such path")
    if body["model"] != "letters":
        raise Refused(404, f"the model {body['model']} does not exist")
    if "top_k" in body and not manner.top_k:
        raise Refused(400, "unknown parameter: top_k")
    for name in manner.refuses:
        if body.get(name, 1) != 1:
            raise Refused(400, f"Unsupported value: {name!r} does not support {body[name]} with this model.")
    if manner.refuses_zero and body.get("temperature") == 0:
        raise Refused(400, "`temperature` must be strictly positive")
    if body.get("top_k") == 0 and manner.no_top_k == -1:
        raise Refused(400, "top_k must be -1 (disable) or at least 1, got 0.")
    if body.get("logprobs") and manner.logprobs == "none":
        raise Refused(400, "this model gives no logprobs")
    if manner.limit not in body:
        raise Refused(400, f"unsupported parameter, use {manner.limit!r} instead")
    n = 1 if manner.ignores_n else body.get("n", 1)
    if n > manner.most_choices:
        raise Refused(400, f"n must be at most {manner.most_choices}")
    text, given = _read(body, manner) if chat else (body["prompt"], "")
    if len(text) + body[manner.limit] > manner.context:
        raise Refused(400, f"the context holds {manner.context} tokens")
    first = body.get("seed", 0)
    if manner.ignores_seed or "seed" not in body:
        with server.lock:
            first = 1_000_000 + 1000 * len(server.requests)
    made = [write(text, body, body[manner.limit], first + i, manner) for i in range(n)]
    choices = []
    for i, one in enumerate(made):
        said = given + one.text if manner.echoes else one.text
        said = said.strip() if manner.strips and chat else said
        content = {"message": {"role": "assistant", "content": said}} if chat else {"text": said}
        told = {"logprobs": _logprobs(one, body, chat)} if body.get("logprobs") else {}
        choices.append({"index": i, "finish_reason": one.finish, **content, **told})
    usage: dict[str, Any] = {"prompt_tokens": len(text), "completion_tokens": sum(one.tokens for one in made)}
    if manner.cached:
        usage["prompt_tokens_details"] = {"cached_tokens": len(text) // 2}
    return {"id": "x", "model": "letters", "choices": choices, **({"usage": usage} if manner.usage else {})}


def _read(body: dict[str, Any], manner: Manner) -> tuple[str, str]:
    """The text that a chat goes on from, and what was given of the answer."""
    messages = body["messages"]
    last = messages[-1]
    flags = body.get("continue_final_message")
    known = (
        set(body) <= {"model", "messages", "temperature", "top_p", "top_k", "min_p", "seed", "n", manner.limit}
        or ("continue_final_message" in manner.goes_on)
        or "logprobs" in body
        or "return_token_ids" in body
        or "note" in body
    )
    if not known:
        raise Refused(400, "unknown parameter")
    if last["role"] != "assistant":
        return rendered(messages), ""
    goes_on = (
        (flags and "continue_final_message" in manner.goes_on)
        or (last.get("prefix") and "prefix" in manner.goes_on)
        or (not flags and not last.get("prefix") and "trailing" in manner.goes_on)
    )
    if goes_on:
        return rendered(messages[:-1]) + last["content"], last["content"]
    return rendered(messages), ""  # a new turn


@contextmanager
def served_model(manner: Manner | None = None, port: int = 0) -> Iterator[Server]:
    server = Server(manner or Manner())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, body: dict[str, Any]) -> None:
            with server.lock:
                server.requests.append((self.path, body))
                count = len(server.requests)
            manner = server.manner
            try:
                if manner.key is not None and self.headers["Authorization"] != f"Bearer {manner.key}":
                    raise Refused(401, f"wrong key {self.headers['Authorization']}")
                if (status := manner.fails(count, body)) is not None:
                    if status == 0:
                        self.connection.close()
                        return
                    raise Refused(status, "planted")
                if self.path == "/v1/models" and manner.listed:
                    entry = {"id": "letters", "object": "model", "created": count, **manner.says}
                    status, answer = 200, {"object": "list", "data": [entry]}
                else:
                    status, answer = 200, _answer(server, self.path, body)
            except Refused as error:
                status, answer = error.status, {"error": {"message": str(error)}}
            said = json.dumps(answer).encode()
            with suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                if status == 429:
                    self.send_header("Retry-After", "0.01")
                self.end_headers()
                self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    http = Quiet(("127.0.0.1", port), Handler)
    server.port = http.server_port
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
