"""What tasks share whose rewards are graders: one that methods may ask, and one that judges, which can be the same.

class Mine(GradedTask):
    def __init__(self, config, policy, cache):
        super().__init__(config, policy, cache)
        self.graded_by(load_grader("checks.py:proxy"), load_grader("judge.json"))
"""

from abc import abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import get_args

from harness.core.contents import file_sha256
from harness.core.graders.grade import REFERENCE, Grader
from harness.core.graders.told import ToldScorer
from harness.core.task import Slice, Task
from harness.core.types import Scorer


class GradedTask(Task):
    """Its scorers say what an answer without a score was."""

    grader: Grader
    gold_grader: Grader
    _proxy: ToldScorer
    _gold: ToldScorer

    def graded_by(self, grader: Grader, gold: Grader) -> None:
        """Take these; two of one identity are asked once."""
        self.grader, self.gold_grader = grader, gold
        self._proxy = ToldScorer(grader)
        self._gold = self._proxy if self.has_one_grader else ToldScorer(gold)

    @property
    def has_one_grader(self) -> bool:
        """Whether methods optimise what they are judged by."""
        return self.gold_grader.identity == self.grader.identity

    @property
    @abstractmethod
    def columns(self) -> Collection[str]:
        """Of the rows that prompts come from, in the order in which they are named to a user."""

    @property
    def reads(self) -> list[str]:
        """Columns that the proxy reads: who asks it at test time has to bring them.

        `reference` is one of them where no column has that name and prompts have what stands for it.
        """
        reads, columns = self.grader.reads, self.columns
        named = [name for name in columns if reads == "everything" or name in reads]
        if REFERENCE in reads and REFERENCE not in columns and self._has_references:
            named.append(REFERENCE)
        return named

    @property
    def _has_references(self) -> bool:
        return any(prompt.reference is not None for part in get_args(Slice) for prompt in self.prompts(part))

    def reward(self) -> Scorer:
        return self._proxy


def function_of(named: str) -> tuple[Path, str]:
    """The file of a grader's name, and the function in it: ("checks.py", "correct") of "checks.py:correct"."""
    file, _, function = named.partition(".py:")
    return Path(f"{file}.py" if function else named), function


def grader_contents(named: str) -> str | None:
    """What a grader's own file holds, None where it is no file; the modules that it imports are in its identity."""
    path, function = function_of(named)
    return f"{file_sha256(path)[:20]}{function and ':'}{function}" if path.is_file() else None


def from_anywhere(named: str) -> str:
    """A grader's name that holds in every folder."""
    path, function = function_of(named)
    return f"{path.resolve()}{function and ':'}{function}"
