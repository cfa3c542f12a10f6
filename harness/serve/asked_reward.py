"""The reward as one aligned model asks it: where a pick needs it, of prompts that bring what it reads.

asked = AskedReward(about, "best_of_n", task, None, lambda: reward_of(about, policy))
asked.begin("reward", prompts)                # before each call
RewardHandle(asked.score, ledger, scale)      # what the method scores with
asked.proxies(answer.finalists, True)         # in reward units
asked.unscored(prompts)                       # NotAnswering by id of those that it has not scored, though it picks
"""

from collections.abc import Callable, Sequence

import numpy as np

from harness.core.errors import NotAnswering, UserError
from harness.core.given_prompts import plain
from harness.core.given_reward import Reward
from harness.core.graders.grade import REFERENCE
from harness.core.graders.scorer import Scorer as GraderScorer
from harness.core.reward import checked
from harness.core.types import Candidate, Completion, Prompt, Scorer
from harness.core.withheld import Withheld
from harness.running.fitted import Fitted
from harness.tasks.own import NAME as OWN


class AskedReward:
    """What of it is asked in one call. Where no pick needs it, a method that scores all finalists gets NaN for them."""

    def __init__(
        self, about: Fitted, method: str, task: str, given: Reward | None, made_anew: Callable[[], Scorer]
    ) -> None:
        """`given` is the user's; without one it is made anew when it is first asked."""
        self.given = given
        self._about, self._method, self._task, self._made_anew = about, method, task, made_anew
        self._calls = about.methods[method].reward_calls
        self._withheld = Withheld()  # what the reward reads of a prompt and the method does not
        self._scores: dict[tuple[str, str], float] = {}  # by prompt id and text, in reward units
        self._scorer: Scorer | None = given
        self.asked = False  # in the call that began last

    @property
    def columns(self) -> Sequence[str]:
        """Of the row, that it reads."""
        columns: Sequence[str] = self._about.facts.get("reward_reads", ())
        return columns

    def needed(self, pick: str) -> bool:
        return self._calls[pick] > 0

    def begin(self, pick: str, prompts: Sequence[Prompt], *, all_of_them: bool = False) -> None:
        """Begin a call, of which nothing of the last one is left. `all_of_them`: scores are wanted whatever picks.

        Raises UserError where the reward is asked and cannot be had, or cannot read these prompts.
        """
        self._withheld, self._scores, self.asked = Withheld(), {}, all_of_them or self.needed(pick)
        if isinstance(self._scorer, GraderScorer):
            self._scorer.forget()  # one that failed may answer now, and what it graded would grow for ever
        if self.asked:
            self.require(pick)
            self._require_columns(pick, prompts)

    def bare(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """Prompts as methods see them."""
        return self._withheld.bare(prompts)

    def score(self, completions: Sequence[Completion]) -> np.ndarray:
        """(n,) in reward units; NaN where this call does not ask."""
        if not self.asked:
            return np.full(len(completions), np.nan, dtype=np.float32)
        scores = checked("the reward", self._withheld.scorer(self._reward), completions)
        self._scores |= {_key(c): float(score) for c, score in zip(completions, scores, strict=True)}
        return scores

    def proxies(self, finalists: Sequence[Candidate], all_of_them: bool) -> list[float | None]:
        """In reward units, of those that the method had scored, or of all; None where there is none."""
        texts = [c.completion for c in finalists]
        if all_of_them and (missing := [c for c in texts if _key(c) not in self._scores]):
            self.score(missing)
        found = [self._scores.get(_key(c), float("nan")) for c in texts]
        return [None if np.isnan(value) else value for value in found]

    def unscored(self, pick: str, prompts: Sequence[Prompt]) -> dict[str, NotAnswering]:
        """By id, of the prompts where the pick was the reward's, those of which no candidate has a score."""
        if not self.needed(pick):
            return {}
        scored = {prompt for (prompt, _), score in self._scores.items() if not np.isnan(score)}
        unscored = {prompt for prompt, _ in self._scores} - scored
        failures = self._scorer.failures if isinstance(self._scorer, GraderScorer) else {}
        why = "".join(f": {error} ({of.detail})" for error, of in list(failures.items())[:1])
        return {
            prompt.id: NotAnswering(
                f"{self._method} asks the reward at test time (pick {pick!r}), and it gives none of the candidates for "
                f"the prompt {str(plain(prompt))[:60]!r} a score{why}. Mend the reward and ask again",
                f"the grader gives no candidate a score{why}",
            )
            for prompt in prompts
            if prompt.id in unscored
        }

    def require(self, pick: str) -> None:
        """Raises UserError where it was a function that no other process can import."""
        if self._task == OWN and self.given is None and self._about.reward is None:
            raise UserError(
                f"{self._method} asks the reward at test time (pick {pick!r}), which was a function given from Python "
                "that cannot be imported; give it as reward=, or choose a pick that needs none"
            )

    def _require_columns(self, pick: str, prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            known = {*prompt.row, *(() if prompt.reference is None else (REFERENCE,))}
            if missing := [name for name in self.columns if name not in known]:
                others = [name for name in self._calls if not self.needed(name)]
                instead = f", or let {' or '.join(others)} pick, which asks for nothing" if others else ""
                raise UserError(
                    f"{self._method} asks the grader at test time (pick {pick!r}), and it reads {', '.join(missing)} "
                    f"of the row, which the prompt {str(plain(prompt))[:60]!r} does not bring. Such answers are an "
                    f"oracle's: give rows with these columns{instead}"
                )

    def _reward(self, completions: Sequence[Completion]) -> np.ndarray:
        if self._scorer is None:
            self._scorer = self._made_anew()
        return self._scorer(completions)


def _key(completion: Completion) -> tuple[str, str]:
    return completion.prompt.id, completion.text
