"""A `harness serve` in a process of its own, of a small run that is made first: the toy's, or one of the real model.

with served("toy", place) as server:
    server.url, server.process          # and server.ended(), which says how it took its end
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from tests.faults.child import call, without_drawing

REAL = "smollm2-135m-instruct"
_GRADER = Path(__file__).parents[1] / "faults" / "letters.py"
_TOY = ["--task", "toy", "--limit", "6", "--method", "iro,args", "--set", "fit.prompts=20"]
_SMALL = [
    "--data", "prompts.jsonl", "--grader", f"{_GRADER}:letters", "--model", REAL, "--method", "iro", "--limit", "2",
    "--set", "fit.prompts=6", "--set", "fit.samples=4", "--set", "fit.layers=[9]", "--set", "iro.iterations=1",
    "--set", "iro.width=1", "--set", "iro.successors=4", "--set", "iro.chunk=4", "--set", "iro.value.epochs=1",
    "--set", "iro.value.poolings=[mean_response]", "--set", "sampler.max_new_tokens=12", "--set", "evaluate.trace=0",
]  # fmt: skip
_LIMIT = 1800.0  # seconds for the run, and for the server to begin


@dataclass
class Server:
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def memory(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def ended(self) -> str:
        """Stop it as a user does; what was wrong with how it went, empty where nothing was."""
        self.process.send_signal(signal.SIGTERM)
        code, said = self.process.wait(120), self.log.read_text(encoding="utf-8", errors="replace")
        return f"the server ended with code {code}: {said[-400:]}" if code or "Traceback" in said else ""


@contextmanager
def served(what: str, place: Path, cache: Path) -> Iterator[Server]:
    """The server of a small run of `toy` or `real`, made in `place`. Raises RuntimeError where either does not work."""
    without_drawing()
    prompts = [{"prompt": f"Question {i} about topic {i % 2}:"} for i in range(40)]
    (place / "prompts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in prompts), encoding="utf-8")
    arguments = ["run", *(_TOY if what == "toy" else _SMALL), "--workers", "1", "--out", "out"]
    done = call(arguments, place, lambda: os.environ.update(HARNESS_CACHE=str(cache)), limit=_LIMIT)
    if done.code:
        raise RuntimeError(f"{' '.join(arguments)} ended with code {done.code}: {done.text[-1000:]}")
    [run] = (place / "out" / "runs").glob("*/run.json")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "harness", "serve", str(run.parent), "--port", str(port), "--device", "cpu"]
    log = place / "server.log"
    with log.open("wb") as file:
        environment = {**os.environ, "HARNESS_CACHE": str(cache)}
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        _await(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _await(server: Server) -> None:
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server did not begin: {server.log.read_text(encoding='utf-8')[-1000:]}")
        try:
            if requests.get(f"{server.url}/health", timeout=30).status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise RuntimeError("the server did not begin in time")
