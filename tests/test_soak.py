"""The soak of `harness serve` in short; the long form, with numbers in results/reliability: `python -m tests.soak`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_mixed_requests_are_answered_or_refused_in_form_alone_as_in_company(tmp_path):
    command = [sys.executable, "-m", "tests.soak", "toy", "--requests", "80", "--again", "8", "--to", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((tmp_path / "soak.jsonl").read_text())
    assert said["problems"] == 0 == said["other_texts"] and said["asked_again_alone"] == 8
    assert sum(said["outcomes"].values()) == 80 and any(one.startswith("broken: 4") for one in said["outcomes"])
    assert said["command"].startswith("python -m tests.soak toy --requests 80") and min(said["memory_mb"]) > 50
