"""Presets: settings by name, that come between a profile and what is given by --set.

python -m harness run --method iro --preset published

`published` has the settings of IRO's paper and published code (arXiv 2506.17828, table 7): three iterations, width and
successors 4, the best finalist by the proxy as training data, top-k 50 (which the code hides in a function), and its
temperature and top-p by the kind of task. The chunk is the task's, since texts differ in length. Left out are its
faults (docs/methods.md lists them) and its value models of the size of the policy; the guiding reward is never gold.
"""

from collections.abc import Mapping
from typing import Any

from harness.core.task import Kind

_PUBLISHED_SAMPLERS: Mapping[Kind, Mapping[str, float]] = {
    "continuations": {"temperature": 0.7, "top_p": 1.0},  # not in the paper: as its summaries
    "summaries": {"temperature": 0.7, "top_p": 1.0},
    "instructions": {"temperature": 0.6, "top_p": 0.9},
}
_PUBLISHED_IRO = {"iterations": 3, "width": 4, "successors": 4, "keep": "argmax", "select": "top"}

PRESETS = ("published",)


def settings_of(preset: str, kind: Kind) -> dict[str, dict[str, Any]]:
    """Section -> setting -> value; sections that a run does not have are of no use to it."""
    assert preset in PRESETS, preset
    return {"sampler": {"top_k": 50, **_PUBLISHED_SAMPLERS[kind]}, "iro": _PUBLISHED_IRO}
