"""Where a run's numbers come from: commit, versions, machine, and every opening of the test slice, for run.json."""

import subprocess
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import psutil
import torch

from harness.core.digest import digest
from harness.core.models.policy import Policy
from harness.core.task import Task
from harness.evidence.record import UNKNOWN
from harness.evidence.store import write_about
from harness.running.command import command_of
from harness.running.config import RunConfig
from harness.running.identity import Identity
from harness.running.openings import noted_openings

_PACKAGES = ("torch", "transformers", "scikit-learn", "polars", "numpy", "iro-harness")


def open_slice(folder: Path, config: RunConfig, policy: Policy, task: Task, identity: Identity) -> dict[str, Any]:
    """Write run.json before the first answer: when the test slice was opened, with which settings and commit.

    A run on the development slice opens no test prompt, and has no entry.
    """
    commit, dirty = commit_of_code()
    asked = config.asked()
    opening = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "settings": digest(asked)[:10],
        "commit": commit,
        "dirty": dirty,
    }
    opened = [opening] * (config.settings["evaluate"].slice != "development")
    about = {
        "status": "running",
        "config": asked,
        "command": command_of(config),
        "commit": commit,
        "dirty": dirty,
        "versions": {name: version(name) for name in _PACKAGES},
        "identity": dict(identity),
        "stages": identity["stages"],
        "model_fingerprint": policy.fingerprint,
        "parameters": policy.parameters,
        "device": str(policy.device),
        "threads": torch.get_num_threads(),
        "task_source": task.source,
        "task_facts": task.describe(),
        "openings": noted_openings(folder, opened),
    }
    write_about(folder, about)
    return about


class PeakMemory:
    """The most memory that this process and its workers held together, looked at every second while the block runs.

    Pages shared with forked workers count once where the system tells (Linux), with every process elsewhere.
    """

    def __init__(self) -> None:
        self.gb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        stopped = False
        while not stopped:
            stopped = self._stop.wait(1.0)
            total = 0
            for process in [own, *own.children(recursive=True)]:
                try:
                    memory = process.memory_full_info()._asdict()
                except psutil.Error:  # it ended meanwhile
                    continue
                total += memory.get("pss", memory["rss"])
            self.gb = max(self.gb, total / 2**30)


def commit_of_code() -> tuple[str, bool | None]:
    """Commit of the checkout of this code, and whether it has uncommitted changes; UNKNOWN and None outside one."""
    source = Path(__file__).resolve()
    # an environment inside somebody's repository has a commit, too, but not of this code
    tracked = ["git", "ls-files", "--error-unmatch", source.name]
    status = ["git", "status", "--porcelain", "--", "..", "../../methods", "../../tasks"]
    try:
        _, commit, changes = (
            subprocess.run(command, cwd=source.parent, capture_output=True, text=True, check=True).stdout
            for command in (tracked, ["git", "rev-parse", "HEAD"], status)
        )
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN, None
    return commit.strip(), bool(changes.strip())
