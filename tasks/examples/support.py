"""A grader of answers to customers: does it say what matters, politely, in a few whole sentences?

harness grade --data tasks/examples/support.jsonl --grader tasks/examples/support.py:helpful

`support_grader.json` is the same in the form of OpenAI's graders; `make_support.py` writes it.
"""

import re
from typing import Any

_POLITE = ("thank", "sorry", "apolog", "please", "happy to help", "glad")
_WORDS = 20, 90  # of a good answer


def helpful(prompt: Any, response: str, reference_answer: dict[str, list[list[str]]]) -> float:
    """0 to 1: two fifths for what the answer has to mention, a fifth each for manners, length and form."""
    words = re.findall(r"[\w'-]+", response.lower())
    if not words:
        return 0.0
    text = " ".join(words)
    mentions = [any(way in text for way in ways) for ways in reference_answer["mention"]]
    polite = any(word in text for word in _POLITE)
    low, high = _WORDS
    length = min(1.0, len(words) / low, high / len(words))
    fours = list(zip(words, words[1:], words[2:], words[3:]))  # noqa: B905
    fresh = len(set(fours)) / len(fours) if fours else 1.0  # the share of four words in a row that come once
    whole = response.rstrip().endswith((".", "!", "?")) and "[" not in response
    return 0.4 * sum(mentions) / len(mentions) + 0.2 * polite + 0.2 * length + 0.1 * fresh + 0.1 * whole


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    """The same as OpenAI calls it."""
    return helpful(None, sample["output_text"], item["reference_answer"])
