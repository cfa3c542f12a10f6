"""A class of Tinker's cookbook as a grader: an object of each row is asked about the answer, in the grader's process.

graded = checks_of(MathEnv)                              # whose __init__ is (self, problem, answer, renderer)
graded({"problem": "2 + 2?", "answer": "4"}, "It is 4")  # {"score": 0.9, "check_answer": 1.0, "check_format": 0.0}
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from harness.core.graders.missing import MissingColumn

NO_COLUMNS = frozenset({"renderer", "convo_prefix"})  # what turns problems into tokens there: None here
_FORMAT = 0.1  # ProblemEnv's own coefficient, of an object that has no other


def checks_of(kind: type) -> Callable[..., dict[str, float]]:
    """check_answer + format_coef * (check_format - 1), as ProblemEnv rewards an answer, and both as parts."""

    def graded(self: Mapping[str, Any], sample_str: str) -> dict[str, float]:
        made = kind(**_given(kind, self))
        answer, form = float(made.check_answer(sample_str)), float(made.check_format(sample_str))
        score = answer + float(vars(made).get("format_coef", _FORMAT)) * (form - 1)
        return {"score": score, "check_answer": answer, "check_format": form}

    return graded


def _given(kind: type, row: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name. Raises MissingColumn where a parameter without a default is no column of the row."""
    parameters = list(inspect.signature(kind).parameters.values())
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    missing = [
        one.name for one in named if one.default is one.empty and one.name not in row and one.name not in NO_COLUMNS
    ]
    if missing:
        raise MissingColumn.of(missing, row)
    needs_none = {one.name: None for one in named if one.default is one.empty and one.name in NO_COLUMNS}
    columns = row if takes_all else {one.name: row[one.name] for one in named if one.name in row}
    return {**needs_none, **columns}
