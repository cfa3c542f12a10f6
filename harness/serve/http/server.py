"""The process that serves: where it listens, who may ask, and how it ends.

serve(models, "127.0.0.1", 8000, limits)        # until SIGTERM or Ctrl-C; what was asked is answered first
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from harness.core.errors import UserError
from harness.core.printable import printable
from harness.serve.http.app import make_app
from harness.serve.http.asked import Limits
from harness.serve.http.guard import is_loopback
from harness.serve.http.models import Models

TOKEN = "HARNESS_SERVE_TOKEN"
_SHORTEST = 16  # characters of a token


def serve(models: Models, host: str, port: int, limits: Limits) -> None:
    """Raises UserError for an address that is taken, or that others can reach while there is no token."""
    token = read_token(host)
    listening = _listen(host, port)
    address = "http://{}:{}".format(f"[{host}]" if ":" in host else host, listening.getsockname()[1])
    for line in greeting(models, address, token is not None):
        print(printable(line), file=sys.stderr, flush=True)
    config = uvicorn.Config(
        make_app(models, token, limits),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=2**16,
    )
    try:
        _Server(config).run(sockets=[listening])
    finally:
        listening.close()


class _Server(uvicorn.Server):
    """Ends by SIGTERM and Ctrl-C like any program that was asked to, and not as one that was struck by them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def read_token(host: str) -> str | None:
    """The token of the environment. Raises UserError where others can reach the server and there is none."""
    token = os.environ.get(TOKEN) or None
    if token is not None and (len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token):
        raise UserError(f"{TOKEN} must be {_SHORTEST} characters or more of ASCII without blanks; make one with "
                        "`python -c 'import secrets; print(secrets.token_urlsafe())'`")  # fmt: skip
    if token is None and not is_loopback(host):
        raise UserError(f"--host {host!r} can be reached by others, who may then ask as much as they like: put a token "
                        f"into the environment variable {TOKEN}, or leave --host out")  # fmt: skip
    return token


def greeting(models: Models, address: str, has_token: bool) -> list[str]:
    """What a user reads when it listens."""
    who = f"token: of {TOKEN}" if has_token else "no token: local callers only"
    lines = [f"serving {models.folder} at {address} ({who}); a page to look at is {address}/"]
    lines += [f"model {name}" for name in models.names]
    lines += [f"not served: {name}: {why}" for name, why in models.refused.items()]
    return lines


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise UserError(f"--port {port}: give 1 to 65535, or 0 for any that is free")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except (OSError, UnicodeError) as error:
        made.close()
        raise UserError(f"cannot listen at {host} port {port} ({error}); choose another with --port") from error
    return made
