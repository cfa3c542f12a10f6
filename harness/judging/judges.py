"""Who did better on the same prompt: stored scores compared, or a chat model asked in both orders.

judgements = ScoreJudge("gold_reward").judge(pairs)             # one a pair
preferences = [j.preference for j in judgements]                # of ours over theirs; NaN: no verdict
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import Any, ClassVar, Protocol

from harness.core.chat.chat import Chat
from harness.core.chat.reply import REASONS, Reply, Withheld
from harness.core.errors import UserError, unknown
from harness.core.thinking import after_thinking

TEMPLATE = Path(__file__).with_name("judge_prompt.txt")
GOLD_JUDGE, REWARD_JUDGE = "gold", "reward-"  # names of judges that compare stored scores; the second's go on
_PLACES = ("prompt", "answer_a", "answer_b")
_VERDICTS = {"A": 1.0, "B": 0.0, "C": 0.5}  # preference for what was shown as A


@dataclass(frozen=True)
class Entry:
    """One side's answer to a prompt, and what is stored of its scores (metric -> raw value)."""

    text: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """A prompt with the answer that is judged (m in the formulas) and its opponent's (b)."""

    prompt_id: str
    prompt: str
    ours: Entry
    theirs: Entry


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one pair."""

    preference: float  # of ours over theirs in [0, 1]; 0.5 a tie, NaN no verdict
    flipped: bool | None = None  # the two orders disagreed; None: not asked in both, or one could not be read
    replies: tuple[Reply, ...] = ()  # ours shown first, ours shown second
    withheld: Withheld | None = None  # why there is no verdict, where a reply is no whole answer; it is asked again


class Judge(Protocol):
    @property
    def name(self) -> str:
        """In the name of a folder."""
        ...

    @property
    def reads_scores(self) -> bool:
        """Whether both sides must have been scored by the same models."""
        ...

    @property
    def annotator(self) -> str:
        """Who judged, beside each judgement."""
        ...

    def about(self) -> dict[str, Any]:
        """Everything that shapes its judgements, as plain data."""
        ...

    def describe(self) -> str:
        """One sentence for the report."""
        ...

    def outlook(self, pairs: Sequence[Pair]) -> str:
        """What judging them would take; nobody is asked."""
        ...

    def judge(self, pairs: Sequence[Pair]) -> list[Judgement]: ...


@dataclass(frozen=True)
class ScoreJudge:
    """Compares one stored metric of both sides: the higher wins, equal scores are a tie, a NaN gives no verdict."""

    metric: str
    name: str
    reads_scores: ClassVar[bool] = True

    @property
    def annotator(self) -> str:
        return self.name

    def about(self) -> dict[str, Any]:
        return {"metric": self.metric}

    def describe(self) -> str:
        return f"Judge: the stored {self.metric} of both sides."

    def outlook(self, pairs: Sequence[Pair]) -> str:
        return "stored scores are compared, in seconds; no model is asked"

    def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """Raises UserError where a side has no such metric."""
        for pair in pairs:
            for entry in (pair.ours, pair.theirs):
                if not entry.scores:
                    raise UserError(f"{self.metric} of the human references is not stored; use --judge llm")
                if self.metric not in entry.scores:
                    raise unknown("metric", self.metric, entry.scores)
        return [Judgement(_compared(p.ours.scores[self.metric], p.theirs.scores[self.metric])) for p in pairs]


@dataclass(frozen=True)
class ChatJudge:
    """Asks a chat model twice a pair, with ours shown first and second; orders that disagree are a tie.

    A reply that names no verdict, or that is no whole answer (see reply.py), gives none, whatever the other order said.
    Equal texts are a tie and are not asked about.
    """

    chat: Chat
    template: str
    name: str = "llm"
    reads_scores: ClassVar[bool] = False

    @property
    def annotator(self) -> str:
        return self.chat.endpoint.model

    def about(self) -> dict[str, Any]:
        return {**self.chat.endpoint.about(), "template": self.template}

    def describe(self) -> str:
        endpoint = self.chat.endpoint
        settings = ", ".join(
            f"{name} its own, for it takes no other" if name in self.chat.left_out else f"{name}={value}"
            for name, value in endpoint.settings.items()
        )
        return (
            f"Judge: {endpoint.model} at {endpoint.url} ({settings}), asked in both orders; its template is in "
            "about.json. Equal texts are ties and were not asked about."
        )

    def outlook(self, pairs: Sequence[Pair]) -> str:
        questions = dict.fromkeys(self._asked(pairs)[1])
        characters = sum(map(len, questions))
        return (
            f"{len(questions):,} questions of {characters:,} characters for {self.annotator}, "
            f"{self.chat.kept(list(questions)):,} of them answered in the cache; what the endpoint takes for one is "
            "unknown"
        )

    def _asked(self, pairs: Sequence[Pair]) -> tuple[list[Pair], list[str]]:
        """The pairs whose texts differ, and their questions: all with ours first, then all with theirs first."""
        asked = [pair for pair in pairs if pair.ours.text != pair.theirs.text]
        questions = [question(self.template, p.prompt, p.ours.text, p.theirs.text) for p in asked]
        return asked, questions + [question(self.template, p.prompt, p.theirs.text, p.ours.text) for p in asked]

    def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """Raises UserError where the server stops answering; answers are kept."""
        asked, questions = self._asked(pairs)
        replies = self.chat.ask(questions)
        judged = iter(
            [in_both_orders(*both) for both in zip(replies[: len(asked)], replies[len(asked) :], strict=True)]
        )
        return [Judgement(0.5) if pair.ours.text == pair.theirs.text else next(judged) for pair in pairs]


def compares_scores(annotator: str) -> bool:
    """Whether the annotator of a judgement, stored or imported, is one of ours that compares stored scores."""
    return annotator == GOLD_JUDGE or annotator.startswith(REWARD_JUDGE)


def in_both_orders(first: Reply, second: Reply) -> Judgement:
    """One judgement from the replies with ours shown as A (`first`) and as B (`second`)."""
    withheld = [reason for reason in REASONS if reason in (first.withheld, second.withheld)]
    if withheld:
        return Judgement(nan, None, (first, second), withheld[0])
    shown_first, shown_second = verdict(first.text), 1.0 - verdict(second.text)
    if isnan(shown_first) or isnan(shown_second):
        return Judgement(nan, None, (first, second))
    flipped = shown_first != shown_second
    return Judgement(0.5 if flipped else shown_first, flipped, (first, second))


def verdict(text: str) -> float:
    """Preference for A that a reply states: 1, 0, 0.5 for a tie; NaN where it names none or several.

    Verdicts are written [[A]], [[B]] or [[C]] (as in arXiv 2306.05685); the bare letter is read where it is the whole
    reply. What a model thinks before it answers does not count, and thinking that never ends gives no verdict.
    """
    answer = after_thinking(text)
    if answer is None:
        return nan
    named = set(re.findall(r"\[\[([ABC])\]\]", answer)) or set(re.findall(r"^\W*([ABC])\W*$", answer))
    return _VERDICTS[named.pop()] if len(named) == 1 else nan


def question(template: str, prompt: str, answer_a: str, answer_b: str) -> str:
    """The template with its three places filled; braces inside the texts mean nothing."""
    texts = dict(zip(_PLACES, (prompt, answer_a, answer_b), strict=True))
    return re.sub(r"\{(" + "|".join(_PLACES) + r")\}", lambda place: texts[place[1]], template)


def read_template(path: Path) -> str:
    """A prompt template; raises UserError where a place is missing."""
    if not path.is_file():
        raise UserError(f"--template {str(path)!r}: no such file")
    try:
        template = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"--template {str(path)!r} is no UTF-8 text: {error}") from error
    if missing := [f"{{{place}}}" for place in _PLACES if f"{{{place}}}" not in template]:
        raise UserError(f"--template {str(path)!r} lacks {', '.join(missing)}; {TEMPLATE.name} is an example")
    return template


def _compared(ours: float, theirs: float) -> float:
    if isnan(ours) or isnan(theirs):
        return nan
    return 0.5 if ours == theirs else float(ours > theirs)
