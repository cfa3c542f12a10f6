"""Who may ask: every request passes here first, and is counted when it has been answered.

Without a token the server answers to local names alone and takes JSON alone, so that no page of another site reaches
it; with one, all but `/health` and the page need it.
"""

import hmac
import ipaddress
import time

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.serve.http.asked import Limits, Refused
from harness.serve.http.metrics import Metrics

_OPEN = ("/health", "/")  # without a token: whether it is there, and the page that asks for one
_PATHS = frozenset({"/v1/models", "/v1/chat/completions", "/v1/completions", "/health", "/metrics", "/"})
_RETRY = {"Retry-After": "1"}


class Guard:
    """Plain ASGI, so that an endpoint still hears of a caller who hangs up."""

    def __init__(self, app: ASGIApp, token: str | None, limits: Limits, metrics: Metrics) -> None:
        self.app, self._token, self._limits, self._metrics = app, token, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, seen = time.perf_counter(), {"status": 499}  # of a caller who hung up before an answer
        scope.setdefault("state", {})["model"] = ""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
            await send(message)

        try:
            require_allowed(Request(scope), self._token, self._limits)
            await self.app(scope, receive, watched)
        except Refused as refused:
            await answered(refused)(scope, receive, watched)
        finally:
            path = scope["path"] if scope["path"] in _PATHS else "other"
            self._metrics.requests.labels(path, scope["state"]["model"], str(seen["status"])).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - started)


def require_allowed(request: Request, token: str | None, limits: Limits) -> None:
    """Raises Refused for callers without the token, for other sites, and for bodies that say they are too large."""
    if token is None:
        host = request.headers.get("host", "")
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if not is_loopback(name):
            raise Refused(403, f"this server answers to local names alone, not to {name!r:.80}", code="wrong_host")
    elif request.url.path not in _OPEN:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, token.encode()):
            raise Refused(
                401,
                "incorrect API key: give the server's token as Authorization: Bearer TOKEN",
                code="invalid_api_key",
            )
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if request.method == "POST" and kind != "application/json":
        raise Refused(415, "send the body as Content-Type: application/json")
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said) > limits.body_bytes:
        raise too_large(limits)


def is_loopback(host: str) -> bool:
    """Whether only this machine can mean itself by it: localhost, and addresses that are reached from nowhere else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def too_large(limits: Limits) -> Refused:
    return Refused(413, f"the body may have {limits.body_bytes:,} bytes", code="body_too_large")


def answered(error: Refused) -> Response:
    """An error as a response in OpenAI's form."""
    return JSONResponse(error.body, error.status, headers=_RETRY if error.status in (429, 503) else None)
