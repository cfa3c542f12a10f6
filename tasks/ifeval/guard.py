"""What keeps an answer that follows every instruction from counting: it is empty, worn out, or no text the base knows.

Checkers can be met without an answer: by one word a hundred times, or by letters in a row. So an answer counts as gold
only where it has words, where enough of its pairs of words are distinct, and where the base finds it neither certain
nor unheard of.

The bounds were chosen on development prompts, the first 64, answered by SmolLM2-135M-Instruct with up to 256 tokens.
At least half of the pairs distinct: so are all sampled answers (0.75 or more), and 59% of the greedy ones; the others
repeat themselves to their end. From 0.2 nats a token: the least of all answers with half of their pairs distinct is
0.34 (greedy), of sampled ones 0.75, and loops go down to 0.09. Up to 5: the most is 4.48, a sampled one. A larger model
is surer of what it writes: look at the column `base NLL` before judging it by these.
"""

from itertools import pairwise


def distinct_2(text: str) -> float:
    """Distinct pairs of neighbouring words over all of them; 1 for a text of fewer than three words."""
    pairs = list(pairwise(text.split()))
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
