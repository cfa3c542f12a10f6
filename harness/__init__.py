"""An evaluation-first benchmark harness for aligning frozen language models at test time.

    import harness

    aligned = harness.align("smollm2-135m-instruct", prompts, reward=my_reward, method="iro", out="aligned/")
    aligned.generate(["The film was"])
    harness.load("aligned/").generate(["The film was"])

What stands in `__all__` is public and stays; importing this package imports neither torch nor anything else heavy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.core.errors import UserError
    from harness.core.generator import Generator
    from harness.core.task import Task
    from harness.core.types import Answer, Completion, Prompt, Scorer
    from harness.running.call import load_run, run
    from harness.serve.align import align
    from harness.serve.opening import load

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Completion",
    "Generator",
    "Prompt",
    "Scorer",
    "Task",
    "UserError",
    "__version__",
    "align",
    "load",
    "load_run",
    "run",
]

_MODULES = {
    "Answer": "harness.core.types",
    "Completion": "harness.core.types",
    "Generator": "harness.core.generator",
    "Prompt": "harness.core.types",
    "Scorer": "harness.core.types",
    "Task": "harness.core.task",
    "UserError": "harness.core.errors",
    "align": "harness.serve.align",
    "load": "harness.serve.opening",
    "load_run": "harness.running.call",
    "run": "harness.running.call",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    from harness.core.registry import require_one_checkout

    require_one_checkout()
    found = vars(importlib.import_module(_MODULES[name]))[name]
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
