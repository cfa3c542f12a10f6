"""The plan of a run is what the run then does: the same stages in the same order, and no more work than was said."""

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios

import polars as pl
import pytest
from rich.cells import cell_len

from harness import cli
from harness.evidence.store import load_run
from harness.running import material
from harness.running.plan import Counts, plan, total
from tests.evidence.test_screen import ANSI, ROOT

TOY = ["run", "--task", "toy", "--limit", "12", "--set", "fit.prompts=20", "--set", "batch.rows=16", "--workers", "1"]
SAID = re.compile(r"^stage (\d+) of (\d+), (.*): (\d+) batch(?:es)? in .*$")


@pytest.fixture
def plans(monkeypatch):
    """The plans that runs made, as they made them."""
    made = []

    def kept(*arguments):
        made.append(plan(*arguments))
        return made[-1]

    monkeypatch.setattr(material, "plan", kept)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--method", "all", "--set", "evaluate.trace=2", "--set", "iro.iterations=2"],
        ["--method", "iro", "--refits", "2", "--set", "iro.keep=reweight"],
        ["--method", "args", "--only"],
    ],
)
def test_a_run_does_the_stages_of_its_plan_in_order(place, plans, capsys, unrendered, options):
    assert cli.main([*TOY, *options]) == 0
    said = [SAID.match(line) for line in capsys.readouterr().err.splitlines() if line.startswith("stage ")]
    (made,) = plans
    assert [match[3] for match in said] == [stage.label for stage in made]
    assert [int(match[1]) for match in said] == list(range(1, len(made) + 1))
    assert {int(match[2]) for match in said} == {len(made)}
    batches = {stage.label: stage.batches for stage in made if stage.kind != "scores"}
    traced = [name for name in batches if "search trees" in name]
    assert {match[3]: int(match[4]) for match in said if match[3] in batches and match[3] not in traced} == {
        name: count for name, count in batches.items() if name not in traced
    }


@pytest.mark.slow
def test_the_work_of_the_plan_bounds_the_ledger_and_is_near_it(place, plans, unrendered):
    """Texts of the toy end early, at 2.9 of 4 tokens on average; so a plan may say up to twice what was done."""
    candidates = ["--set", "controlled_decoding.candidates=2"]
    assert cli.main([*TOY, "--method", "iro,args,controlled_decoding,cards", *candidates]) == 0
    (folder,) = (place / "results" / "runs").iterdir()
    ledger = load_run(folder).ledger

    def spent(method: str, phase: str) -> Counts:
        """As charged to one method, but for base samples, which the plan counts once."""
        rows = ledger.filter(pl.col("method") == method, pl.col("phase") == phase)
        rows = rows.filter(~pl.col("artifact").is_in(pool["artifact"].implode())) if method != "harness" else rows
        by_role = {role: rows.filter(pl.col("role") == role) for role in ("policy", "proxy", "value")}
        policy = by_role["policy"]
        return Counts(
            int(policy["tokens"].sum() + policy["prefill_tokens"].sum()),
            value_calls=int(by_role["value"]["sequences"].sum()),
            reward_calls=int(by_role["proxy"]["sequences"].sum()),
        )

    pool = ledger.filter(pl.col("method") == "harness", pl.col("phase") == "fit")
    for method in ("harness", "base", "base_greedy", "best_of_n", "iro", "args", "controlled_decoding"):
        for phase in ("fit", "generate"):
            stages = [s for s in plans[0] if (s.method, s.phase) == (method, phase) and s.kind == "sampling"]
            if not stages:
                continue
            said, was = total(stages), spent(method, phase)
            most = 4 if method == "controlled_decoding" else 2  # whose candidates the toy reads for nothing
            assert was.policy_tokens <= said.policy_tokens <= most * was.policy_tokens, (method, phase)
            assert was.reward_calls <= said.reward_calls, (method, phase)
            if phase == "generate":
                assert was.value_calls <= said.value_calls, (method, phase)
    cards = [stage for stage in plans[0] if stage.method == "cards" and stage.phase == "generate"]
    assert [stage.counts for stage in cards] == [None]  # rejections are not known beforehand


@pytest.mark.slow
def test_on_a_terminal_two_workers_move_bars_and_finished_stages_stay(tmp_path):
    command = [sys.executable, "-m", "harness", *TOY[:-1], "2", "--method", "iro", "--out", str(tmp_path / "results")]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", "HARNESS_CACHE": str(tmp_path / "cache")}
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # Linux says so at the end
        pass
    assert process.wait() == 0, written.decode()
    lines = [ANSI.sub("", line) for line in re.split(r"[\r\n]+", written.decode())]
    assert sum(SAID.match(line.rstrip()) is not None for line in lines) == 23
    assert any("whole run" in line and " s left" in line for line in lines)
    assert max(map(cell_len, lines)) <= 90
    assert b"\x1b[?25h" in written  # the cursor is shown again
