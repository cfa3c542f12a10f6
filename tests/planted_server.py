"""A chat endpoint on 127.0.0.1 whose answers are planted by the test, and which remembers what it was asked."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from time import sleep
from typing import Any


@dataclass(frozen=True)
class Planted:
    """What the server does with one request: wait, then answer, or hang up without a word (status 0)."""

    content: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0  # seconds
    body: Any = None  # sent as JSON in place of a chat answer with `content`


def chat_body(content: Any, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A chat answer as servers send it, with a finish_reason and more fields of the message."""
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return {"choices": [choice], "model": "planted-1", "usage": {"prompt_tokens": 10, "completion_tokens": 3}}


@dataclass
class Server:
    """`plan` gets the question and how many requests came before it; `refuses` are fields, and what is said of them."""

    plan: Callable[[str, int], Planted]
    refuses: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    questions: list[str] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def answer(self, body: dict[str, Any], key: str | None) -> Planted:
        question = body["messages"][0]["content"]
        with self.lock:
            before = len(self.questions)
            self.questions.append(question)
            self.bodies.append(body)
            self.keys.add(key)
        for name in body.keys() & self.refuses.keys():
            return Planted(json.dumps({"error": {"message": self.refuses[name], "param": name}}), 400)
        return self.plan(question, before)


# as OpenAI's reasoning models say it
NO_TEMPERATURE = (
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
)
NO_MAX_TOKENS = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
)


@contextmanager
def served(plan: Callable[[str, int], Planted], refuses: Mapping[str, str] | None = None) -> Iterator[Server]:
    server = Server(plan, refuses or {})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            planted = server.answer(body, self.headers["Authorization"])
            sleep(planted.wait)
            if planted.status == 0:
                self.connection.close()
                return
            message = {"choices": [{"message": {"role": "assistant", "content": planted.content}}]}
            message |= {"model": "planted-1", "usage": {"prompt_tokens": 10, "completion_tokens": 3}}
            message = message if planted.body is None else planted.body
            said = json.dumps(message) if planted.status == 200 else planted.content
            self.send_response(planted.status)
            for name, value in {"Content-Type": "application/json", **planted.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:  # a client that gave up waiting
            pass

    http = Quiet(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
