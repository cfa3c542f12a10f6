"""How alike two texts are, in [0, 1]: the metrics of OpenAI's text_similarity that need no download.

similarity("rouge_l", "the cat sat", "a cat sat", embed=None)      # F-measure of the longest common subsequence

OpenAI's own code is not public. fuzzy_match is rapidfuzz's WRatio after its default processing, as the example in their
guide has it; bleu sacrebleu's of one sentence, gleu NLTK's, rouge_n the F-measure of rouge-score, without stemming,
with words of any script.
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.core.graders.grade import Embed

Metric = Literal[
    "cosine", "fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"
]


def similarity(metric: Metric, text: str, reference: str, embed: Embed | None) -> float:
    """Libraries are imported when they are first used. cosine needs `embed`."""
    match metric:
        case "fuzzy_match":
            from rapidfuzz import fuzz, utils

            return float(fuzz.WRatio(text, reference, processor=utils.default_process)) / 100
        case "bleu":
            import sacrebleu

            return float(sacrebleu.sentence_bleu(text, [reference]).score) / 100
        case "gleu":
            from nltk.translate.gleu_score import sentence_gleu

            return float(sentence_gleu([reference.split()], text.split()))
        case "cosine":
            assert embed is not None, "a grader by cosine is loaded with a function that embeds"
            return _cosine(embed([text, reference]))
    from rouge_score.rouge_scorer import RougeScorer

    name = metric.replace("rouge_l", "rougeL").replace("_", "")
    return float(RougeScorer([name], tokenizer=_Words()).score(reference, text)[name].fmeasure)


class _Words:
    """rouge-score's own words, and those of every other script: it keeps a to z and digits, and 0 words score 0."""

    def tokenize(self, text: str) -> list[str]:
        return re.findall(r"[^\W_]+", text.lower())


def _cosine(vectors: Sequence[Sequence[float]] | np.ndarray) -> float:
    """Of two rows; 0 where one has no length."""
    rows = np.asarray(vectors, dtype=np.float64)  # (2, width)
    assert rows.ndim == 2 and len(rows) == 2, f"embeddings {rows.shape} of two texts"
    lengths = np.linalg.norm(rows, axis=1)
    return float(rows[0] @ rows[1] / lengths.prod()) if lengths.all() else 0.0
