"""A client of any OpenAI-compatible chat endpoint: every whole answer is kept on disk, and is not asked for twice.

chat = Chat(Endpoint("http://127.0.0.1:8080/v1", "some-model"), cache)
[reply] = chat.ask(["Who wrote Emma?"])
[reply] = chat.ask([(Message("system", "Be brief."), Message("user", "Who wrote Emma?"))])
"""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.api.client import Client, Patience, Request
from harness.core.api.failures import NoAnswer
from harness.core.api.secrets import require_no_secret
from harness.core.api.url import checked_url
from harness.core.chat.reply import Reply, from_file, parsed, to_file
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.printable import printable
from harness.core.progress import Progress
from harness.core.types import Message

Question = str | tuple[Message, ...]  # a text is what the user says

SETTINGS: dict[str, Any] = {"temperature": 0, "max_tokens": 512}  # greedy; room for a reason and a verdict
_PROOF, _KEPT = "sha256", {"endpoint", "model", "settings", "question", "reply"}  # of a file of the cache


@dataclass(frozen=True)
class Endpoint:
    """Who is asked, and how. `settings` are fields of the request's body; None leaves a field out.

    Raises UserError for a URL that is none, and where URL or settings would carry a secret into files.
    """

    url: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=SETTINGS.copy)

    def __post_init__(self) -> None:
        checked_url(self.url, "--endpoint")
        for name, value in self.settings.items():
            require_no_secret("a field of the request", name, value)

    def about(self) -> dict[str, Any]:
        """Everything that shapes its answers, besides the question."""
        return {"endpoint": self.url.rstrip("/"), "model": self.model, "settings": dict(self.settings)}

    def body(self, question: Question) -> dict[str, Any]:
        said = (Message("user", question),) if isinstance(question, str) else question
        messages = [{"role": one.role, "content": one.content} for one in said]
        fields = {"model": self.model, "messages": messages, **self.settings}
        return {name: value for name, value in fields.items() if value is not None}


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
        self._client = Client(endpoint.url, endpoint.model, patience or Patience(), key_variable)
        self._cache = cache / "chat"
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

    def ask_each(self, questions: Sequence[Question]) -> list[Reply | NoAnswer]:
        """What came of each question, in order, by the rules of `ask`; one without an answer stops no other."""
        found = {question: self._kept(question) for question in dict.fromkeys(questions)}
        missing = [question for question, reply in found.items() if reply is None]
        came: dict[Question, Reply | NoAnswer] = {q: reply for q, reply in found.items() if reply is not None}
        if missing:

            def keep(i: int, reply: Reply) -> None:
                came[missing[i]] = reply
                self._keep(missing[i], reply)

            def fail(i: int, error: NoAnswer) -> None:
                came[missing[i]] = NoAnswer(f"{self.endpoint.url} does not answer: {error}")

            self._client.ask([self._request(question) for question in missing], keep, fail=fail)
        return [came[question] for question in questions]

    def kept(self, questions: Sequence[Question]) -> int:
        """How many different ones of these questions have an answer in the cache."""
        return sum(self._kept(question) is not None for question in dict.fromkeys(questions))

    def _ask_all(self, questions: Sequence[Question], known: int) -> dict[Question, Reply]:
        replies: dict[Question, Reply] = {}
        with Progress(self.endpoint.model, known + len(questions), "answer", self._quiet) as progress:
            progress.skip(known)

            def keep(i: int, reply: Reply) -> None:
                replies[questions[i]] = reply
                self._keep(questions[i], reply)
                progress.step()

            self._client.ask([self._request(question) for question in questions], keep)
        return replies

    def _request(self, question: Question) -> Request[Reply]:
        body = self.endpoint.body(question)
        return Request("/chat/completions", body, lambda text: parsed(text, body))

    def _keep(self, question: Question, reply: Reply) -> None:
        """Store an answer if it is whole."""
        if reply.withheld is None:
            asked = question if isinstance(question, str) else self.endpoint.body(question)["messages"]
            stored = {**self.endpoint.about(), "question": asked, "reply": to_file(reply)}
            self._store(question, stored)

    def _store(self, question: Question, stored: Mapping[str, Any]) -> None:
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
                self._store(question, stored)
        return reply

    def _path(self, question: Question) -> Path:
        name = digest({**self.endpoint.about(), "body": self.endpoint.body(question)})
        return self._cache / name[:2] / f"{name}.json"


def is_as_written(path: Path) -> bool:
    """Whether a file of the cache proves itself, or is of a version that proved nothing."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        proof = stored.pop(_PROOF, None)
        return stored.keys() <= _KEPT and proof in (None, digest(stored))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False
