"""A weighted list of graders, as YAML or JSON has it.

grader:
  - {fn: checks.py:correct, weight: 0.5}
  - {openai: similarity.json, weight: 1}
  - {fn: checks.py:length, weight: 0}      # a metric only

The score is the sum of weight * score, NaN where a part that has a weight is NaN.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.graders.grade import Grade, Grader, Item, Reads, joined


class _Entry(BaseModel):
    """One line of a list: a function or a file of OpenAI's JSON, what it weighs, what its metric is called."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    fn: str | None = None
    openai: str | None = None
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    name: str | None = None


@dataclass(frozen=True)
class Part:
    """A grader of a list, with its weight and the name of its metric."""

    name: str
    weight: float
    grader: Grader


class Weighted:
    """Sum of weight * score over its parts; the score of each is a metric under the part's name."""

    def __init__(self, name: str, parts: Sequence[Part]) -> None:
        self.name, self._parts = name, tuple(parts)
        self.reads: Reads = joined([part.grader.reads for part in parts])
        self.identity = digest([[part.name, part.weight, part.grader.identity] for part in parts])[:20]

    def grade(self, items: Sequence[Item]) -> list[Grade]:
        columns = [part.grader.grade(items) for part in self._parts]
        return [self._of([grades[i] for grades in columns]) for i in range(len(items))]

    def close(self) -> None:
        for part in self._parts:
            part.grader.close()

    def _of(self, grades: Sequence[Grade]) -> Grade:
        scored = list(zip(self._parts, grades, strict=True))
        metrics = {f"{part.name}/{name}": value for part, grade in scored for name, value in grade.metrics.items()}
        metrics |= {part.name: grade.score for part, grade in scored}
        for part, grade in scored:
            if grade.error is not None and part.weight != 0:
                return Grade.failed(grade.error, f"{part.name}: {grade.detail}", metrics)
        total = math.fsum(part.weight * grade.score for part, grade in scored if part.weight != 0)
        if not math.isfinite(total):
            return Grade.failed("other_error", f"the weighted sum is {total}", metrics)
        return Grade(total, metrics=metrics)


def weighted(data: Any, where: str, load: Callable[[str], Grader]) -> Weighted:
    """A list as it was parsed; `load` makes a grader of "file.py:function" or "grader.json".

    Raises UserError, which begins with `where`, for what is no such list, and for a list without any weight.
    """
    if isinstance(data, dict):
        if list(data) != ["grader"]:
            raise UserError(f"{where} has {', '.join(map(str, data)) or 'nothing'}; give grader: and a list below it")
        data = data["grader"]
    if not isinstance(data, list) or not data:
        raise UserError(f"{where} is no list of graders; write lines such as - {{fn: file.py:function, weight: 0.5}}")
    entries = [_entry(entry, f"{where}, grader {i + 1}") for i, entry in enumerate(data)]
    if all(entry.weight == 0 for entry in entries):
        raise UserError(f"{where} gives every grader the weight 0: there is no score; weigh one of them")
    names: list[str] = []
    for entry in entries:
        name = entry.name or str(entry.fn or entry.openai).replace("\\", "/").rpartition("/")[2]
        if name in names:
            raise UserError(f"{where} has {name} twice; give one of them another name: {{..., name: NAME}}")
        names.append(name)
    sources = [str(entry.fn or entry.openai) for entry in entries]
    return Weighted(
        where,
        [Part(name, entry.weight, load(source)) for name, entry, source in zip(names, entries, sources, strict=True)],
    )


_ENTRY = TypeAdapter(_Entry)


def _entry(data: Any, where: str) -> _Entry:
    try:
        entry = _ENTRY.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise UserError(
            f"{where}: {place} is {str(first['input'])[:60]!r}: {first['msg']}; a line has fn or openai, weight, name"
        ) from error
    if (entry.fn is None) == (entry.openai is None):
        raise UserError(f"{where} needs exactly one of fn (file.py:function) and openai (grader.json)")
    return entry
