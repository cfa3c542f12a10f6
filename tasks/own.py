"""Prompts and a reward of one's own, given from Python: the task behind `harness.align`.

    task = own_task(prompts_of(["The film was", ...]), Reward.of(my_reward), "smollm2-135m-instruct")

There is one reward, so proxy and gold are the same function: what a run says of gold is no held-out judgement.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.digest import digest
from harness.core.given_prompts import content_of
from harness.core.given_reward import Reward
from harness.core.task import GOLD, Slice, Task
from harness.core.types import Completion, Prompt, Scorer

NAME = "own"  # of the task


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    prompts: Annotated[str, Field(description="hash of the prompts, in their order (harness)")] = ""
    reward: Annotated[str, Field(description="hash of the reward's source (harness)")] = ""
    held_out: Annotated[int, Field(ge=1, description="prompts that are answered, not fitted on (harness)")] = 1


class Own(Task):
    """Only `own_task` makes one that has prompts."""

    Config = Settings
    source = "prompts and a reward given from Python"
    given: ClassVar[Sequence[Prompt]] = ()
    function: ClassVar[Reward]
    config: Settings

    def prompts(self, part: Slice) -> list[Prompt]:
        """The last `held_out` by id are answered, whichever slice that is called; the others are fitted on."""
        ordered = sorted(self.given, key=lambda p: p.id)
        cut = len(ordered) - self.config.held_out
        return ordered[:cut] if part == "fit" else ordered[cut:]

    def reward(self) -> Scorer:
        return type(self).function

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        return {GOLD: type(self).function(completions)}

    def describe(self) -> dict[str, object]:
        fitted = {content_of(p) for p in self.prompts("fit")}
        return {
            "slices": {"fit": len(self.prompts("fit")), "test": self.config.held_out},
            "gold": "the same function as the proxy: no held-out judgement",
            "answered_prompts_also_fitted_on": sum(content_of(p) in fitted for p in self.prompts("test")),
        }


def own_task(prompts: Sequence[Prompt], reward: Reward, model: str) -> type[Own]:
    """A task of these prompts, whose ids may repeat: the second of an id gets another one, and so its own samples."""

    class Given(Own):
        default_model = model
        profiles = {"quick": _TOY if model == "toy" else {}}
        given = _numbered(prompts)
        function = reward

    return Given


_TOY: Mapping[str, Mapping[str, Any]] = {
    "sampler": {"max_new_tokens": 4, "top_k": 0},
    "budget": {"rows": 4, "chunk": 1},
}


def settings_of(prompts: Sequence[Prompt], reward: Reward, held_out: int) -> dict[str, Any]:
    """The settings of such a task, which name its prompts and its reward in every key of what is stored."""
    identity = digest([[p.id, *content_of(p)] for p in _numbered(prompts)])[:20]
    return {"prompts": identity, "reward": reward.source.identity, "held_out": held_out}


def _numbered(prompts: Sequence[Prompt]) -> list[Prompt]:
    seen: Counter[str] = Counter()
    out = []
    for prompt in prompts:
        seen[prompt.id] += 1
        again = seen[prompt.id]
        out.append(prompt if again == 1 else replace(prompt, id=f"{prompt.id}-{again}"))
    return out
