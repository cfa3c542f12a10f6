"""A server on 127.0.0.1 that misbehaves below the level of answers: each request gets what a function writes."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from tests.planted_server import chat_body

Fault = Callable[[BaseHTTPRequestHandler, Event], None]  # the event is set when the test is over


def head(handler: BaseHTTPRequestHandler, length: int | None, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    if length is not None:
        handler.send_header("Content-Length", str(length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def dribble(handler: BaseHTTPRequestHandler, over: Event) -> None:
    """A byte now and then, so that no single wait is long."""
    head(handler, 10_000)
    while not over.wait(0.05):
        handler.wfile.write(b" ")


def cut(handler: BaseHTTPRequestHandler, over: Event) -> None:
    """Half of a body, then the line goes dead."""
    body = json.dumps(chat_body("whole")).encode()
    head(handler, len(body))
    handler.wfile.write(body[: len(body) // 2])


def truncated(handler: BaseHTTPRequestHandler, over: Event) -> None:
    """Half of a body under a header that says it is all."""
    body = json.dumps(chat_body("whole")).encode()
    head(handler, len(body) // 2)
    handler.wfile.write(body[: len(body) // 2])


def endless(handler: BaseHTTPRequestHandler, over: Event) -> None:
    head(handler, None)
    while not over.is_set():
        handler.wfile.write(b" " * 65536)


def bomb(handler: BaseHTTPRequestHandler, over: Event) -> None:
    """50 MB in 50 kB."""
    body = gzip.compress(b" " * 50 * 2**20)
    head(handler, len(body), Content_Encoding="gzip")
    handler.wfile.write(body)


def nested(handler: BaseHTTPRequestHandler, over: Event) -> None:
    body = b'{"choices":' + b"[" * 100_000
    head(handler, len(body))
    handler.wfile.write(body)


def whole(handler: BaseHTTPRequestHandler, over: Event) -> None:
    body = json.dumps(chat_body("whole")).encode()
    head(handler, len(body))
    handler.wfile.write(body)


@contextmanager
def faulty(*faults: Fault) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The URL, and the headers of the requests so far; the last fault is that of all later requests, too."""
    over, seen = Event(), list[dict[str, str]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(dict(self.headers))
            with suppress(OSError):  # the client has had enough
                faults[min(len(seen), len(faults)) - 1](self, over)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
