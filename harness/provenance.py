"""Where a run's numbers come from: commit, versions, machine, and every opening of the test slice, for run.json."""

import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from harness.config import RunConfig, digest
from harness.core.decoding import Policy
from harness.core.task import Task
from harness.store import read_about, write_about

_PACKAGES = ("torch", "transformers", "scikit-learn", "polars", "numpy", "iro-harness")


def open_test_slice(
    folder: Path, config: RunConfig, policy: Policy, task: Task, stages: Mapping[str, int]
) -> dict[str, Any]:
    """Write run.json before the first answer: when the test slice was opened, with which settings and commit."""
    commit, dirty = _commit()
    about = read_about(folder) if (folder / "run.json").exists() else {"openings": []}
    asked = config.asked()
    opening = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "settings": digest(asked)[:10],
        "commit": commit,
        "dirty": dirty,
    }
    about |= {
        "status": "running",
        "config": asked,
        "commit": commit,
        "dirty": dirty,
        "versions": {name: version(name) for name in _PACKAGES},
        "stages": dict(stages),
        "model_fingerprint": policy.fingerprint,
        "parameters": policy.parameters,
        "device": str(policy.device),
        "threads": torch.get_num_threads(),
        "task_source": task.source,
        "task_facts": task.describe(),
        "openings": [*about["openings"], opening],
    }
    write_about(folder, about)
    return about


def peak_memory_gb() -> float:
    """Peak resident memory of this process plus that of its largest child, in GB. Shared pages count twice."""
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + child) * unit / 2**30


def _commit() -> tuple[str, bool]:
    """Commit of the harness's own checkout and whether its code has uncommitted changes; unknown outside a checkout."""
    here = Path(__file__).resolve().parent
    status = ["git", "status", "--porcelain", "--", ".", "../methods", "../tasks"]
    try:
        commit, changes = (
            subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout
            for command in (["git", "rev-parse", "HEAD"], status)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True
    return commit.strip(), bool(changes.strip())
