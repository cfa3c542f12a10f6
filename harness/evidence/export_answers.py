"""A run's answers, a JSON object a line: prompt, response, who gave it, and what proxy and gold say of it."""

from collections.abc import Iterator
from math import isnan

from harness.core.printable import json_line
from harness.evidence.choice import chosen_rows
from harness.evidence.graders import oracle_columns
from harness.evidence.schema import GOLD, PROXY
from harness.evidence.store import Run
from harness.evidence.table import answers_by_row, repeats_value
from harness.evidence.unanswered import unanswered


def answer_lines(run: Run, rows: str | None) -> Iterator[str]:
    """The answers of the rows that `choice.chosen_rows` makes of a text, row by row, by prompt id.

    proxy and gold are in sd of base samples above their mean, as in every table; null where none could be computed.
    """
    parts = answers_by_row(run)
    keys = [key for key in parts if not repeats_value(parts, key)]
    marks = bool(oracle_columns(run.record))
    for key in chosen_rows(keys, rows, run.id):
        asks = marks and bool((parts[key]["reward_calls"] > 0).any())
        for answer in parts[key].filter(~unanswered(parts[key])).iter_rows(named=True):
            said = {
                "run": run.id,
                "method": key.method,
                "iteration": key.iteration,
                "pick": key.final_pick,
                **({"is_oracle": asks} if marks else {}),
                "prompt_id": answer["prompt_id"],
                "prompt": answer["prompt"],
                "response": answer["response"],
                "proxy": _known(answer[PROXY]),
                "gold": _known(answer[GOLD]),
                "reference": answer.get("reference"),
            }
            yield json_line(said)


def _known(score: float | None) -> float | None:
    return None if score is None or isnan(score) else score
