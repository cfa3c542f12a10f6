"""The prompts of IFEval itself (Zhou et al. 2023), from a file or from the hub.

prompts = official("input_data.jsonl")       # 541 of them; "hub": google/IFEval
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.contents import file_sha256
from harness.core.data.rows import DataRow, rows_of, short
from harness.core.errors import UserError
from harness.core.quiet import silence_libraries
from harness.core.types import Prompt
from harness.tasks.ifeval.asks import ASKS
from harness.tasks.ifeval.compose import prompt_of

HUB, _DATA_SET = "hub", "google/IFEval"
_COLUMNS = ("prompt", "instruction_id_list", "kwargs")


def contents_of(source: str) -> str:
    """What names the prompts of a source, wherever its file lies."""
    return source if source == HUB else file_sha256(Path(source))[:20] if Path(source).is_file() else ""


def official(source: str) -> list[Prompt]:
    """The prompts by id. Raises UserError for a file that holds something else, or where the hub cannot be reached."""
    rows = _from_hub() if source == HUB else rows_of(Path(source))
    found: dict[str, Prompt] = {}
    for row in rows:
        prompt = _prompt(row)
        found.setdefault(prompt.id, prompt)
    return sorted(found.values(), key=lambda prompt: prompt.id)


def _prompt(row: DataRow) -> Prompt:
    if missing := [name for name in _COLUMNS if name not in row.columns]:
        raise UserError(f"{row.where} has no {', '.join(missing)}; prompts of IFEval have {', '.join(_COLUMNS)}")
    text, ids, kwargs = (row.columns[name] for name in _COLUMNS)
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{row.where}: prompt is {short(text)}; write a text")
    if not isinstance(ids, list) or not ids or any(name not in list(ASKS) for name in ids):
        raise UserError(f"{row.where}: instruction_id_list is {short(ids)}; IFEval knows {', '.join(ASKS)}")
    if not isinstance(kwargs, list) or len(kwargs) != len(ids) or not all(isinstance(one, Mapping) for one in kwargs):
        raise UserError(f"{row.where}: kwargs is {short(kwargs)}; write an object for each of {len(ids)} instructions")
    return prompt_of(text, ids, [_given(one) for one in kwargs])


def _given(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null, which the hub's table has in every row."""
    return {name: value for name, value in kwargs.items() if value is not None}


def _from_hub() -> list[DataRow]:
    from datasets import load_dataset  # slow to import, and only the hub needs it

    silence_libraries()
    try:
        data = load_dataset(_DATA_SET, split="train")
    except Exception as error:  # the library raises its own, requests' and the hub client's errors alike
        raise UserError(
            f"data set {_DATA_SET!r} could not be loaded ({error}); check the connection to the hub, give "
            "ifeval.official=FILE, or leave it out for composed prompts"
        ) from error
    return [DataRow(f"{_DATA_SET}, row {n}", dict(row)) for n, row in enumerate(data, 1)]
