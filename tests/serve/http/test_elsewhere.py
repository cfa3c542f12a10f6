"""The endpoint over a model behind an API: the same texts as `harness generate`, for the same requests."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

import harness
from harness import cli
from harness.evidence.store import find_run
from harness.serve.http.models import open_models
from harness.serve.opening import fitted_folder
from tests.serve.http.conftest import Serving
from tests.served_model import Manner, Server, served_model

SAY = [{"role": "user", "content": "hello there"}]
GRADER = "def score(prompt, response):\n    return float(response.count('a'))\n"


@dataclass
class Elsewhere:
    """A run on a server, and what serves it."""

    out: Path
    asked: Server
    client: openai.OpenAI

    def generated(self, method: str, seed: int) -> str:
        run = str(find_run(self.out, "latest"))
        return str(harness.load(run, method, model=self.asked.model, out=self.out).generate([SAY], seed=seed)[0])

    def requests(self) -> int:
        return len([path for path, _ in self.asked.requests if path.endswith("completions")])


@pytest.fixture(params=[(), ("trailing",)], ids=["in one piece", "goes on"])
def elsewhere(request, tmp_path, monkeypatch) -> Iterator[Elsewhere]:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("harness.running.run.write_report", lambda *_: None)  # nobody looks at its figures
    rows = [{"messages": [{"role": "user", "content": f"say {i} please"}]} for i in range(40)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "checks.py").write_text(GRADER)
    out = tmp_path / "results"
    with served_model(Manner(texts=False, goes_on=request.param)) as server:
        run = ["run", "--data", str(tmp_path / "data.jsonl"), "--grader", f"{tmp_path / 'checks.py'}:score"]
        small = [
            "--set",
            "sampler.max_new_tokens=24",
            "--set",
            "best_of_n.n=2",
            "--set",
            "fit.prompts=3",
            "--limit",
            "3",
        ]
        assert cli.main([*run, "--method", "best_of_n", "--model", server.model, "--out", str(out), *small]) == 0
        serving = Serving(open_models(fitted_folder(find_run(out, "latest"), out), server.model, "auto"))
        with serving.client() as client:
            yield Elsewhere(out, server, client)
        serving.stop()


def test_the_base_is_that_of_harness_generate_for_one_request(elsewhere):
    """It was written in pieces of eight tokens: refused by servers that do not go on, else another text for three."""
    names = {name.split("/")[0]: name for name in (model.id for model in elsewhere.client.models.list())}
    for seed, stream in ((3, False), (4, True)):
        before = elsewhere.requests()
        said = elsewhere.client.chat.completions.create(model=names["base"], messages=SAY, seed=seed, stream=stream)
        if stream:
            text = "".join(part.choices[0].delta.content for part in said)
        else:
            text = said.choices[0].message.content
            assert 0 < said.usage.completion_tokens <= 24 and said.usage.iro["policy_tokens"] > 0
        assert elsewhere.requests() == before + 1
        assert text == elsewhere.generated("base", seed) and elsewhere.requests() == before + 1


def test_it_is_named_by_the_model_that_the_server_has(elsewhere):
    """It was base/v1_letters, after the end of the server's URL."""
    assert {model.id for model in elsewhere.client.models.list()} >= {"base/letters", "best-of-2/letters"}
