"""What graders read of a prompt and methods do not: its reference and the row that it comes from.

withheld = Withheld()
method.generate(withheld.bare(prompts))
RewardHandle(withheld.scorer(task.reward()), ledger, scale)     # a reward that needs them has them back
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.core.types import Candidate, Completion, Prompt, Scorer


class Withheld:
    """Hands out prompts as methods see them, and remembers what was taken off."""

    def __init__(self) -> None:
        self.__whole: dict[str, Prompt] = {}  # by id

    def bare(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        self.__whole |= {prompt.id: prompt for prompt in prompts}
        return [replace(prompt, reference=None, row={}) for prompt in prompts]

    def bare_candidates(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Candidates whose completions hold bare prompts; completions of one prompt share it."""
        prompts = {c.completion.prompt.id: c.completion.prompt for c in candidates}
        bare = dict(zip(prompts, self.bare(list(prompts.values())), strict=True))
        return [replace(c, completion=replace(c.completion, prompt=bare[c.completion.prompt.id])) for c in candidates]

    def scorer(self, scorer: Scorer) -> Scorer:
        """The scorer over whole prompts, whose completions may hold bare ones."""
        return lambda completions: scorer(self.whole(completions))

    def whole(self, completions: Sequence[Completion]) -> list[Completion]:
        """Completions over whole prompts: what was taken off is put back, a text that a method changed stays."""
        return [replace(c, prompt=self._restored(c.prompt)) for c in completions]

    def _restored(self, prompt: Prompt) -> Prompt:
        known = self.__whole.get(prompt.id)
        return prompt if known is None else replace(prompt, reference=known.reference, row=known.row)
