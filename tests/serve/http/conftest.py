"""A server of a toy run in this process, and openai's own client to ask it."""

import threading
import time
from pathlib import Path

import openai
import pytest
import uvicorn

from harness import cli
from harness.evidence.store import find_run
from harness.serve.aligned import fitted_folder
from harness.serve.http.app import make_app
from harness.serve.http.asked import Limits
from harness.serve.http.models import Models, open_models
from harness.serve.http.server import _listen

RUN = ["run", "--task", "toy", "--limit", "6", "--set", "fit.prompts=20", "--workers", "1", "--method", "iro,args"]


@pytest.fixture(scope="package")
def results(tmp_path_factory) -> Path:
    """OUT with a toy run of IRO, ARGS and the references."""
    place = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        patch.setattr("harness.running.run.write_report", lambda *_: None)  # nobody looks at its figures
        assert cli.main([*RUN, "--out", str(place / "results")]) == 0
    return place / "results"


@pytest.fixture(scope="package")
def models(results) -> Models:
    return open_models(fitted_folder(find_run(results, "toy"), results), None, "cpu")


class Serving:
    """A server on a port of its own."""

    def __init__(self, models: Models, token: str | None = None, limits: Limits | None = None) -> None:
        self.socket = _listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.app = make_app(models, token, limits or Limits())
        self.server = uvicorn.Server(uvicorn.Config(self.app, log_level="error", access_log=False))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def client(self, key: str = "none") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()


@pytest.fixture(scope="package")
def serving(models):
    made = Serving(models)
    yield made
    made.stop()


@pytest.fixture
def client(serving) -> openai.OpenAI:
    with serving.client() as made:
        yield made
