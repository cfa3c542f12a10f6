"""lm-eval's samples_TASK_DATE.jsonl: a line a document and filter, metrics beside its answer.

What was asked is `arg_0`: a text, or of a chat the messages, which lm-eval writes as JSON in a list of one.

Documents are paired by `doc_hash`, the hash of the document itself: `doc_id` counts from 0 in whatever order they were
taken. A document that is in the data several times has its number behind the hash.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from harness.comparing.json_file import number, said_by
from harness.comparing.records import TEXT, Record, Records
from harness.core.errors import UserError

KIND = "lm-eval samples"
_HASH, _ID = "doc_hash", "doc_id"
_PARTS = frozenset({_HASH, _ID, "doc", "target", "arguments", "resps", "filtered_resps", "filter", "prompt_hash",
                    "target_hash", "schema_version"})  # fmt: skip
NO_FILTER = "none"  # lm-eval's name of the filter of a task that has none of its own


def is_samples(row: dict[str, Any]) -> bool:
    return _ID in row and "filtered_resps" in row and "doc" in row


def read(source: str, rows: Sequence[tuple[str, dict[str, Any]]], chosen: str | None) -> Records:
    """The records under one filter: the chosen one, the only one, or of a task without filters its answers.

    Raises UserError where there are several and none of them is chosen.
    """
    for where, row in rows:
        if not is_samples(row):
            raise UserError(f"{source}, {where} is no sample, as the first one is: it has no doc_id, doc or "
                            "filtered_resps; copy the file again from where it came")  # fmt: skip
    filters = list(dict.fromkeys(_filter(row) for _, row in rows))
    if chosen is None and len(filters) > 1:
        raise UserError(f"{source} has an answer under each of the filters {', '.join(filters)}; choose one of them "
                        f"with --filter {filters[0]}")  # fmt: skip
    if chosen is not None and chosen not in filters and filters != [NO_FILTER]:
        raise UserError(f"{source} has no filter {chosen!r}; there: {', '.join(filters)}")
    read_filter = chosen if chosen in filters else filters[0]
    kept = [(where, row) for where, row in rows if _filter(row) == read_filter]
    kept.sort(key=lambda one: _number_of(one[1]))
    seen: Counter[str] = Counter()
    ids: set[tuple[str, str]] = set()
    records = []
    for where, row in kept:
        digest, own = str(row.get(_HASH, "")), str(row[_ID])
        # the same document under another number is in the data twice; under the same one it was written twice
        if (digest, own) not in ids:
            seen[digest] += 1
            ids.add((digest, own))
        named = f"{digest}#{seen[digest]}" if seen[digest] > 1 else digest
        records.append(_record(where, row, {_HASH: named} if digest else {_ID: own}))
    notes = [] if chosen is None and read_filter == NO_FILTER else [f"answers under the filter {read_filter}"]
    return Records(source, KIND, records, notes=notes, filter=read_filter)


def _filter(row: dict[str, Any]) -> str:
    return str(row.get("filter", NO_FILTER))


def _record(where: str, row: dict[str, Any], names: dict[str, str]) -> Record:
    scores = {}
    named = row.get("metrics")
    # earlier versions do not list them: what is no part of every sample
    metrics = named if isinstance(named, list) else [name for name in row if name not in _PARTS]
    for metric in map(str, metrics):
        if (value := number(row.get(metric))) is not None:
            scores[metric] = value
    text = _prompt(_requests(row))
    answers = row["filtered_resps"] if isinstance(row["filtered_resps"], list) else []
    answer = answers[0] if len(answers) == 1 else None
    while isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    return Record(
        where, {**names, **({TEXT: text} if text is not None else {})}, scores,
        answer if isinstance(answer, str) else None,
    )  # fmt: skip


def _prompt(requests: Sequence[list[Any]]) -> str | None:
    """What the model was asked, of a document whose requests (its choices, each with a continuation) all ask it."""
    asked = {_asked(request[0]) for request in requests if request}
    return asked.pop() if len(asked) == 1 else None


def _requests(row: dict[str, Any]) -> list[list[Any]]:
    """The arguments of each request of a document: by name, and in lists, as earlier versions wrote them."""
    given = row.get("arguments")
    each = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else []
    return [list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else [] for one in each]


def _asked(context: Any) -> str | None:
    """A text, messages, or messages as JSON in a list of one, which is how lm-eval marks those of a chat."""
    if isinstance(context, list) and len(context) == 1 and isinstance(context[0], str):
        try:
            messages = json.loads(context[0])
        except (ValueError, RecursionError):
            return str(context[0])
        said = said_by(messages) if isinstance(messages, list) else None
        return str(context[0]) if said is None else said
    return said_by(context)


def _number_of(row: dict[str, Any]) -> tuple[int, str]:
    own = row[_ID]
    return (own, "") if isinstance(own, int) else (0, str(own))
