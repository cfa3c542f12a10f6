"""A client of any OpenAI-compatible chat endpoint: every answer is kept on disk, and nothing is asked twice.

chat = Chat(Endpoint("http://127.0.0.1:8080/v1", "some-model"), cache)
[reply] = chat.ask(["Who wrote Emma?"])
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import requests

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import from_cache, whole
from harness.core.progress import Progress

OPENAI, OPENAI_KEY = "https://api.openai.com/v1", "OPENAI_API_KEY"
SETTINGS: dict[str, Any] = {"temperature": 0, "max_tokens": 512}  # greedy; room for a reason and a verdict
_BUSY = {408, 425, 429}  # and every 5xx: asked again
_SUCH_AS = "give one such as http://127.0.0.1:8080/v1"
_SECRET_LENGTH = 8  # shorter keys ("none", "x") are no secrets, and words of answers


@dataclass(frozen=True)
class Endpoint:
    """Who is asked, and how. `settings` are fields of the request's body; None leaves a field out.

    Raises UserError for a URL that is none, or that would carry a secret into files.
    """

    url: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=SETTINGS.copy)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise UserError(f"--endpoint is no URL ({error}); {_SUCH_AS}") from error
        if parts.username is not None or parts.query:
            raise UserError("--endpoint holds a user, password or query; give keys in the variable of --key-variable")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"--endpoint {self.url!r} is no URL; {_SUCH_AS}")
        try:
            requests.Request("POST", self.url).prepare()
        except requests.exceptions.InvalidURL as error:
            raise UserError(f"--endpoint {self.url!r} is no URL ({error}); {_SUCH_AS}") from error

    def about(self) -> dict[str, Any]:
        """Everything that shapes its answers, besides the question."""
        return {"endpoint": self.url.rstrip("/"), "model": self.model, "settings": dict(self.settings)}

    def body(self, question: str) -> dict[str, Any]:
        fields = {"model": self.model, "messages": [{"role": "user", "content": question}], **self.settings}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Patience:
    """How long and how often a server is asked; shapes no answer."""

    timeout: float = 120.0  # seconds for one answer
    tries: int = 6
    wait: float = 1.0  # seconds before the second try, doubled before each one after it
    longest: float = 600.0  # seconds; a server that asks for more is left for later
    parallel: int = 4  # questions at a time


@dataclass(frozen=True)
class Reply:
    """A chat answer; tokens as the server counted them (0 where it did not)."""

    text: str
    model: str  # as the server names itself
    prompt_tokens: int = 0
    tokens: int = 0


class NoAnswer(Exception):
    """The server will not answer, and asking it again will not help. Says why, without the key."""


class _AskAgain(Exception):
    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after  # seconds the server asked for


class Chat:
    """Asks and remembers. One file an answer, under the hash of the URL and the whole request, so that model, settings
    and every character of the question decide which answer it is. The key is read when it is needed and kept nowhere.
    """

    def __init__(
        self, endpoint: Endpoint, cache: Path, patience: Patience | None = None, key_variable: str | None = None
    ) -> None:
        self.endpoint = endpoint
        self.patience = patience or Patience()
        self._cache = cache / "chat"
        self._key_variable = key_variable

    def ask(self, questions: Sequence[str]) -> list[Reply]:
        """One reply a question, in order; equal questions are asked once, known ones not at all.

        Raises UserError where the server stops answering; it says how many answers are kept.
        """
        paths = {question: self._path(question) for question in dict.fromkeys(questions)}
        missing = [question for question, path in paths.items() if not path.exists()]
        try:
            if missing:
                self._ask_all(missing, len(paths) - len(missing))
        except NoAnswer as error:
            kept = sum(path.exists() for path in paths.values())
            raise UserError(
                f"{self.endpoint.url} does not answer: {error}. {kept} of {len(paths)} answers are kept: mend that and "
                f"run the same command again, it asks the other {len(paths) - kept}"
            ) from error
        return [_stored(paths[question]) for question in questions]

    def _ask_all(self, questions: Sequence[str], known: int) -> None:
        authorise, stop = self._authorisation(), Event()
        with (
            Progress(self.endpoint.model, known + len(questions), "answer") as progress,
            ThreadPoolExecutor(self.patience.parallel) as pool,
        ):
            progress.skip(known)
            futures = [pool.submit(self._fetch, question, authorise, stop) for question in questions]
            try:
                for future in as_completed(futures):
                    future.result()
                    progress.step()
            finally:  # what is under way is still stored
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _fetch(self, question: str, authorise: "_Authorisation", stop: Event) -> None:
        """Ask and store one answer, unless the others were stopped meanwhile."""
        if stop.is_set():
            return
        try:
            reply = self._insist(question, authorise, stop)
        except NoAnswer:
            stop.set()
            raise
        stored = {**self.endpoint.about(), "question": question, "reply": asdict(reply)}
        with whole(self._path(question)) as part:
            part.write_text(json.dumps(stored, indent=1), encoding="utf-8")

    def _insist(self, question: str, authorise: "_Authorisation", stop: Event) -> Reply:
        wait, patience = self.patience.wait, self.patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._request(question, authorise)
            except _AskAgain as error:
                delay = wait if error.after is None else error.after
                if attempt >= patience.tries:
                    raise NoAnswer(f"{error} ({patience.tries} tries)") from error
                if delay > patience.longest:
                    raise NoAnswer(f"{error}, and wants to be left alone for {delay:.0f} s") from error
                print(f"{self.endpoint.model}: {error}; again in {delay:.3g} s", file=sys.stderr, flush=True)
                if stop.wait(delay):
                    raise NoAnswer(str(error)) from error
                wait = min(2 * wait, patience.longest)

    def _request(self, question: str, authorise: "_Authorisation") -> Reply:
        """One try. Raises _AskAgain for what may pass, NoAnswer for what will not."""
        url = f"{self.endpoint.url.rstrip('/')}/chat/completions"
        try:
            response = requests.post(
                url,
                json=self.endpoint.body(question),
                auth=authorise,
                timeout=self.patience.timeout,
                allow_redirects=False,
            )
        except requests.Timeout as error:
            raise _AskAgain(f"no answer within {self.patience.timeout:g} s") from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise _AskAgain(f"the connection failed ({type(error).__name__})") from error
        said = authorise.hide(response.content.decode("utf-8", "replace"))
        if response.status_code in _BUSY or response.status_code >= 500:
            after = _seconds(response.headers.get("Retry-After"))
            raise _AskAgain(f"status {response.status_code} ({_short(said)})", after)
        if response.status_code in (401, 403):
            raise NoAnswer(f"status {response.status_code}, {authorise.explain()} ({_short(said)})")
        if response.status_code != 200:
            raise NoAnswer(f"status {response.status_code} ({_short(said)})")
        return _parse(said)

    def _path(self, question: str) -> Path:
        name = digest({**self.endpoint.about(), "body": self.endpoint.body(question)})
        return self._cache / name[:2] / f"{name}.json"

    def _authorisation(self) -> "_Authorisation":
        """Of the variable that was named; of OPENAI_API_KEY only for OpenAI itself, so that no other server gets it."""
        variable = self._key_variable or (OPENAI_KEY if self.endpoint.url.rstrip("/") == OPENAI else None)
        if variable is None:
            return _Authorisation(None, None)
        key = os.environ.get(variable, "").strip()
        if not key:
            raise UserError(f"the environment variable {variable} holds no key; export it, or name another one")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise UserError(f"the environment variable {variable} holds no key: it has blanks or letters no key has")
        return _Authorisation(variable, key)


@dataclass(frozen=True)
class _Authorisation:
    """Adds the key to a request. Handed to requests even without one, or it would look for passwords in ~/.netrc."""

    variable: str | None
    key: str | None = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.key is not None:
            request.headers["Authorization"] = f"Bearer {self.key}"
        return request

    def hide(self, text: str) -> str:
        """What a server said, without the key in it."""
        return text.replace(self.key, "***") if self.key is not None and len(self.key) >= _SECRET_LENGTH else text

    def explain(self) -> str:
        if self.variable is None:
            return "and no key was sent; name its environment variable with --key-variable"
        return f"the key in the environment variable {self.variable} was refused"


def _stored(path: Path) -> Reply:
    with from_cache(path, remove=path):
        return Reply(**json.loads(path.read_text(encoding="utf-8"))["reply"])


def _parse(said: str) -> Reply:
    try:
        answer = json.loads(said)
        content, usage = answer["choices"][0]["message"]["content"], answer.get("usage") or {}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise NoAnswer(f"this is no OpenAI-compatible chat answer: {_short(said)}") from error
    return Reply(
        content or "",  # null where a model refuses or only calls tools
        str(answer.get("model", "")),
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
    )


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


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]}..."
