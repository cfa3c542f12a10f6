"""Has pieces of text written by a server: from what is kept, else by requests, several rows a request where it can.

asker.ask([Wanted(prompt, 0, " so far", most=8, at=12, seed=7, rows=4)])      # four pieces that go on from " so far"
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.core.api.client import Admit, Answered, Client, Keep, Request
from harness.core.api.failures import NoAnswer
from harness.core.api.spending import Spending, Tokens
from harness.core.errors import NotAnswering, UserError
from harness.core.models.sampling import Sampler
from harness.core.models.served.address import Address
from harness.core.models.served.asking import (
    CHAT,
    COMPLETIONS,
    TEMPLATE,
    Reply,
    about_tokens,
    continued,
    logprob_fields,
    parsed,
    rendered_in,
    reply_of,
    sampling_fields,
)
from harness.core.models.served.dialect import Dialect
from harness.core.models.served.kept import Kept, Piece
from harness.core.types import Message, Prompt


@dataclass(frozen=True)
class Wanted:
    """Pieces that go on from one prefix of one prompt."""

    prompt: Prompt
    owner: int  # place of the prompt in its batch
    said: str  # of the answer so far
    most: int  # tokens
    at: int  # tokens of the answer so far
    seed: int  # of the first row; the next ones have the next
    rows: int

    def is_whole(self, sampler: Sampler) -> bool:
        """Whether they are plain samples: whole answers, as far as the rule lets them go."""
        return self.at == 0 and not self.said and self.most == sampler.max_new_tokens

    def with_one_more(self) -> "Wanted":
        return replace(self, rows=self.rows + 1)


@dataclass(frozen=True)
class Speech:
    """How the model is spoken to, beyond the sampling rule."""

    system_prompt: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)  # fields of every request


@dataclass
class Asker:
    address: Address
    client: Client
    dialect: Dialect
    kept: Kept
    spending: Spending
    speech: Speech
    sampler: Sampler

    def ask(self, wanted: Sequence[Wanted]) -> list[list[Piece]]:
        """The pieces of each, a row each.

        Raises UserError where the server stops answering, the budget is spent, and for what must go on and cannot.
        """
        for want in wanted:
            if want.said and want.prompt.messages is not None and self.dialect.goes_on == "none":
                raise UserError(
                    f"{self.address.url} does not go on with an answer that it has begun, so that methods write in one "
                    "piece: give a chunk as long as sampler.max_new_tokens"
                )
        found: list[list[Piece | None]] = [
            [self.kept.find(self._named(want, i)) for i in range(want.rows)] for want in wanted
        ]
        self.spending.kept += sum(piece is not None for pieces in found for piece in pieces)
        while calls := [call for w, pieces in enumerate(found) for call in self._calls(w, wanted[w], pieces)]:
            self._send(calls, wanted, found)
        pieces = [[piece for piece in of_one if piece is not None] for of_one in found]
        for want, of_one in zip(wanted, pieces, strict=True):
            for piece in of_one:
                is_last = want.at + piece.written.tokens >= self.sampler.max_new_tokens
                self.spending.note(want.said + piece.written.text, piece.written.finish, is_last)
        return pieces

    def took(self, pieces: Sequence[Piece]) -> Tokens:
        """What they take whoever asks for them alone: a prefix is read once by each request."""
        first = [pieces[i] for i in range(0, len(pieces), self.dialect.choices)]
        return Tokens(
            sum(piece.read for piece in first),
            sum(piece.cached for piece in first),
            sum(piece.written.tokens for piece in pieces),
        )

    def _calls(self, place: int, want: Wanted, pieces: Sequence[Piece | None]) -> Iterator["_Call"]:
        """Requests for the rows that are missing: neighbours together, as many as a request brings."""
        first, n = 0, 0
        for i, piece in enumerate([*pieces, None]):
            missing = i < len(pieces) and piece is None
            if n and (not missing or n == self.dialect.choices):
                yield _Call(place, first, n)
                n = 0
            if missing:
                first, n = (i, 1) if n == 0 else (first, n + 1)

    def _send(self, calls: Sequence["_Call"], wanted: Sequence[Wanted], found: list[list[Piece | None]]) -> None:
        rendered = self._rendered([wanted[call.place].prompt for call in calls])
        bodies = [self._body(wanted[call.place], call, rendered) for call in calls]
        requests = [
            _request(path, body, wanted[call.place].most, call.rows)
            for (path, body), call in zip(bodies, calls, strict=True)
        ]
        characters = [_characters(wanted[call.place]) for call in calls]
        at_most = [
            self.spending.at_most(length, call.rows * wanted[call.place].most)
            for length, call in zip(characters, calls, strict=True)
        ]
        self.spending.begin()

        def keep(i: int, reply: Reply) -> None:
            call, want = calls[i], wanted[calls[i].place]
            told = reply.tokens  # a server that counts nothing is taken to read a token for four characters
            tokens = told if told.read else replace(told, read=about_tokens(characters[i]))
            self.spending.settle(at_most[i], tokens, characters[i])
            for j, one in enumerate(reply.choices, call.first):
                text = one.text.removeprefix(want.said) if self.dialect.echoes else one.text
                piece = Piece(replace(one, text=text), tokens.read, tokens.cached)
                self.kept.store(self._named(want, j), piece)
                found[call.place][j] = piece

        prompts = [wanted[call.place].prompt for call in calls]
        self._have_answered(requests, prompts, keep, lambda i: self.spending.admit(at_most[i]))

    def _have_answered(
        self,
        requests: Sequence[Request[Answered]],
        prompts: Sequence[Prompt],
        keep: Keep[Answered],
        admit: Admit | None = None,
    ) -> None:
        """Have requests answered, each about a prompt. Raises NotAnswering where the server stops."""
        try:
            self.client.ask(requests, keep, admit)
        except NoAnswer as error:
            which = "" if error.place is None else f" (prompt {prompts[error.place].id!r})"
            raise NotAnswering(
                f"{self.address.url} does not answer{which}: {error}. All answers so far are kept: mend that and run "
                "the same command again, which asks the others",
                str(error), error.status, error.may_pass,
            ) from error  # fmt: skip

    def _body(self, want: Wanted, call: "_Call", rendered: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """Path and body of a request."""
        body: dict[str, Any] = {"model": self.address.name}
        path, prompt = CHAT, want.prompt
        if prompt.text is not None:
            path, body["prompt"] = COMPLETIONS, prompt.text + want.said
        elif prompt.id in rendered:
            path, body["prompt"] = COMPLETIONS, rendered[prompt.id] + want.said
        elif want.said:
            body |= continued(self._messages(prompt), want.said, self.dialect.goes_on)
        else:
            body["messages"] = self._messages(prompt)
        body |= {self.dialect.limit: want.most, **sampling_fields(self.sampler, self.dialect), **self.speech.more}
        if body.get("top_k") == 0:
            body["top_k"] = self.dialect.top_k_off
        if want.is_whole(self.sampler) and self.dialect.tells_base(self.sampler, path == CHAT):
            body |= logprob_fields(path)
        if self.dialect.seeds:
            body["seed"] = want.seed + call.first
        return path, body | ({"n": call.rows} if call.rows > 1 else {})

    def _named(self, want: Wanted, row: int) -> dict[str, Any]:
        """All that shapes the piece of a row."""
        prompt = want.prompt
        asked = {"text": prompt.text} if prompt.text is not None else {"messages": self._messages(prompt)}
        rule = {**sampling_fields(self.sampler, self.dialect), **self.speech.more}
        way = {} if prompt.text is not None else {"goes_on": self.dialect.goes_on}
        return {**asked, **way, "said": want.said, "most": want.most, "rule": rule, "seed": want.seed + row}

    def _messages(self, prompt: Prompt) -> list[dict[str, str]]:
        said = prompt.messages or ()
        if self.speech.system_prompt and all(message.role != "system" for message in said):
            said = (Message("system", self.speech.system_prompt), *said)
        return [{"role": message.role, "content": message.content} for message in said]

    def _rendered(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """Prompt id -> text, of messages whose answers go on by completions."""
        if self.dialect.goes_on != "template":
            return {}
        asked = list({prompt.id: prompt for prompt in prompts if prompt.messages is not None}.values())
        texts: dict[str, str] = {}

        def keep(i: int, text: str) -> None:
            texts[asked[i].id] = text

        more = {name: value for name, value in self.speech.more.items() if name == "chat_template_kwargs"}
        path = f"{self.address.root}{TEMPLATE}"
        requests = [Request(path, {"messages": self._messages(prompt), **more}, rendered_in) for prompt in asked]
        self._have_answered(requests, asked, keep)
        return texts


@dataclass(frozen=True)
class _Call:
    """One request: rows first .. first + rows of what stands at `place`."""

    place: int
    first: int
    rows: int


def _request(path: str, body: dict[str, Any], most: int, choices: int) -> Request[Reply]:
    return Request(path, body, lambda text: reply_of(parsed(text), most, choices))


def _characters(want: Wanted) -> int:
    """Of what a request sends, without what a chat template adds."""
    said = want.prompt.text or "".join(message.content for message in want.prompt.messages or ())
    return len(said) + len(want.said)
