"""Questions to any model of one endpoint, as graders ask: messages, a model, and how it is to answer.

ask = Asking("http://127.0.0.1:8080/v1", cache)
ask([[{"role": "user", "content": "Who wrote Emma?"}]], "some-model", {"temperature": 1})       # [Reply]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.api.failures import NoAnswer
from harness.core.chat.chat import Chat, Endpoint
from harness.core.chat.reply import Reply
from harness.core.digest import digest
from harness.core.types import Message

_ROOM = "max_tokens"
_NAMES = {"max_completions_tokens": "max_completion_tokens"}  # OpenAI's graders have another name than its chats


@dataclass(frozen=True)
class Asking:
    """The rules, the keys and the cache of `Chat`; what a question leaves open is as judges ask: greedy, 512 tokens."""

    url: str
    cache: Path
    key_variable: str | None = None
    _chats: dict[str, Chat] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Endpoint(self.url, "any")  # says what is wrong with the URL

    def __call__(
        self, conversations: Sequence[Sequence[Mapping[str, str]]], model: str, sampling: Mapping[str, object]
    ) -> list[Reply | NoAnswer]:
        """What came of each; one that gets no answer stops no other. Raises UserError where there is no key."""
        chat = self._chats.setdefault(digest([model, dict(sampling)]), self._chat(model, sampling))
        return chat.ask_each([tuple(Message(one["role"], one["content"]) for one in said) for said in conversations])

    def _chat(self, model: str, sampling: Mapping[str, object]) -> Chat:
        chosen = {_NAMES.get(name, name): value for name, value in sampling.items()}
        if _NAMES.keys() & sampling.keys():
            chosen[_ROOM] = None  # which leaves it out
        endpoint = Endpoint.asked_for(self.url, model, chosen)
        return Chat(endpoint, self.cache, key_variable=self.key_variable, quiet=True)
