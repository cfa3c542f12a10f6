"""The one thread that writes: requests wait in line, those that ask alike are answered in one batch.

writer = Writer(256, Metrics())
writer.ask([Wanted(served, prompt, sampler, rows, seed)], [tell])     # tell(event), from the writer's thread

Events are `Piece` (text that is decided), then `Written` or `Failed`, once.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from harness.core.errors import NotAnswering, UserError
from harness.core.models.rows import Rows
from harness.core.models.sampling import Sampler
from harness.core.printable import printable
from harness.core.search.search import Beam, Choice, Finish, Guide, guided_search
from harness.core.search.selection import Search
from harness.core.search.tree import Prefix, Tree
from harness.core.streams import Streams
from harness.core.types import Answer, Prompt, Work
from harness.core.unwritable import unwritable
from harness.methods import METHODS
from harness.serve.aligned import Aligned
from harness.serve.http.alone import SeedOfEach, value_one_by_one
from harness.serve.http.metrics import Metrics
from harness.serve.http.models import Served

_VARIANTS, _OF_A_MODEL = 6, 2  # ways of writing that are kept loaded, in all and of one model
_LOG = logging.getLogger("uvicorn.error")
_CHUNK = 8  # tokens of the base between two pieces of a stream


@dataclass(frozen=True)
class Wanted:
    """One answer: a request for n asks for n of them, each by a seed of its own."""

    served: Served
    prompt: Prompt
    sampler: Sampler
    rows: int | None
    seed: int
    trace: bool = False

    @property
    def alike(self) -> tuple[Any, ...]:
        """What must be equal for two to share a batch."""
        return self.served.name, self.sampler, self.rows


@dataclass(frozen=True)
class Piece:
    """Text that is decided: every prefix that the search still holds begins with all pieces so far."""

    text: str


@dataclass(frozen=True)
class Written:
    """A finished answer."""

    text: str
    finish: str  # "stop" or "length"
    prompt_tokens: int
    tokens: int  # of the answer
    work: Work
    seconds: float  # its share of its batch
    picks: Mapping[str, str]
    finalists: Sequence[tuple[str, float]]  # text and S
    tree: Sequence[Sequence[Prefix]] | None = None


@dataclass(frozen=True)
class Failed:
    """`error` is a UserError where the request is at fault, or NotAnswering."""

    error: Exception


Event = Piece | Written | Failed
Tell = Callable[[Event], None]


@dataclass
class Ticket:
    """A place in line; who no longer waits sets `cancelled`."""

    wanted: Wanted
    tell: Tell
    cancelled: bool = False
    said: str = ""  # of its pieces


class Full(Exception):
    """The line is as long as it may be, or the server is about to stop."""


class Abandoned(Exception):
    """Nobody waits for a batch any more."""


class Writer:
    """Holds the line and the thread."""

    def __init__(self, most_waiting: int, metrics: Metrics) -> None:
        self._most, self._metrics = most_waiting, metrics
        self._line: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._variants: OrderedDict[tuple[Any, ...], Aligned] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def ask(self, wanted: Sequence[Wanted], tell: Sequence[Tell]) -> list[Ticket]:
        """Stand in line with all of a request's answers, or with none. Raises Full."""
        tickets = [Ticket(one, to) for one, to in zip(wanted, tell, strict=True)]
        with self._changed:
            if self._stopping or len(self._line) + len(tickets) > self._most:
                raise Full()
            self._line.extend(tickets)
            self._metrics.waiting.set(len(self._line))
            self._changed.notify()
        return tickets

    @property
    def waiting(self) -> int:
        return len(self._line)

    def stop(self) -> None:
        """Write what stands in line, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._line and not self._stopping:
                    self._changed.wait()
                if not self._line:
                    return
                batch = self._next()
                self._metrics.waiting.set(len(self._line))
            if batch:
                self._write(batch)

    def _next(self) -> list[Ticket]:
        """The first in line and all that ask alike, as many as are written together; the others keep their places."""
        waiting = [ticket for ticket in self._line if not ticket.cancelled]
        self._line.clear()
        if not waiting:
            return []
        first, *rest = waiting
        most, batch = first.wanted.served.aligned.together, [first]
        for ticket in rest:
            fits = len(batch) < most and ticket.wanted.alike == first.wanted.alike
            (batch if fits else self._line).append(ticket)
        return batch

    def _write(self, batch: Sequence[Ticket]) -> None:
        """Answer a batch. A prompt that cannot be read, or answered, fails alone."""
        started = time.perf_counter()
        try:
            aligned = self._variant(batch[0].wanted)
            readable = [ticket for ticket in batch if self._is_readable(ticket, aligned)]
            if readable:
                self._answer_all(readable, aligned, started)
        except Abandoned:
            pass
        except Exception as error:  # the thread goes on for everybody else, whatever a model or a reward did
            _log(batch[0].wanted.served.name, error)
            for ticket in batch:
                ticket.tell(Failed(error))
        finally:
            batch[0].wanted.served.aligned.policy.forget_prompts()

    def _answer_all(self, batch: Sequence[Ticket], aligned: Aligned, started: float) -> None:
        """Together; where that fails, one by one, but for those that a failure would meet again."""
        try:
            self._answer(batch, aligned, started)
        except Exception as error:
            is_everybodys = unwritable(error) is not None or (isinstance(error, NotAnswering) and error.may_pass)
            if len(batch) == 1 or is_everybodys or isinstance(error, Abandoned):
                raise
            for ticket in batch:
                if ticket.said:  # alone it may go on otherwise than it began
                    ticket.tell(Failed(error))
                elif not ticket.cancelled:
                    self._write([ticket])

    def _answer(self, batch: Sequence[Ticket], aligned: Aligned, started: float) -> None:
        named = {f"{ticket.wanted.prompt.id}-{i}": ticket for i, ticket in zip(count(), batch, strict=False)}
        prompts = [replace(ticket.wanted.prompt, id=name) for name, ticket in named.items()]
        streams = SeedOfEach(0, {name: (t.wanted.seed, t.wanted.prompt.id) for name, t in named.items()})
        tree = Tree() if any(ticket.wanted.trace for ticket in batch) else None
        observe = _Observer(named, tree)
        if aligned.method == "base" and not aligned.policy.elsewhere:
            answers = _in_chunks(aligned, prompts, streams, observe)
        else:
            answers = aligned.written(prompts, streams, aligned.pick, observe)
        seconds = (time.perf_counter() - started) / len(batch)
        self._metrics.batch.observe(len(batch))
        unscored = aligned.unscored(aligned.pick, prompts)
        for (name, ticket), answer in zip(named.items(), answers, strict=True):
            if name in unscored:
                ticket.tell(Failed(unscored[name]))
                continue
            made = _written(aligned, answer, seconds, None if tree is None else tree.rounds.get(name))
            self._metrics.book(ticket.wanted.served.name, made)
            ticket.tell(made)

    def _is_readable(self, ticket: Ticket, aligned: Aligned) -> bool:
        if ticket.cancelled:
            return False
        try:
            aligned.policy.require_room([ticket.wanted.prompt], [ticket.wanted.sampler.max_new_tokens])
            aligned.policy.prompt_tokens(ticket.wanted.prompt)
        except UserError as error:
            ticket.tell(Failed(error))
            return False
        return True

    def _variant(self, wanted: Wanted) -> Aligned:
        """The model under the request's sampling rule and rows; the last few are kept with what they loaded."""
        key = wanted.alike
        if key not in self._variants:
            aligned = wanted.served.aligned
            # a method that trains weights loads a model with each: never two of them
            most = 1 if METHODS[aligned.method].trains_weights else _OF_A_MODEL
            of_model = [other for other in self._variants if other[0] == key[0]]
            for other in of_model[: len(of_model) - most + 1]:
                del self._variants[other]
            aligned = aligned if wanted.rows is None else aligned.at_rows(wanted.rows)
            aligned = aligned.sampled_by(wanted.sampler)
            value_one_by_one(aligned.generator.fitted_values)
            self._variants[key] = aligned
            while len(self._variants) > _VARIANTS:
                self._variants.popitem(last=False)
        self._variants.move_to_end(key)
        return self._variants[key]


@dataclass
class _Observer:
    """Tells what is decided, and records trees that are asked for; changes nothing."""

    tickets: Mapping[str, Ticket]
    tree: Tree | None
    sent: dict[str, str] = field(default_factory=dict)

    def __call__(self, beam: Beam, choices: Sequence[Choice], rows: Rows) -> None:
        if all(ticket.cancelled for ticket in self.tickets.values()):
            raise Abandoned()
        if self.tree is not None:
            self.tree(beam, choices, rows)
        texts = [completion.text for completion in rows.completions()]
        for choice in choices:
            ticket = self.tickets[choice.prompt.id]
            text = decided([texts[i] for i in choice.kept], ticket.wanted.sampler.stop)
            if text.startswith(ticket.said) and len(text) > len(ticket.said):
                ticket.tell(Piece(text[len(ticket.said) :]))
                ticket.said = text


def _log(model: str, error: Exception) -> None:
    """For who runs the server: a line of what it was refused, all that is known of a fault of its own."""
    if isinstance(error, NotAnswering) or not isinstance(error, UserError):
        known = isinstance(error, NotAnswering) or unwritable(error) is not None
        said = printable(unwritable(error) or str(error)) if known else "its answers failed"
        _LOG.error("%s: %s", model, said, exc_info=None if known else error)


def decided(kept: Sequence[str], stop: Sequence[str]) -> str:
    """What all prefixes that are kept begin with, without half a character, or what may become a stop string."""
    low, high = min(kept), max(kept)
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    text = low[:length].rstrip("\ufffd")
    held = max((n for one in stop for n in range(1, len(one) + 1) if text.endswith(one[:n])), default=0)
    return text[: len(text) - held]


def _in_chunks(aligned: Aligned, prompts: Sequence[Prompt], streams: Streams, observe: _Observer) -> list[Answer]:
    """The base's plain samples, written a chunk at a time: a search of one row that chooses nothing.

    Not of a server, which would be asked again for every chunk, draw each anew, and may not go on with an answer.
    """
    search = Search(width=1, successors=1, chunk=_CHUNK)
    with aligned.working() as policy:
        answers = guided_search(policy, Guide(), prompts, search, streams, Finish(), observe)
    return [replace(answer, picks={"first": 0}, work={"first": answer.work["first"]}) for answer in answers]


def _written(aligned: Aligned, answer: Answer, seconds: float, tree: Sequence[Sequence[Prefix]] | None) -> Written:
    picked, work = answer.pick(aligned.pick), answer.work[aligned.pick]
    free = [name for name in answer.picks if answer.work[name].reward_calls <= work.reward_calls]
    distinct = {c.completion.text: c.score for c in answer.finalists}
    return Written(
        picked.text,
        "length" if picked.stop == "length" else "stop",
        aligned.policy.prompt_length(answer.prompt),
        picked.length,
        work,
        seconds,
        {name: answer.pick(name).text for name in free},
        list(distinct.items()),
        tree,
    )
