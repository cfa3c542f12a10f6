"""What a function returned, read as scores. Runs in the grader's own process; its values are of any kind.

read(True)                                   # Outcome(1.0)
read({"score": 0.5, "length": 12})           # Outcome(0.5, metrics={"length": 12.0})
read("0.5")                                  # Outcome(nan, "python_grader_runtime_error", "it returned the text '0.5'")
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

_SCORES = ("aggregate_reward_score", "score", "reward", "result", "pass", "pass_")  # first one that is there
_METRICS = ("metrics", "namedScores", "named_scores")  # dicts of metrics inside a result
_RUNTIME, _NONE, _OTHER = "python_grader_runtime_error", "unresponsive_reward_error", "other_error"


@dataclass(frozen=True)
class Outcome:
    """A grade as it crosses the pipe."""

    score: float
    error: str | None = None
    detail: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


def read(value: Any) -> Outcome:
    """One score from what was returned for one item."""
    value = _plain(value)
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if value is None:
        return Outcome(math.nan, _NONE, "it returned None")
    if isinstance(value, str | bytes):  # float would read some
        return Outcome(math.nan, _RUNTIME, f"it returned the text {value[:40]!r}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a tensor of several
        return Outcome(math.nan, _RUNTIME, f"it returned {_short(value)}, which is no number")
    if not math.isfinite(number):
        return Outcome(math.nan, _RUNTIME, f"it returned {number}")
    return Outcome(number)


def read_batch(value: Any, n: int, ids: Sequence[str] = ()) -> list[Outcome]:
    """n scores from what was returned for n items: a list, an array, {"rewards": list}, or dicts by "id".

    `ids` are those that the items had, by default their places.
    """
    value = _plain(value)
    if isinstance(value, Mapping):
        found = next((name for name in ("rewards", "scores") if name in value), None)
        if found is None:
            return _all(n, f"it returned a dict with {_names(value)}; give a list, or a dict with rewards")
        value = value[found]
    if value is not None and not isinstance(value, str | bytes | Sequence):
        value = _listed(value)
    if value is None:
        return [Outcome(math.nan, _NONE, "it returned None")] * n
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return _all(n, f"it returned {_short(value)}; give a list of {n} numbers")
    if all(isinstance(_plain(part), Mapping) and "id" in _plain(part) for part in value) and value:
        return _by_id([_plain(part) for part in value], ids or [str(i) for i in range(n)])
    if len(value) != n:
        return _all(n, f"it returned {len(value)} numbers for {n} responses")
    return [read(part) for part in value]


def _of_mapping(value: Mapping[Any, Any]) -> Outcome:
    metrics = _metrics(value)
    if value.get("is_score_valid") is False:
        return Outcome(math.nan, _OTHER, f"it says that its score is not valid: {value.get('reason', '')}", metrics)
    if isinstance(value.get("evaluation_result"), Mapping):  # an eval-protocol row
        return _of_mapping(value["evaluation_result"])
    found = next((name for name in _SCORES if name in value), None)
    if found is None:
        return Outcome(math.nan, _RUNTIME, f"it returned a dict with {_names(value)}; give score", metrics)
    if isinstance(_plain(value[found]), Mapping):
        return Outcome(math.nan, _RUNTIME, f"it returned a dict whose {found} is a dict", metrics)
    one = read(value[found])
    return Outcome(one.score, one.error, one.detail, metrics)


def _metrics(value: Mapping[Any, Any]) -> dict[str, float]:
    """Every other finite number of a result, and those of the dicts and lists of metrics in it."""
    found: dict[str, float] = {}
    inner = [value[name] for name in _METRICS if isinstance(value.get(name), Mapping)]
    for part in (value, *inner):
        for name, number in part.items():
            if isinstance(number, Mapping):  # Fireworks' MetricResult
                number = number.get("score")
            if name not in _SCORES and name != "is_score_valid":
                _keep(found, name, number)
    for metric in value.get("metrics_list") or ():  # Bedrock's
        if isinstance(metric := _plain(metric), Mapping):
            _keep(found, metric.get("name"), metric.get("value"))
    return found


def _keep(found: dict[str, float], name: Any, number: Any) -> None:
    if isinstance(number, int | float) and math.isfinite(number):
        found[str(name)] = float(number)


def _by_id(values: list[Mapping[Any, Any]], ids: Sequence[str]) -> list[Outcome]:
    """Bedrock's answers, which may come in any order."""
    known = {str(value["id"]): value for value in values}
    return [
        read(known[name]) if name in known else Outcome(math.nan, _NONE, f"it returned nothing for the id {name}")
        for name in ids
    ]


def _plain(value: Any) -> Any:
    """Dataclasses and pydantic models as dicts; all else as it is."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    dump = getattr(value, "model_dump", None)  # whatever a vendor's result is, it is a pydantic model
    return dump() if callable(dump) and not isinstance(value, type) else value


def _listed(value: Any) -> Any:
    """Arrays, tensors and generators as lists; all else as it is."""
    to_list = getattr(value, "tolist", None)  # numpy's and torch's
    if callable(to_list):
        return to_list()
    try:
        return list(value)
    except TypeError:
        return value


def _all(n: int, why: str) -> list[Outcome]:
    return [Outcome(math.nan, _RUNTIME, why)] * n


def _names(value: Mapping[Any, Any]) -> str:
    return ", ".join(map(str, value)) or "nothing"


def _short(value: Any) -> str:
    return f"{type(value).__name__} {' '.join(repr(value).split())[:40]}"
