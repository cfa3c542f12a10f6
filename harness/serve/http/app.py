"""The endpoint: OpenAI's paths, health, metrics and a page, over one folder's models.

app = make_app(models, token=None, limits=Limits())

Errors are OpenAI's objects whatever goes wrong; who may ask is said in guard.py.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from harness.core.errors import NotAnswering, UserError
from harness.core.unwritable import unwritable
from harness.serve.http import replies
from harness.serve.http.asked import Asked, Limits, Refused, read_chat, read_completion
from harness.serve.http.guard import Guard, answered, too_large
from harness.serve.http.metrics import Metrics
from harness.serve.http.models import Models
from harness.serve.http.page import policy_of_page, serving_page
from harness.serve.http.writer import Event, Failed, Full, Piece, Ticket, Writer, Written

_REFUSES = (400, 413, 422)  # of the model's server: the request cannot be answered, a text too long for instance


def make_app(models: Models, token: str | None, limits: Limits) -> FastAPI:
    metrics = Metrics()
    writer = Writer(limits.waiting, metrics)
    created = int(time.time())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(writer.stop)

    app = FastAPI(title="iro-harness", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.writer = writer

    app.add_middleware(Guard, token=token, limits=limits, metrics=metrics)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return answered(error)

    @app.exception_handler(HTTPException)
    async def no_such_path(request: Request, error: HTTPException) -> Response:
        what = {404: f"there is no {request.url.path}; see /v1/models", 405: f"{request.method} is not for this path"}
        return answered(Refused(error.status_code, what.get(error.status_code, str(error.detail))))

    @app.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> Response:
        return answered(Refused(400, str(error.errors()[0]["msg"])))

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        return answered(Refused(500, f"the server failed ({type(error).__name__}); its log says more", code="internal"))

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [replies.model_of(name, created) for name in models.names]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        if name not in models.served:
            raise Refused(404, f"there is no model {name!r}; /v1/models lists them", "model", "model_not_found")
        return replies.model_of(name, created)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _answered(request, read_chat(await _body(request, limits), models, limits), writer)

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        return await _answered(request, read_completion(await _body(request, limits), models, limits), writer)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "waiting": writer.waiting}

    @app.get("/metrics")
    async def prometheus() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    page = serving_page(models, token is not None)
    headers = {"Content-Security-Policy": policy_of_page(page), "X-Content-Type-Options": "nosniff",
               "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}  # fmt: skip

    @app.get("/")
    async def look() -> Response:
        return HTMLResponse(page, headers=headers)

    return app


async def _body(request: Request, limits: Limits) -> Any:
    """The body as JSON, read no further than it may be long."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > limits.body_bytes:
            raise too_large(limits)

    def refuse(number: str) -> Any:
        raise ValueError(f"{number} is no number of JSON")

    try:
        return json.loads(b"".join(parts).decode(), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON ({str(error)[:200]})") from error


async def _answered(request: Request, asked: Asked, writer: Writer) -> Response:
    """Stand in line, and answer whole or piece by piece. Who hangs up is no longer waited for."""
    request.state.model = asked.served.name
    loop, events = asyncio.get_running_loop(), asyncio.Queue[tuple[int, Event]]()

    def tell(index: int) -> Callable[[Event], None]:
        def put(event: Event) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is there any more
                loop.call_soon_threadsafe(events.put_nowait, (index, event))

        return put

    try:
        tickets = writer.ask(asked.wanted, [tell(i) for i in range(len(asked.wanted))])
    except Full as error:
        raise Refused(429, "the line is full; try again in a moment", code="line_full") from error
    name, created = f"{'chatcmpl' if asked.kind == 'chat' else 'cmpl'}-{uuid.uuid4().hex}", int(time.time())
    if asked.stream:
        first = await _next(request, events, tickets)
        if isinstance(first[1], Failed):
            _give_up(tickets)
            raise _refused(first[1].error)
        stream = _events(request, asked, first, events, tickets, name, created)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    made: dict[int, Written] = {}
    while len(made) < len(tickets):
        index, event = await _next(request, events, tickets)
        if isinstance(event, Failed):
            _give_up(tickets)
            raise _refused(event.error)
        if isinstance(event, Written):
            made[index] = event
    return JSONResponse(replies.whole(asked, [made[i] for i in range(len(tickets))], name, created))


async def _next(
    request: Request, events: "asyncio.Queue[tuple[int, Event]]", tickets: list[Ticket]
) -> tuple[int, Event]:
    """The next event; while there is none, whether anybody still waits for it."""
    while True:
        try:
            return await asyncio.wait_for(events.get(), 1.0)
        except TimeoutError:
            if await request.is_disconnected():
                _give_up(tickets)
                raise Refused(499, "the caller hung up") from None


async def _events(
    request: Request,
    asked: Asked,
    first: tuple[int, Event],
    events: "asyncio.Queue[tuple[int, Event]]",
    tickets: list[Ticket],
    name: str,
    created: int,
) -> AsyncIterator[str]:
    made: dict[int, Written] = {}
    sent = dict.fromkeys(range(len(tickets)), "")
    try:
        if asked.kind == "chat":
            for i in sent:  # in order, as OpenAI's client needs them
                yield _line(replies.begun(asked, i, name, created))
        index, event = first
        while True:
            match event:
                case Piece():
                    sent[index] += event.text
                    yield _line(replies.piece(asked, index, event.text, name, created))
                case Written():
                    made[index] = event
                    rest = event.text[len(sent[index]) :]
                    yield _line(replies.piece(asked, index, rest, name, created, event.finish, event))
                case Failed():
                    yield _line(_refused(event.error).body)
                    return
            if len(made) == len(tickets):
                break
            index, event = await _next(request, events, tickets)
        if asked.include_usage:
            yield _line(replies.last(asked, [made[i] for i in range(len(tickets))], name, created))
        yield "data: [DONE]\n\n"
    finally:
        _give_up(tickets)


def _line(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"


def _give_up(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        ticket.cancelled = True


def _refused(error: Exception) -> Refused:
    """A request that cannot be answered is at fault; what the server asks, a full disk, and anything else is not."""
    if isinstance(error, NotAnswering):
        if error.status in _REFUSES:
            return Refused(400, f"the model's server refuses the request: {error.reason}", code="upstream_refused")
        status = 503 if error.may_pass else 502
        return Refused(status, f"the server was given no answer: {error.reason}", code="upstream_failed")
    if isinstance(error, UserError):
        code = "context_length_exceeded" if "reads at most" in str(error) else None
        return Refused(400, str(error), None, code)
    if unwritable(error) is not None:
        return Refused(507, "the server cannot write its files; its log says more", code="unwritable")
    return Refused(500, f"the server failed ({type(error).__name__})", code="internal")
