"""What other libraries may put on a user's screen: nothing. Whatever matters of it, we say ourselves.

silence_process()       # of the command, whose process is ours: before other libraries are imported
silence_libraries()     # of a caller's process: log lines and bars of what is imported, nothing else of theirs

Warnings of the user's own files (a method, a task, a reward) are shown as Python shows them.
"""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TextIO

_LIBRARIES = (
    "accelerate", "datasets", "filelock", "fsspec", "huggingface_hub", "httpx", "httpx2", "httpcore", "httpcore2",
    "lm_eval", "matplotlib", "openai", "peft", "PIL", "sklearn", "tokenizers", "torch", "transformers", "trl",
    "urllib3",
)  # fmt: skip
_ENVIRONMENT = {  # read when the library is imported; what the user has set stays
    "DATASETS_VERBOSITY": "critical",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "critical",
    "TOKENIZERS_PARALLELISM": "false",  # else it warns of every fork
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "critical",
}
_BARS = ("transformers.utils.logging", "datasets.utils.tqdm", "huggingface_hub.utils.tqdm")  # modules that have some
_OURS = Path(__file__).resolve().parents[2]  # a warning named after our files comes from what they call


def silence_process() -> None:
    """Nothing of other libraries for as long as the process lives, Python's warnings included."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    silence_libraries()
    _show_warnings_of_the_user_alone()


def silence_libraries() -> None:
    """No log lines of other libraries, and no progress bars of those that are imported."""
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in _BARS:
        module = vars(sys.modules[name]) if name in sys.modules else {}
        for switch in ("disable_progress_bar", "disable_progress_bars"):
            if switch in module:
                module[switch]()


def _show_warnings_of_the_user_alone() -> None:
    plain = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if _is_the_users(filename):
            plain(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def _is_the_users(filename: str) -> bool:
    """Whether a source is neither Python's, nor installed, nor of this package."""
    path = Path(filename)
    if not path.is_file():  # <frozen importlib>, <string>
        return False
    path = path.resolve()
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    python = Path(logging.__file__).resolve().parents[1]
    ours = (_OURS / "harness", _OURS / "methods", _OURS / "tasks")
    return not installed and not any(path.is_relative_to(folder) for folder in (python, *ours))
