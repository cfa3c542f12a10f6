"""A real server for slow tests: llama.cpp's, with the embedded SmolLM2, on one thread of a process of its own.

with llama_server(tmp_path) as url: ...         # skips the test where xllamacpp is not installed
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest

_SERVER = Path(__file__).parents[1] / "tasks" / "examples" / "llama_server.py"


@contextmanager
def llama_server(folder: Path, parallel: int = 2) -> Iterator[str]:
    """Its URL up to /v1."""
    pytest.importorskip("xllamacpp")
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Path(folder, "server.log").open("w") as log:
        command = [sys.executable, str(_SERVER), "--port", str(port), "--parallel", str(parallel)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            deadline = time.monotonic() + 600
            while "ready" not in (said := Path(log.name).read_text()):
                assert process.poll() is None and time.monotonic() < deadline, said[-2000:]
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
