"""What is said of a task whose proxy and gold ask the same checkers, in tables, on screens and on pages.

shared_in_words(record)      # "Verifiable: proxy and gold share checkers"; empty of all other tasks
"""

from harness.evidence.record import RunRecord


def shared_in_words(record: RunRecord) -> str:
    """The task's own word for it, without a full stop."""
    return _fact(record, "shared")


def tested_in_words(record: RunRecord) -> str:
    """Which prompts a test is made of, where a task has several: the leaderboard keeps them apart."""
    shared = shared_in_words(record)
    return "; ".join(part for part in (_fact(record, "test_prompts"), shared[:1].lower() + shared[1:]) if part)


def _fact(record: RunRecord, name: str) -> str:
    found = record.task_facts.get(name)
    return found.replace("|", "/").replace("\n", " ") if isinstance(found, str) else ""
