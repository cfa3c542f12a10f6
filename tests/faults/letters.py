"""What the aligned toy is graded by."""


def letters(completion: str) -> float:
    """The share of a's."""
    return completion.count("a") / max(1, len(completion))
