"""What a file of somebody's evaluation holds, whichever harness wrote it: a record a prompt, with scores and answer.

records = Records("samples_gsm8k.jsonl", "lm-eval samples", [Record("line 1", {"doc_hash": "3f.."}, {"acc": 1.0})])
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TEXT = "prompt text"  # the way of naming a prompt that files of all kinds share


@dataclass(frozen=True)
class Record:
    """One prompt of a file. NaN is a score that the file names and does not give."""

    where: str  # "line 3", as errors name it
    names: Mapping[str, str]  # what names the prompt: kind of name -> name; TEXT is the prompt itself
    scores: Mapping[str, float] = field(default_factory=dict)  # by metric
    answer: str | None = None
    missing: str | None = None  # why the file gives no score, in its own words
    cluster: str | None = None  # of prompts that belong together, in a run that says so


@dataclass(frozen=True)
class Records:
    """All records of a file in their order. `metric` is the file's own first choice, None where it has none."""

    source: str
    kind: str
    records: Sequence[Record]
    metric: str | None = None
    notes: Sequence[str] = ()  # what a reader of its numbers has to know
    scored_by: tuple[str, str] | None = None  # what must be alike for scores to compare: a sentence of it, and its hash
    filter: str | None = None  # of lm-eval's answers, the one that was read

    @property
    def metrics(self) -> list[str]:
        """Every metric that a record has, in the order of the file."""
        return list(dict.fromkeys(name for record in self.records for name in record.scores))

    def naming(self) -> list[str]:
        """The ways of naming prompts that all records have, the file's own first."""
        kinds = dict.fromkeys(kind for record in self.records for kind in record.names)
        return [kind for kind in kinds if all(kind in record.names for record in self.records)]


def plain(text: str) -> str:
    """What a prompt asks, however it is written: without blanks around it, a single message without its role.

    plain("user: say 19 ") == plain("say 19")        # as a run shows a message, and as others write it
    """
    return text.strip().removeprefix("user: ").strip()


def shortened(text: str, most: int = 60) -> str:
    """A prompt or a name as errors show it."""
    line = " ".join(text.split())
    return repr(line if len(line) <= most else line[: most - 3] + "...")
