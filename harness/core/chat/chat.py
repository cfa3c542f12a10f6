"""A client of any OpenAI-compatible chat endpoint: every whole answer is kept on disk, and is not asked for twice.

chat = Chat(Endpoint("http://127.0.0.1:8080/v1", "some-model"), cache)
[reply] = chat.ask(["Who wrote Emma?"])
[reply] = chat.ask([(Message("system", "Be brief."), Message("user", "Who wrote Emma?"))])
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import requests

from harness.core.chat.reply import AskAgain, NoAnswer, Reply, StatusInBody, from_file, parsed, shortened, to_file
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.printable import printable
from harness.core.progress import Progress
from harness.core.types import Message

Question = str | tuple[Message, ...]  # a text is what the user says

OPENAI, OPENAI_KEY = "https://api.openai.com/v1", "OPENAI_API_KEY"
SETTINGS: dict[str, Any] = {"temperature": 0, "max_tokens": 512}  # greedy; room for a reason and a verdict
_BUSY = {408, 425, 429}  # and every 5xx: asked again
_SUCH_AS = "give one such as http://127.0.0.1:8080/v1"
_PROOF, _KEPT = "sha256", {"endpoint", "model", "settings", "question", "reply"}  # of a file of the cache
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

    def body(self, question: Question) -> dict[str, Any]:
        said = (Message("user", question),) if isinstance(question, str) else question
        messages = [{"role": one.role, "content": one.content} for one in said]
        fields = {"model": self.model, "messages": messages, **self.settings}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Patience:
    """How long and how often a server is asked; shapes no answer."""

    timeout: float = 120.0  # seconds for one answer
    tries: int = 6
    wait: float = 1.0  # seconds before the second try, doubled before each one after it
    longest: float = 600.0  # seconds; a server that asks for more is left for later
    parallel: int = 4  # questions at a time


class Chat:
    """Asks and remembers. One file an answer, under the hash of the URL and the whole request, so that model, settings
    and every character of the question decide which answer it is. A reply that is no whole answer (cut short, refused,
    ...) is given out with its reason and not kept. The key is read when it is needed and kept nowhere.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        cache: Path,
        patience: Patience | None = None,
        key_variable: str | None = None,
        quiet: bool = False,
    ) -> None:
        """`quiet` shows no progress."""
        self.endpoint = endpoint
        self.patience = patience or Patience()
        self._cache = cache / "chat"
        self._key_variable = key_variable
        self._quiet = quiet

    def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """One reply a question, in order; equal questions are asked once, those whose answers are kept not at all.

        Raises UserError where the server stops answering; it says how many answers are kept.
        """
        found = {question: self._kept(question) for question in dict.fromkeys(questions)}
        replies = {question: reply for question, reply in found.items() if reply is not None}
        missing = [question for question in found if question not in replies]
        try:
            if missing:
                replies |= self._ask_all(missing, len(replies))
        except NoAnswer as error:
            kept = sum(self._kept(question) is not None for question in found)
            raise UserError(
                f"{self.endpoint.url} does not answer: {error}. {kept} of {len(found)} answers are kept: mend that and "
                f"run the same command again, it asks the other {len(found) - kept}"
            ) from error
        return [replies[question] for question in questions]

    def kept(self, questions: Sequence[Question]) -> int:
        """How many different ones of these questions have an answer in the cache."""
        return sum(self._kept(question) is not None for question in dict.fromkeys(questions))

    def _ask_all(self, questions: Sequence[Question], known: int) -> dict[Question, Reply]:
        authorise, stop = self._authorisation(), Event()
        with (
            Progress(self.endpoint.model, known + len(questions), "answer", self._quiet) as progress,
            ThreadPoolExecutor(self.patience.parallel) as pool,
        ):
            progress.skip(known)
            futures = {pool.submit(self._fetch, question, authorise, stop): question for question in questions}
            try:
                replies = {}
                for future in as_completed(futures):
                    if (reply := future.result()) is not None:
                        replies[futures[future]] = reply
                        progress.step()
                return replies
            finally:  # what is under way is still stored
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _fetch(self, question: Question, authorise: "_Authorisation", stop: Event) -> Reply | None:
        """Ask for one answer and keep it if it is whole; None where another question has stopped all."""
        if stop.is_set():
            return None
        try:
            reply = self._insist(question, authorise, stop)
        except NoAnswer:
            stop.set()
            raise
        if reply.withheld is None:
            asked = question if isinstance(question, str) else self.endpoint.body(question)["messages"]
            stored = {**self.endpoint.about(), "question": asked, "reply": to_file(reply)}
            self._keep(question, stored)
        return reply

    def _keep(self, question: Question, stored: Mapping[str, Any]) -> None:
        with whole(self._path(question)) as part:
            part.write_text(json.dumps({**stored, _PROOF: digest(stored)}, indent=1), encoding="utf-8")

    def _kept(self, question: Question) -> Reply | None:
        """The answer in the cache; None where there is none to be believed, which is asked for again.

        One of an earlier version carries no proof; it is believed, and gets one.
        """
        path = self._path(question)
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            proof = stored.pop(_PROOF, None)
            reply = from_file(stored["reply"], self.endpoint.body(question))
            if not stored.keys() <= _KEPT or proof not in (None, digest(stored)):
                raise ValueError("another content than was written")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, IsADirectoryError) as error:
            print(printable(f"{path} is damaged ({error}); asked again"), file=sys.stderr, flush=True)
            return None
        if proof is None and reply is not None:
            with suppress(PermissionError):
                self._keep(question, stored)
        return reply

    def _insist(self, question: Question, authorise: "_Authorisation", stop: Event) -> Reply:
        wait, patience = self.patience.wait, self.patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._request(question, authorise)
            except AskAgain as error:
                delay = wait if error.after is None else error.after
                if attempt >= patience.tries:
                    raise NoAnswer(f"{error} ({patience.tries} tries)") from error
                if delay > patience.longest:
                    raise NoAnswer(f"{error}, and wants to be left alone for {delay:.0f} s") from error
                print(f"{self.endpoint.model}: {error}; again in {delay:.3g} s", file=sys.stderr, flush=True)
                if stop.wait(delay):
                    raise NoAnswer(str(error)) from error
                wait = min(2 * wait, patience.longest)

    def _request(self, question: Question, authorise: "_Authorisation") -> Reply:
        """One try. Raises AskAgain for what may pass, NoAnswer for what will not."""
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
            raise AskAgain(f"no answer within {self.patience.timeout:g} s") from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise AskAgain(f"the connection failed ({type(error).__name__})") from error
        body = authorise.hide(response.content.decode("utf-8", "replace"))
        after = _seconds(response.headers.get("Retry-After"))
        if response.status_code != 200:
            raise self._failure(response.status_code, body, authorise, after)
        try:
            return parsed(body, self.endpoint.body(question))
        except StatusInBody as error:
            if error.status is None or error.status == 200:
                raise AskAgain(f"an error under status 200 ({shortened(body)})", after) from error
            raise self._failure(error.status, body, authorise, after) from error

    def _failure(self, status: int, body: str, authorise: "_Authorisation", after: float | None) -> Exception:
        """What a status other than 200 means: ask again, or not."""
        if status in _BUSY or status >= 500:
            return AskAgain(f"status {status} ({shortened(body)})", after)
        if status in (401, 403):
            return NoAnswer(f"status {status}, {authorise.explain()} ({shortened(body)})")
        return NoAnswer(f"status {status} ({shortened(body)})")

    def _path(self, question: Question) -> Path:
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


def is_as_written(path: Path) -> bool:
    """Whether a file of the cache proves itself, or is of a version that proved nothing."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        proof = stored.pop(_PROOF, None)
        return stored.keys() <= _KEPT and proof in (None, digest(stored))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False


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
