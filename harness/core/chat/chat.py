"""A client of any OpenAI-compatible chat endpoint: every whole answer is kept on disk, and is not asked for twice.

chat = Chat(Endpoint("http://127.0.0.1:8080/v1", "some-model"), cache)
[reply] = chat.ask(["Who wrote Emma?"])
[reply] = chat.ask([(Message("system", "Be brief."), Message("user", "Who wrote Emma?"))])
"""

import json
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from harness.core.api.client import Client, Patience, Request
from harness.core.api.failures import NoAnswer
from harness.core.api.secrets import require_no_secret
from harness.core.api.url import checked_url
from harness.core.chat.reply import Reply, from_file, parsed, to_file
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import stored_text, whole
from harness.core.printable import printable
from harness.core.progress import Progress
from harness.core.types import Message

Question = str | tuple[Message, ...]  # a text is what the user says

_Keep = Callable[[Question, Reply], None]
_Fail = Callable[[Question, NoAnswer], None]

SETTINGS: dict[str, Any] = {"temperature": 0, "max_tokens": 512}  # greedy; room for a reason and a verdict
_PROOF, _LEFT_OUT = "sha256", "left_out"  # of a file of the cache
_KEPT = {"endpoint", "model", "settings", "question", "reply", _LEFT_OUT}
_FOR_THE_FIELD = re.compile(
    r"unsupported|not supported|does not support|doesn't support|unrecognized|unknown|not permitted|not allowed", re.I
)  # what a refusal says that is about a field, and not about how much of the context is left


@dataclass(frozen=True)
class Endpoint:
    """Who is asked, and how. `settings` are fields of the request's body; None leaves a field out.

    `by_default` names those that nobody chose: a server that takes no such field, as reasoning models take neither
    temperature nor max_tokens, is asked without it.

    Raises UserError for a URL that is none, and where URL or settings would carry a secret into files.
    """

    url: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=SETTINGS.copy)
    by_default: frozenset[str] = frozenset()

    @classmethod
    def asked_for(cls, url: str, model: str, chosen: Mapping[str, Any]) -> "Endpoint":
        """What was chosen, and SETTINGS where nothing was."""
        return cls(url, model, {**SETTINGS, **chosen}, frozenset(SETTINGS.keys() - chosen.keys()))

    def __post_init__(self) -> None:
        checked_url(self.url, "--endpoint")
        for name, value in self.settings.items():
            require_no_secret("a field of the request", name, value)

    def about(self) -> dict[str, Any]:
        """Everything that shapes its answers, besides the question."""
        return {"endpoint": self.url.rstrip("/"), "model": self.model, "settings": dict(self.settings)}

    def body(self, question: Question, left_out: Collection[str] = ()) -> dict[str, Any]:
        said = (Message("user", question),) if isinstance(question, str) else question
        messages = [{"role": one.role, "content": one.content} for one in said]
        fields = {"model": self.model, "messages": messages, **self.settings}
        return {name: value for name, value in fields.items() if value is not None and name not in left_out}


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
        self.left_out: set[str] = set()  # fields without which a reply was given that is known here
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

            def fail(question: Question, error: NoAnswer) -> None:
                came[question] = NoAnswer(f"{self.endpoint.url} does not answer: {error}")

            self._send(missing, came.__setitem__, fail)
        return [came[question] for question in questions]

    def kept(self, questions: Sequence[Question]) -> int:
        """How many different ones of these questions have an answer in the cache."""
        return sum(self._kept(question) is not None for question in dict.fromkeys(questions))

    def _ask_all(self, questions: Sequence[Question], known: int) -> dict[Question, Reply]:
        replies: dict[Question, Reply] = {}
        with Progress(self.endpoint.model, known + len(questions), "answer", self._quiet) as progress:
            progress.skip(known)

            def keep(question: Question, reply: Reply) -> None:
                replies[question] = reply
                progress.step()

            self._send(questions, keep)
        return replies

    def _send(self, questions: Sequence[Question], keep: _Keep, fail: _Fail | None = None) -> None:
        """Have each asked, and asked anew without those fields that nobody chose and the server refuses."""
        left = list(questions)
        while left:
            left = self._send_once(left, keep, fail)

    def _send_once(self, questions: Sequence[Question], keep: _Keep, fail: _Fail | None) -> list[Question]:
        """The questions that are to be asked anew, without fields that were refused."""
        without = frozenset(self.left_out)
        bodies = [self.endpoint.body(question, without) for question in questions]
        left, refused = dict.fromkeys(questions), list[NoAnswer]()

        def admit(i: int) -> bool:
            if refused:
                raise refused[0]
            return True

        def kept(i: int, reply: Reply) -> None:
            del left[questions[i]]
            self._keep(questions[i], reply, without)
            keep(questions[i], reply)

        def failed(i: int, error: NoAnswer) -> None:
            if self._refused(error) - without:
                refused.append(error)
            elif fail is not None:
                del left[questions[i]]
                fail(questions[i], error)

        requests = [Request("/chat/completions", body, partial(parsed, request=body)) for body in bodies]
        try:
            self._client.ask(requests, kept, admit, None if fail is None else failed)
        except NoAnswer as error:
            if not self._refused(error) - without:
                raise
            refused.append(error)
        if refused:
            new = set[str]().union(*map(self._refused, refused)) - without
            named = ", ".join(f"{name}={self.endpoint.settings[name]}" for name in sorted(new))
            print(f"{self.endpoint.model} takes no {named}, which is left to it", file=sys.stderr, flush=True)
            self.left_out |= new
        return list(left)

    def _refused(self, error: NoAnswer) -> set[str]:
        """The fields that nobody chose and a refusal names."""
        if error.status not in (400, 422) or not _FOR_THE_FIELD.search(str(error)):
            return set()
        return {name for name in self.endpoint.by_default if re.search(rf"\b{name}\b", str(error))}

    def _keep(self, question: Question, reply: Reply, left_out: Collection[str]) -> None:
        """Store an answer if it is whole."""
        if reply.withheld is None:
            asked = question if isinstance(question, str) else self.endpoint.body(question)["messages"]
            stored = {**self.endpoint.about(), "question": asked, "reply": to_file(reply)}
            if left_out:
                stored[_LEFT_OUT] = sorted(left_out)
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
            stored = json.loads(stored_text(path))
            proof = stored.pop(_PROOF, None)
            left_out = stored.get(_LEFT_OUT, [])
            reply = from_file(stored["reply"], self.endpoint.body(question, left_out))
            if not stored.keys() <= _KEPT or proof not in (None, digest(stored)):
                raise ValueError("another content than was written")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, IsADirectoryError) as error:
            print(printable(f"{path} is damaged ({error}); asked again"), file=sys.stderr, flush=True)
            return None
        if reply is not None:
            self.left_out.update(left_out)
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
        stored = json.loads(stored_text(path))
        proof = stored.pop(_PROOF, None)
        return stored.keys() <= _KEPT and proof in (None, digest(stored))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False
