"""A model behind an API as a policy: texts, and nothing of what they are made of.

policy = open_served("openai:http://127.0.0.1:8080/v1#llama-3-8b", cache, Use(), Speech(), Prices())
policy.dialect.in_words()
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.core.api.client import Client
from harness.core.api.failures import NoAnswer
from harness.core.api.secrets import require_no_secret
from harness.core.api.spending import Prices, Spending
from harness.core.api.use import Use
from harness.core.as_before import hashed
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import from_cache, stored_text, whole
from harness.core.ledger import Ledger
from harness.core.models.model_settings import ModelSettings
from harness.core.models.policy import Policy
from harness.core.models.sampling import Sampler
from harness.core.models.served.address import Address, address_of
from harness.core.models.served.asker import Asker, Speech
from harness.core.models.served.asking import about_tokens
from harness.core.models.served.dialect import Dialect
from harness.core.models.served.kept import Kept
from harness.core.models.served.probe import VERSION, probed, stated
from harness.core.models.served.rows import ServedRows
from harness.core.streams import Streams
from harness.core.types import Prompt

_PROBING = 3  # tries while it is probed: what a server cannot do often ends in an error that looks passing
_SHAPE = ("goes_on", "echoes", "top_k", "seeds")  # facts of a dialect that shape texts
_OURS = {
    "model",
    "messages",
    "prompt",
    "n",
    "seed",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "logprobs",
    "top_logprobs",
}
_WORD = re.compile(r"\s*(?:\w+|[^\w\s])")


class Words:
    """Cuts texts without a tokenizer, for tasks that measure prompts by the policy's tokens."""

    def head_of(self, text: str, tokens: int) -> str:
        """Its first words and marks, as many as tokens were asked for: what tokens are, only the server knows."""
        return "".join(_WORD.findall(text)[:tokens])


class ServedPolicy(Policy):
    """A model of a server, spoken to in the dialect that a probe found."""

    elsewhere = True

    def __init__(
        self,
        address: Address,
        client: Client,
        statement: Mapping[str, str],
        dialect: Dialect,
        speech: Speech,
        spending: Spending,
        cache: Path,
    ) -> None:
        self.name, self.contents, self.capabilities = address.name, dict(statement), frozenset({"text"})
        self.fingerprint = digest(self.contents)[:16]
        self.dialect, self.spending = dialect, spending
        server = " ".join(filter(None, (statement.get("owned_by", "a server"), statement.get("version"))))
        facts = {name: str(dialect.data()[name]) for name in _SHAPE} | dict.fromkeys(_refused(dialect), "its own")
        told = {"system_prompt": speech.system_prompt, "request": speech.more}
        self.engine = {"server": server, **facts} | {k: json.dumps(v, sort_keys=True) for k, v in told.items() if v}
        self._address, self._client, self._speech = address, client, speech
        self._kept = Kept(cache / "served", self.fingerprint)

    def decode(
        self,
        prompts: Sequence[Prompt],
        rows_per_prompt: int,
        sampler: Sampler,
        streams: Streams,
        ledger: Ledger,
        **_: object,  # layers and record: a server shows no states, which the handle minds
    ) -> ServedRows:
        if (why := self.why_not_drawn(sampler)) is not None:
            raise UserError(why)
        asker = Asker(self._address, self._client, self.dialect, self._kept, self.spending, self._speech, sampler)
        return ServedRows(asker, sampler, ledger, prompts, rows_per_prompt, streams)

    def head_of(self, text: str, tokens: int) -> str:
        return Words().head_of(text, tokens)

    def prompt_length(self, prompt: Prompt) -> int:
        """About: for estimates of cost."""
        return about_tokens(len(prompt.text or "".join(message.content for message in prompt.messages or ())))

    def require_room(self, prompts: Sequence[Prompt], new_tokens: Sequence[int]) -> None:
        """Raises UserError for prompts of a kind that the server does not answer; what is too long, it says itself."""
        for prompt in prompts:
            if prompt.text is not None and not self.dialect.texts:
                raise UserError(
                    f"prompt {prompt.id!r} is a text to go on from, and {self._address.url} has no /completions for "
                    f"{self.name!r}; choose a task whose prompts are messages, or another server"
                )
            if prompt.messages is not None and not self.dialect.messages:
                raise UserError(
                    f"prompt {prompt.id!r} is made of messages, and {self._address.url} has no /chat/completions for "
                    f"{self.name!r}; choose a task with plain-text prompts, or another server"
                )

    def requests_for(self, rows: int) -> int:
        return self.dialect.requests_for(rows)

    def bill(self) -> dict[str, Any]:
        return {**self.spending.data(), "dialect": self.dialect.data()}

    def why_not_drawn(self, sampler: Sampler) -> str | None:
        for name in _refused(self.dialect):
            if (value := getattr(sampler, name)) != 1:
                return f"{self.name!r} takes no {name}: sampler.{name}={value:g} cannot be had, leave it at 1"
        if self.dialect.temperature == "positive" and not sampler.temperature:
            return f"{self.name!r} takes no temperature of 0"
        return None

    def introduction(self, sampler: Sampler) -> list[str]:
        lines = []
        if refused := _refused(self.dialect):
            lines.append(f"{self.name} takes no {' and no '.join(refused)}: its server draws as it does by itself")
        if self.dialect.limit == "max_completion_tokens":
            lines.append(f"{self.name} takes max_completion_tokens in place of max_tokens")
        kinds = [(False, self.dialect.texts), (True, self.dialect.messages)]
        if not any(there and self.dialect.tells_base(sampler, is_chat) for is_chat, there in kinds):
            lines.append(f"base NLL is n/a; log-probabilities: {self.dialect.in_words()['log-probabilities']}")
        return lines

    def why_in_one_piece(self, prompts: Sequence[Prompt]) -> str | None:
        if self.dialect.goes_on == "none" and any(prompt.messages is not None for prompt in prompts):
            return "the server does not go on with an answer that it has begun"
        return None


def _refused(dialect: Dialect) -> list[str]:
    """Fields of the sampling rule that every server takes, but this one."""
    return [
        name
        for name, taken in (("temperature", dialect.temperature != "its own"), ("top_p", dialect.top_p))
        if not taken
    ]


def speech_of(settings: ModelSettings) -> Speech:
    """What of `model_args` a server is told. Raises UserError for the rest, which is about models loaded here."""
    more = dict(settings.request)
    if settings.chat_template_kwargs:
        more["chat_template_kwargs"] = settings.chat_template_kwargs
    for name, value in more.items():
        require_no_secret("model_args.request", name, value)
    if taken := sorted(_OURS & more.keys()):
        raise UserError(f"model_args.request holds {', '.join(taken)}, which the run itself decides; leave it out")
    for name, value in hashed(settings).items():
        if name not in ("request", "chat_template_kwargs", "system_prompt"):
            raise UserError(f"model_args.{name}={value!r}: a server loads its model by itself; leave it out")
    return Speech(settings.system_prompt, more)


def open_served(model: str, cache: Path, use: Use, speech: Speech, prices: Prices, anew: bool = False) -> ServedPolicy:
    """The model of a `--model openai:...`, probed unless that was done before, or is to be done anew.

    Raises UserError where the server does not answer, and for a model that it does not know.
    """
    address = address_of(model)
    client = Client(address.url, address.name, use.patience, use.key_variable)
    patience = replace(use.patience, tries=min(_PROBING, use.patience.tries))
    probing = Client(address.url, address.name, patience, use.key_variable)
    spending = use.spending(prices)
    try:
        statement = stated(address, probing)
        path = cache / "served" / "probes" / f"{digest([address.url, statement, VERSION])}.json"
        dialect = None if anew else _found(path)
        if dialect is None:
            dialect = probed(address, probing)
            with whole(path) as part:
                part.write_text(json.dumps(dialect.data(), indent=1), encoding="utf-8")
    except NoAnswer as error:
        raise UserError(f"{address.url} does not answer: {error}") from error
    return ServedPolicy(address, client, statement, dialect, speech, spending, cache)


def _found(path: Path) -> Dialect | None:
    if not path.exists():
        return None
    with from_cache(path, remove=path):
        data: Any = json.loads(stored_text(path))
    return Dialect.of(data) if isinstance(data, dict) else None
