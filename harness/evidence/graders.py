"""What is said of a user's graders: which rows are oracles, and which answers no grader could score, and why.

oracle_columns(record)          # ["reference_answer"]: the reward reads them, so who asks it at test time knows them
ungraded(record)                # "proxy: 5 answers and 12 base samples have no score (python_grader_runtime_error)"
"""

from collections.abc import Mapping

from harness.core.digest import digest
from harness.evidence.checkers import tested_in_words
from harness.evidence.record import RunRecord

ORACLE = "oracle"


def oracle_columns(record: RunRecord) -> list[str]:
    """Columns of the data that the reward reads; a row that asks it at test time needs them of every new prompt."""
    found = record.task_facts.get("reward_reads", [])
    return [str(name) for name in found] if isinstance(found, list) else []


def is_oracle(record: RunRecord, reward_calls: float) -> bool:
    """Of a row that takes so many reward calls at test time."""
    return reward_calls > 0 and bool(oracle_columns(record))


def oracles_in_words(record: RunRecord) -> str:
    """What marks a row as an oracle; empty where the reward reads the answer alone."""
    if not (columns := oracle_columns(record)):
        return ""
    return (
        f"Rows marked `{ORACLE}` ask the grader while they answer, and it reads {', '.join(columns)} of the row: what "
        "they have here, new prompts bring only where these columns are known for them. Picks by value ask for nothing"
    )


def ungraded(record: RunRecord) -> list[str]:
    """A line a grader and reason: how many answers and base samples have no score."""
    found = record.task_facts.get("ungraded", {})
    lines = []
    for grader, reasons in found.items() if isinstance(found, Mapping) else ():
        for reason, counts in reasons.items():
            answers, samples = counts.get("answers", 0), counts.get("samples", 0)
            parts = [f"{answers:,} answers"] * (answers > 0) + [f"{samples:,} base samples"] * (samples > 0)
            lines.append(f"{reason} of the {grader}: {' and '.join(parts)}")
    return lines


def graders_in_words(record: RunRecord) -> str:
    """Which graders a run had; empty of all other tasks."""
    facts = record.task_facts
    if "grader" not in facts:
        return ""
    gold = "the same" if facts.get("gold_grader") == facts["grader"] else f"`{_inline(facts.get('gold_grader'))}`"
    text = f"Proxy: the grader `{_inline(facts['grader'])}`; gold: {gold}."
    none = ungraded(record)
    return f"{text} No score: {'; '.join(none)}." if none else f"{text} Every answer has a score."


def task_in_words(record: RunRecord) -> str:
    """A task's name; with other files, graders or test prompts it is another task, as is each benchmark of lm-eval."""
    task, facts = record.config.task, record.task_facts
    if "grader" not in facts:
        return f"{task} ({words})" if (words := tested_in_words(record)) else task
    if "title" in facts:
        gold = "" if facts.get("gold_grader") == facts["grader"] else f"; gold: {_inline(facts.get('gold_grader'))}"
        return f"{record.task_name} {digest(record.settings(task))[:6]} ({_inline(facts['grader'])}{gold})"
    return f"{task} {digest(record.settings(task))[:6]} ({facts.get('rows')} rows, {_inline(facts['grader'])})"


def _inline(name: object) -> str:
    return str(name).replace("`", "'").replace("|", "/").replace("\n", " ")
