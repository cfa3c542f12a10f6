"""OpenAI's templates: {{ item.x.y }}, {{ sample.output_text }}, {{ sample.output_json.a[0] }}.

Template.of("Reference: {{ item.answer }}", "input").text(namespaces(item))     # "Reference: 4"

Texts stand as they are; every other value stands as JSON writes it (true, 1.5, {"a": 1}).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.core.errors import UserError, unknown
from harness.core.graders.grade import Error, Item, Reads, joined
from harness.core.graders.sample import SAMPLE, sample_of

_HOLE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_STEP = re.compile(r"\.?([^\W\d][\w-]*)|\[(\d+)\]|\[\"([^\"]+)\"\]|\['([^']+)'\]")
_MISSING: Any = object()


class Unfilled(Exception):
    """A variable that a row or an answer does not have."""

    def __init__(self, error: Error, detail: str) -> None:
        super().__init__(detail)
        self.error, self.detail = error, detail


@dataclass(frozen=True)
class Variable:
    """item.answer.x[0]: a namespace and the steps below it."""

    written: str
    steps: tuple[str | int, ...]  # the first is "item" or "sample"

    @classmethod
    def of(cls, written: str, where: str) -> "Variable":
        steps: list[str | int] = []
        place = 0
        while place < len(written):
            found = _STEP.match(written, place)
            if found is None or (place == 0) != (written[place] != "." and written[place] != "[") or not found[0]:
                raise UserError(f"{where} has {{{{ {written} }}}}, which is no variable; write {{{{ item.NAME }}}}")
            name, index, *quoted = found.groups()
            steps.append(int(index) if index is not None else name or quoted[0] or quoted[1])
            place = found.end()
        if not steps or steps[0] not in ("item", "sample") or len(steps) < 2:
            raise UserError(
                f"{where} has {{{{ {written} }}}}; a variable begins with item. (a column of the data) or sample. "
                f"(one of {', '.join(SAMPLE)})"
            )
        if steps[0] == "sample" and steps[1] not in SAMPLE:
            raise UserError(f"{where} has {{{{ {written} }}}}: {unknown('variable of sample', str(steps[1]), SAMPLE)}")
        return cls(written, tuple(steps))

    def value(self, spaces: Mapping[str, Any]) -> Any:
        """Raises Unfilled: sample_parse_error for output_json of what is no JSON, else invalid_variable_error."""
        found: Any = spaces
        for step in self.steps:
            found = _below(found, step)
            if found is _MISSING:
                if self.steps[:2] == ("sample", "output_json") and "output_json" not in spaces["sample"]:
                    raise Unfilled("sample_parse_error", "the answer is no JSON, which sample.output_json needs")
                raise Unfilled("invalid_variable_error", f"there is no {self.written} for this row")
        return found


@dataclass(frozen=True)
class Template:
    """Texts and variables in turn: one text more than there are variables."""

    texts: tuple[str, ...]
    variables: tuple[Variable, ...]

    @classmethod
    def of(cls, template: str, where: str) -> "Template":
        """Raises UserError, which begins with `where`, for what is no variable of OpenAI's."""
        parts = _HOLE.split(template)
        for text in parts[::2]:
            if "{{" in text:
                begun = text[text.index("{{") :][:40]
                raise UserError(f"{where} has {begun!r}, which no }}}} ends; write {{{{ item.NAME }}}}")
        return cls(tuple(parts[::2]), tuple(Variable.of(part.strip(), where) for part in parts[1::2]))

    def text(self, spaces: Mapping[str, Any]) -> str:
        """Filled in. Raises Unfilled."""
        values = [_written(variable.value(spaces)) for variable in self.variables]
        return "".join(text + value for text, value in zip(self.texts, [*values, ""], strict=True))

    @property
    def reads(self) -> Reads:
        named = [variable.steps[1] for variable in self.variables if variable.steps[0] == "item"]
        return joined([frozenset({str(name)}) for name in named])


def namespaces(item: Item) -> dict[str, Any]:
    """What variables are looked up in: the columns of the row, and the answer as a chat completion."""
    return {"item": dict(item.row), "sample": sample_of(item.response)}


def _below(found: Any, step: str | int) -> Any:
    match found, step:
        case Mapping(), _:
            return found.get(step, _MISSING)
        case list(), int() if step < len(found):
            return found[step]
    return _MISSING


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
