"""A client of any server that speaks OpenAI's protocol: many requests at a time, each asked until it is answered.

client = Client("http://127.0.0.1:8080/v1", "some-model", Patience())
client.ask([Request("/chat/completions", body, read)], keep=lambda i, reply: ...)

`openai` does the HTTP. What it leaves to us: a deadline for a whole reply, however slowly its bytes come, a limit on
its size, no redirect (which would carry the key elsewhere), no key but to the server it is for, and being asked again.
"""

import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
from anyio.from_thread import start_blocking_portal

from harness.core.api.failures import AskAgain, NoAnswer, StatusInBody, shortened
from harness.core.api.key import Key, key_for

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

Answered = TypeVar("Answered")

Keep = Callable[[int, Answered], None]
Fail = Callable[[int, NoAnswer], None]
Admit = Callable[[int], bool]
_BUSY = {408, 425, 429}  # and every 5xx: asked again
_BROKEN = {500, 501}  # of these, what some servers say to what they cannot do, each time


@dataclass(frozen=True)
class Patience:
    """How long and how often a server is asked; shapes no answer."""

    timeout: float = 120.0  # seconds for one answer, from asking to its last byte
    tries: int = 6
    wait: float = 1.0  # seconds before the second try, doubled before each one after it
    longest: float = 600.0  # seconds; a server that asks for more is left for later
    parallel: int = 4  # questions at a time
    most_bytes: int = 32 * 2**20  # of one answer


@dataclass(frozen=True)
class Request(Generic[Answered]):
    """What is asked: a path below the URL (or a whole URL), and a body to send, None to get."""

    path: str
    body: Mapping[str, Any] | None
    read: Callable[[str], Answered]  # of the text of the reply; raises StatusInBody, AskAgain, NoAnswer


class Client:
    """Asks one server. The key is read from the environment when something is asked, and kept nowhere."""

    def __init__(self, url: str, name: str, patience: Patience, key_variable: str | None = None) -> None:
        """`name` is who is asked, in messages."""
        self.url, self.patience, self._name, self._key_variable = url.rstrip("/"), patience, name, key_variable

    def ask(
        self,
        requests: Sequence[Request[Answered]],
        keep: Keep[Answered],
        admit: Admit | None = None,
        fail: Fail | None = None,
    ) -> None:
        """Have every request answered; keep(i, reply) is called with each as it comes, from another thread.

        admit(i) is called before it is sent, and may raise what ends all, as what `keep` raises does. Where it says no,
        it is asked again when one of those under way is back, of which there must be one.
        Raises NoAnswer where the server stops answering: what is under way is still kept, nothing else is asked. With
        `fail`, a request without an answer stops no other: fail(i, error) is called with it. Ctrl-C ends all at once.
        """
        key = key_for(self.url, self._key_variable)
        with start_blocking_portal() as portal:
            portal.call(self._ask_all, requests, keep, admit, fail, key)

    def get(self, request: Request[Answered]) -> Answered:
        """One request alone. Raises NoAnswer."""
        replies: list[Answered] = []
        self.ask([request], lambda _, reply: replies.append(reply))
        return replies[0]

    async def _ask_all(
        self,
        requests: Sequence[Request[Answered]],
        keep: Keep[Answered],
        admit: Admit | None,
        fail: Fail | None,
        key: Key,
    ) -> None:
        stop, turns, failures = anyio.Event(), anyio.CapacityLimiter(self.patience.parallel), list[Exception]()
        back = anyio.Condition()  # one that was under way

        async def is_admitted(i: int) -> bool:
            """Whether to send it; waits until it may be, or nothing is to be sent any more."""
            async with back:
                while not stop.is_set():
                    if admit is None or admit(i):
                        return True
                    await back.wait()
            return False

        async def one(i: int) -> None:
            async with turns:
                try:
                    if not await is_admitted(i):
                        return
                    keep(i, await self._insist(server, requests[i], key, stop))
                except Exception as error:  # of the server, the disk or the caller: raised when all others are back
                    if isinstance(error, NoAnswer):
                        error.place = i
                        if fail is not None:
                            fail(i, error)
                            return
                    failures.append(error)
                    stop.set()
                finally:
                    async with back:
                        back.notify_all()

        async with self._connected(key) as server, anyio.create_task_group() as group:
            for i in range(len(requests)):
                group.start_soon(one, i)
        if failures:
            raise failures[0]

    async def _insist(self, server: "AsyncOpenAI", request: Request[Answered], key: Key, stop: anyio.Event) -> Answered:
        wait, patience = self.patience.wait, self.patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._try(server, request, key)
            except AskAgain as error:
                delay = wait if error.after is None else error.after
                if attempt >= patience.tries:
                    raise error.given_up(f" ({patience.tries} tries)") from error
                if delay > patience.longest:
                    raise error.given_up(f", and wants to be left alone for {delay:.0f} s") from error
                print(f"{self._name}: {error}; again in {delay:.3g} s", file=sys.stderr, flush=True)
                with anyio.move_on_after(delay):
                    await stop.wait()
                    raise error.given_up() from error
                wait = min(2 * wait, patience.longest)

    async def _try(self, server: "AsyncOpenAI", request: Request[Answered], key: Key) -> Answered:
        """One try. Raises AskAgain for what may pass, NoAnswer for what will not."""
        import httpx2
        from openai import APIConnectionError, APIStatusError

        try:
            with anyio.fail_after(self.patience.timeout):
                if request.body is None:
                    response = await server.get(request.path, cast_to=httpx2.Response)
                else:
                    response = await server.post(request.path, cast_to=httpx2.Response, body=dict(request.body))
                content = response.content
        except TimeoutError as error:
            raise AskAgain(f"no answer within {self.patience.timeout:g} s", may_pass=True) from error
        except APIStatusError as error:
            body = key.hide(error.response.content.decode("utf-8", "replace"))
            raise _failure(error.status_code, body, key, _seconds(error.response.headers.get("Retry-After"))) from error
        except (APIConnectionError, httpx2.RequestError) as error:
            cause = error.__cause__ if isinstance(error, APIConnectionError) else error
            if isinstance(cause, NoAnswer):  # of our hooks, which early versions of the library wrap
                raise cause from error
            kind = "ConnectionError" if isinstance(cause, httpx2.ConnectError) else type(cause or error).__name__
            raise AskAgain(f"the connection failed ({kind})", may_pass=True) from error
        body, after = key.hide(content.decode("utf-8", "replace")), _seconds(response.headers.get("Retry-After"))
        _require_whole(body)
        try:
            return request.read(body)
        except StatusInBody as error:
            if error.status is None or error.status == 200:
                raise AskAgain(f"an error under status 200 ({shortened(body)})", after) from error
            raise _failure(error.status, body, key, after) from error

    @asynccontextmanager
    async def _connected(self, key: Key) -> AsyncIterator["AsyncOpenAI"]:
        import httpx2
        from openai import AsyncOpenAI

        async def own_headers(request: httpx2.Request) -> None:
            for name in ("Authorization", "OpenAI-Organization", "OpenAI-Project"):  # what `openai` finds by itself
                request.headers.pop(name, None)
            if key.key is not None:
                request.headers["Authorization"] = f"Bearer {key.key}"
            request.headers["Accept-Encoding"] = "identity"  # so that its size is what is read

        async def limited(response: httpx2.Response) -> None:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise NoAnswer("the reply is compressed, though none such was asked for")
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _limited(response.stream, self.patience.most_bytes)

        hooks: dict[str, list[Callable[..., Any]]] = {"request": [own_headers], "response": [limited]}
        async with httpx2.AsyncClient(
            follow_redirects=False, timeout=None, verify=_ssl_context(), event_hooks=hooks
        ) as http:
            yield AsyncOpenAI(
                api_key="sent by the hook", base_url=self.url, http_client=http, max_retries=0, timeout=None
            )


def _failure(status: int, body: str, key: Key, after: float | None) -> Exception:
    """What a status other than 200 means: ask again, or not."""
    if status in _BUSY or status >= 500:
        return AskAgain(f"status {status} ({shortened(body)})", after, status, status not in _BROKEN)
    if status in (401, 403):
        return NoAnswer(f"status {status}, {key.explain()} ({shortened(body)})", status)
    return NoAnswer(f"status {status} ({shortened(body)})", status)


def _require_whole(body: str) -> None:
    """Raises AskAgain for JSON that begins and does not end, as a proxy that was cut off leaves it."""
    if body.lstrip().startswith("{"):
        try:
            json.loads(body)
        except ValueError as error:
            raise AskAgain(f"the reply is cut off ({shortened(body)})", may_pass=True) from error
        except RecursionError as error:
            raise NoAnswer(f"the reply is no answer of an OpenAI-compatible server ({shortened(body)})") from error


def _limited(stream: "httpx2.AsyncByteStream", most: int) -> "httpx2.AsyncByteStream":
    """The bytes of a reply, as many as are allowed. Raises NoAnswer at more."""
    import httpx2

    class Limited(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            seen = 0
            async for part in stream:
                seen += len(part)
                if seen > most:
                    raise NoAnswer(f"the reply is longer than {most / 2**20:g} MB")
                yield part

        async def aclose(self) -> None:
            await stream.aclose()

    return Limited()


@cache
def _ssl_context() -> Any:
    """Loading the certificates takes longer than a reply of a server nearby."""
    import httpx2

    return httpx2.create_ssl_context()


def _seconds(retry_after: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """A Retry-After header, seconds or a date, as seconds from now; None where there is none that can be read."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now()).total_seconds())
