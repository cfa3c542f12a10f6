"""Following instructions that code can check: IFEval (arXiv 2311.07911), with prompts to fit on.

python -m harness run --task ifeval --method iro
python -m harness run --task ifeval --method iro --set ifeval.official=input_data.jsonl      # or =hub

Fit and development prompts are composed here, of topics and instructions (compose.py); the test is IFEval's own 541
prompts where a file or the hub gives them, else composed prompts of other topics. Proxy: the share of instructions
that an answer follows, loosely. Gold: it follows all of them, strictly, and passes the guard (guard.py). **Both ask the
same checkers**, lm-eval's: what can be learned here is what is had without asking them at test time, by a value's pick.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from harness.core.as_before import ByContent
from harness.core.task import GOLD, Kind, Profiles, Slice, Task, TextCutter
from harness.core.types import Completion, Prompt, Scorer
from harness.tasks.ifeval.checkers import Checkers, Followed
from harness.tasks.ifeval.compose import COUNTS, composed
from harness.tasks.ifeval.guard import distinct_2, has_words
from harness.tasks.ifeval.official import contents_of, official

VERSIONS = {"prompts": 1, "proxy": 1, "gold": 1}  # see `Task.versions`
SHARED = "Verifiable: proxy and gold share checkers"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class IFEvalConfig:
    official: Annotated[
        str,
        Field(description="the official prompts, as a FILE of JSON lines or `hub`; empty: composed ones (harness)"),
        ByContent(contents_of),
    ] = ""
    distinct_2: Annotated[
        float, Field(ge=0, le=1, description="least share of distinct pairs of words in a gold answer (harness)")
    ] = 0.5
    nll_low: Annotated[float, Field(ge=0, description="least nats a token of a gold answer, base (harness)")] = 0.2
    nll_high: Annotated[float, Field(gt=0, description="most nats a token of a gold answer, base (harness)")] = 5.0


class IFEval(Task):
    Config = IFEvalConfig
    config: IFEvalConfig
    source = "prompts composed here; test: IFEval's own, arXiv 2311.07911"
    kind: ClassVar[Kind] = "instructions"
    toy_as_well = True
    gold_reads_base = True
    profiles: ClassVar[Profiles] = {
        "quick": {
            "sampler": {"max_new_tokens": 128},
            "fit": {"prompts": 32, "samples": 8},
            "evaluate": {"prompts": 32},
            "budget": {"rows": 9, "chunk": 16},
        },
        "standard": {
            "sampler": {"max_new_tokens": 256},
            "fit": {"prompts": 128, "samples": 8},
            "evaluate": {"prompts": 200},
            "budget": {"rows": 16, "chunk": 32},
        },
    }

    def __init__(self, config: IFEvalConfig, policy: TextCutter, cache: Path) -> None:
        super().__init__(config, policy, cache)
        self._checkers = Checkers(cache)
        self._test: list[Prompt] | None = None

    @property
    def versions(self) -> dict[str, int]:
        return dict(VERSIONS)

    def prompts(self, part: Slice) -> list[Prompt]:
        if part == "test" and self.config.official:
            if self._test is None:
                self._test = official(self.config.official)
            return list(self._test)
        return list(composed(part))

    def reward(self) -> Scorer:
        checkers = self._checkers  # the task itself, which holds the gold, stays out of what methods get

        def share(completions: Sequence[Completion]) -> np.ndarray:
            return np.array([_mean(f) for f in checkers.of(completions)], dtype=np.float32)

        return share

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        """Without what the base has to say of the answers."""
        followed = self._checkers.of(completions)
        gold = [_all(f, strict=True) * self._is_a_text(c.text) for f, c in zip(followed, completions, strict=True)]
        return {GOLD: np.array(gold, dtype=np.float32), **_accuracies(followed)}

    def score_beside_base(self, completions: Sequence[Completion], base_nll: Scorer) -> dict[str, np.ndarray]:
        """The base is asked of those answers alone that count otherwise."""
        metrics = self.score(completions)
        counted = np.flatnonzero(metrics[GOLD] == 1).tolist()
        nll = base_nll([completions[i] for i in counted])
        known = (nll >= self.config.nll_low) & (nll <= self.config.nll_high)
        metrics[GOLD][counted] = np.where(np.isnan(nll), np.nan, known)
        return metrics

    def _is_a_text(self, text: str) -> bool:
        return has_words(text) and distinct_2(text) >= self.config.distinct_2

    def describe(self) -> dict[str, Any]:
        test = "IFEval's own" if self.config.official else "composed, of other topics; not IFEval's own"
        return {
            "slices": {part: len(self.prompts(part)) for part in COUNTS},
            "test_prompts": test,
            "is_chat": True,
            "shared": SHARED,
            "reward_reads": ["instruction_id_list", "kwargs"],
            "grader_errors": ["checker_error"],
            "reward_versions": {name: VERSIONS[name] for name in ("proxy", "gold")},
            "guard": {
                "distinct_2": self.config.distinct_2,
                "base_nll": [self.config.nll_low, self.config.nll_high],
            },
            "accuracies": {
                "prompt-level strict": ["prompt_strict", None],
                "instruction-level strict": ["instructions_strict", "instructions"],
                "prompt-level loose": ["prompt_loose", None],
                "instruction-level loose": ["instructions_loose", "instructions"],
            },
        }


def _mean(followed: Followed | None) -> float:
    return float("nan") if followed is None else sum(followed.loose) / len(followed.loose)


def _all(followed: Followed | None, strict: bool) -> float:
    if followed is None:
        return float("nan")
    return float(all(followed.strict if strict else followed.loose))


def _accuracies(followed: Sequence[Followed | None]) -> dict[str, np.ndarray]:
    """What IFEval's four accuracies are made of: per answer, whether all were followed, and how many of how many."""
    nan = float("nan")
    columns = {
        "prompt_strict": [_all(f, strict=True) for f in followed],
        "prompt_loose": [_all(f, strict=False) for f in followed],
        "instructions": [nan if f is None else len(f.strict) for f in followed],
        "instructions_strict": [nan if f is None else sum(f.strict) for f in followed],
        "instructions_loose": [nan if f is None else sum(f.loose) for f in followed],
        "proxy_error": [float(f is None) for f in followed],
    }
    return {name: np.array(values, dtype=np.float32) for name, values in columns.items()}
