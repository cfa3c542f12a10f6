"""What keeps an answer that follows every instruction from counting: it is empty, worn out, or no text the base knows.

Checkers can be met without an answer: by one word a hundred times, or by letters in a row. So an answer counts as gold
only where it has words, where enough of its pairs of words come once, and where the base finds it neither certain nor
unheard of.
"""

from itertools import pairwise


def distinct_2(text: str) -> float:
    """Distinct pairs of neighbouring words over all of them; 1 for a text of fewer than three words."""
    pairs = list(pairwise(text.split()))
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
