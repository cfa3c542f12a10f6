"""Rows that anybody writes: a prompt or its id, and numbers or an answer beside it; JSON lines, JSON, CSV, parquet.

{"prompt": "2 + 2 =", "response": "4", "accuracy": 1.0}          AlpacaEval's model_outputs.json are such rows, too
{"custom_id": "q1", "response": {"body": {"choices": [...]}}}    what OpenAI's batches give back
"""

from collections.abc import Sequence
from typing import Any

from harness.comparing.json_file import number, said_by
from harness.comparing.records import TEXT, Record, Records
from harness.core.errors import UserError

KIND = "rows"
ID = "prompt id"
IDS = ("prompt_id", "custom_id", "id")
PROMPTS = ("prompt", "instruction", "question", "messages", "input")
ANSWERS = ("response", "output", "completion", "generation", "answer", "text")
_TRUTH = {"true": True, "false": False}
_NO_SCORES = frozenset({*IDS, "seed", "index", "idx"})


def read(source: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> Records:
    return Records(source, KIND, [_record(source, where, row) for where, row in rows])


def numbered(row: dict[str, Any]) -> dict[str, Any]:
    """A row of CSV, whose cells are texts: what can only be a score is a number where it reads as one."""
    return {name: cell if name in (*IDS, *PROMPTS, *ANSWERS) else _as_number(cell) for name, cell in row.items()}


def _as_number(cell: Any) -> Any:
    """A number or a truth value, as pandas (True), polars (true) and R (TRUE) write it; else the cell."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return _TRUTH.get(str(cell).strip().lower(), cell)


def _record(source: str, where: str, row: dict[str, Any]) -> Record:
    names, said = {}, None
    if (own := next((row[name] for name in IDS if row.get(name) is not None), None)) is not None:
        names[ID] = str(own)
    asked = next((row[name] for name in PROMPTS if row.get(name) is not None), None)
    if isinstance(asked, list) and asked and isinstance(asked[-1], dict) and asked[-1].get("role") == "assistant":
        said = said_by(asked[-1:])  # a conversation whose last message is the answer
        asked = asked[:-1]
    if asked is not None and asked == row.get("instruction") and isinstance(row.get("input"), str) and row["input"]:
        asked = f"{asked}\n\n{row['input']}"  # Alpaca's rows: what the instruction is about
    if (text := said_by(asked)) is not None:
        names[TEXT] = text
    if not names:
        there = ", ".join(list(row)[:12]) or "none"
        raise UserError(f"{source}, {where} names no prompt: give {', '.join(PROMPTS)} or {', '.join(IDS)}; "
                        f"its columns: {there}")  # fmt: skip
    for name in ANSWERS:
        if said is None and row.get(name) is not None:
            said = _answer(row[name])
    scores = {str(name): value for name, given in row.items()
              if name not in _NO_SCORES and (value := number(given)) is not None}  # fmt: skip
    return Record(where, names, scores, said)


def _answer(given: Any) -> str | None:
    """A text, or what a chat completion, a batch's line or messages hold."""
    if isinstance(given, dict):
        body = given.get("body", given)
        choices = body.get("choices") if isinstance(body, dict) else None
        if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict):
            message = choices[0].get("message")
            return said_by([message]) if isinstance(message, dict) else choices[0].get("text")
        return said_by([given]) if "content" in given else None
    return said_by(given)
