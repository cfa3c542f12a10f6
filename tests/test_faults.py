"""The fault runner in short; its long form, whose numbers lie in results/reliability, is `python -m tests.faults`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHORT = {
    "kills run": ["kills", "run", "--count", "6"],
    "kills parallel": ["kills", "parallel", "--count", "3"],
    "kills tune": ["kills", "tune", "--count", "3"],
    "kills ablate": ["kills", "ablate", "--count", "3"],
    "kills align": ["kills", "align", "--count", "3"],
    "flips": ["flips", "--count", "24"],
    "malformed": ["malformed", "--count", "24"],
    "malformed others": ["malformed", "others", "--count", "16"],
    "together": ["together", "--count", "6"],
    "full disk": ["full-disk", "--count", "8"],
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SHORT)
def test_faults_end_as_they_should(what, tmp_path):
    command = [sys.executable, "-m", "tests.faults", *SHORT[what], "--to", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [numbers] = tmp_path.glob("*.jsonl")
    said = json.loads(numbers.read_text())
    assert said["problems"] == 0 and said["command"].startswith(f"python -m tests.faults {SHORT[what][0]}")
