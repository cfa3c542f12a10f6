"""A file of data as prompts in disjoint splits.

data = read_data(Path("support.jsonl"))
data.rule, data.rows, data.sizes            # "messages", 600, {"fit": 353, "development": 61, "test": 186}
data.prompts["fit"][0].row                  # every other column, for graders
data.where[prompt.id]                       # "support.jsonl, line 3"

Rows without a `split` are cut by the hash of their prompt, so that each stays where it is when others are added. A
prompt's id is the hash of what it asks and of its row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.core.data.asked import Rule, asked_in, item_of, reference_of, rule_of
from harness.core.data.rows import DataRow, rows_of, short
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.given_prompts import plain
from harness.core.task import Slice, slice_of
from harness.core.types import Prompt

SPLITS: Mapping[str, Slice] = {
    "fit": "fit", "train": "fit", "training": "fit",
    "development": "development", "dev": "development", "validation": "development", "valid": "development",
    "val": "development",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Data:
    """The prompts of a file by split, each sorted by id, and what is said of them."""

    rule: Rule
    rows: int
    merged: int  # rows that another row of their split repeats, prompt and all
    has_splits: bool  # the file says which row is for what
    prompts: Mapping[Slice, Sequence[Prompt]]
    where: Mapping[str, str]  # prompt id -> its row, as errors name it
    columns: Sequence[str]  # that graders may read, of any row

    @property
    def sizes(self) -> dict[Slice, int]:
        return {part: len(prompts) for part, prompts in self.prompts.items()}

    @property
    def identity(self) -> str:
        """Hash of all prompts with their rows, in their splits; neither the file's name nor its order is part of it."""
        return digest({part: [[p.id, p.reference] for p in prompts] for part, prompts in self.prompts.items()})[:20]

    @property
    def is_chat(self) -> bool:
        return any(p.messages is not None for prompts in self.prompts.values() for p in prompts)


def read_data(path: Path) -> Data:
    """Raises UserError for whatever is wrong with the file; it is read once for several who ask."""
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)
    except OSError:
        return _made(path)  # which says what is wrong


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> Data:
    return _made(path)


def _made(path: Path) -> Data:
    rows = rows_of(path)
    rule = rule_of(rows[0])
    is_chat = _prompt(rows[0], rule).messages is not None
    has_splits = any(row.columns.get("split") not in (None, "") for row in rows)
    found: dict[Slice, dict[str, Prompt]] = {"fit": {}, "development": {}, "test": {}}
    where: dict[str, str] = {}
    split_of: dict[str, tuple[Slice, str]] = {}  # what is asked -> its split, and where that was
    for row in rows:
        prompt = _prompt(row, rule)
        if (prompt.text is None) != is_chat:
            kinds = ("a text", "messages") if is_chat else ("messages", "a text")
            raise UserError(f"{row.where}: {rule} is {kinds[0]}, and {kinds[1]} in {rows[0].where}; write all alike")
        part = _split(row) if has_splits else slice_of(prompt)
        asked = digest(plain(prompt))
        before, there = split_of.setdefault(asked, (part, row.where))
        if before != part:
            raise UserError(
                f"{row.where} is for {part} and asks the same as {there}, which is for {before}: "
                f"{short(plain(prompt))}. Put both into one split, or leave one out"
            )
        found[part].setdefault(prompt.id, prompt)
        where.setdefault(prompt.id, row.where)
    prompts = {part: sorted(of.values(), key=lambda p: p.id) for part, of in found.items()}
    names = dict.fromkeys(name for of in prompts.values() for prompt in of for name in prompt.row)
    return Data(rule, len(rows), len(rows) - sum(map(len, prompts.values())), has_splits, prompts, where, sorted(names))


def prompt_of(row: DataRow) -> Prompt:
    """The prompt of one row, by itself."""
    return _prompt(row, rule_of(row))


def _prompt(row: DataRow, rule: Rule) -> Prompt:
    asked, item = asked_in(row, rule), item_of(row, rule)
    text, messages = (asked, None) if isinstance(asked, str) else (None, asked)
    identity = digest([text, messages and [[m.role, m.content] for m in messages], item])
    return Prompt(identity[:12], text, messages, reference_of(item), item)


def _split(row: DataRow) -> Slice:
    named = row.columns.get("split")
    found = SPLITS.get(named.strip().lower()) if isinstance(named, str) else None
    if found is None:
        raise UserError(
            f"{row.where}: split is {short(named)}; write one of {', '.join(SPLITS)}, in every row or in none"
        )
    return found
