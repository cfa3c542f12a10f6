"""The endpoint over a model behind an API: the same texts as `harness generate`, for the same requests."""

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openai
import pytest

import harness
from harness import cli
from harness.core import files
from harness.core.errors import NotAnswering
from harness.core.graders.grade import Grade
from harness.core.graders.scorer import Scorer
from harness.core.types import Message, Prompt
from harness.evidence.store import find_run
from harness.serve import aligned
from harness.serve.http.metrics import Metrics
from harness.serve.http.models import Models, open_models
from harness.serve.http.writer import Failed, Piece, Wanted, Writer, Written
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
    models: Models

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
        models = open_models(fitted_folder(find_run(out, "latest"), out), server.model, "auto")
        serving = Serving(models)
        with serving.client() as client:
            yield Elsewhere(out, server, client, models)
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


def status_of(elsewhere: Elsewhere, model: str, seed: int) -> tuple[int, str]:
    try:
        elsewhere.client.chat.completions.create(model=model, messages=SAY, seed=seed)
    except openai.APIStatusError as error:
        return error.status_code, str(error.body["code"])
    return 200, ""


@pytest.mark.parametrize(
    "planted,answer",
    [(401, (502, "upstream_failed")), (400, (400, "upstream_refused")), (503, (503, "upstream_failed"))],
)
def test_a_server_behind_that_fails_is_no_fault_of_the_request(elsewhere, monkeypatch, planted, answer):
    """All were status 400, which no client asks again, with what to do for who had begun a command."""
    client = elsewhere.models.main.aligned.policy._client
    monkeypatch.setattr(client, "patience", replace(client.patience, tries=2, wait=0.01))
    best = next(name for name in elsewhere.models.names if name.startswith("best-of"))
    usual = elsewhere.asked.manner
    for seed, model in enumerate((best, elsewhere.models.names[0]), 50):
        elsewhere.asked.manner = replace(usual, fails=lambda *_: planted)
        assert status_of(elsewhere, model, seed) == answer
        elsewhere.asked.manner = usual
        assert status_of(elsewhere, model, seed) == (200, "")


def test_a_request_that_the_server_behind_refuses_takes_no_other_with_it(elsewhere):
    """Of a batch all were refused, where one was too long for a context that only the server knows."""
    elsewhere.asked.manner = replace(elsewhere.asked.manner, context=400)
    served = next(one for name, one in elsewhere.models.served.items() if name.startswith("best-of"))
    told: dict[str, list[object]] = {name: [] for name in ("short", "long", "other")}
    writer = Writer(256, Metrics())
    said = {"short": "hello there", "long": "hello " * 100, "other": "hello you"}
    wanted = [
        Wanted(served, Prompt(name, messages=(Message("user", text),)), served.aligned.sampler, None, 7)
        for name, text in said.items()
    ]
    writer.ask(wanted, [told[name].append for name in said])
    writer.stop()
    ends = {name: [type(one) for one in events if not isinstance(one, Piece)] for name, events in told.items()}
    assert ends == {"short": [Written], "long": [Failed], "other": [Written]}
    assert "the context holds 400" in told["long"][-1].error.reason


def test_answers_that_no_disk_takes_are_told_so_and_the_server_goes_on(elsewhere, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(files, "_beside", no_space)
        assert status_of(elsewhere, elsewhere.models.names[0], 60) == (507, "unwritable")
    assert "No space left on device" in caplog.text and "Traceback" not in caplog.text
    assert status_of(elsewhere, elsewhere.models.names[0], 60) == (200, "")


def no_space(path: Path) -> Path:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.mark.parametrize("failing,status", [("hello there", 502), ("", 200)])
def test_a_grader_that_scores_nothing_picks_nothing(elsewhere, monkeypatch, capsys, failing, status):
    """The first sample was given as the best of n."""
    real = aligned.reward_of

    def failing_at(about, policy):
        scorer = real(about, policy)

        def scores(completions):
            fails = [failing == completion.prompt.messages[0].content for completion in completions]
            return np.where(fails, np.nan, scorer(completions))

        return scores

    monkeypatch.setattr(aligned, "reward_of", failing_at)
    best = next(name for name in elsewhere.models.names if name.startswith("best-of"))
    assert status_of(elsewhere, best, 70)[0] == status
    run = str(find_run(elsewhere.out, "latest"))
    loaded = harness.load(run, "best_of_n", model=elsewhere.asked.model, out=elsewhere.out)
    other = [{"role": "user", "content": "hello you"}]
    found = loaded.answers([SAY, other], seed=70)
    assert [answer.unscored for answer in found] == [status == 502, False]
    assert ("1 of 2 answers are the first samples, which nobody picked" in capsys.readouterr().err) == (status == 502)
    if status == 502:
        with pytest.raises(NotAnswering, match="gives none of the candidates for the prompt"):
            loaded.generate([SAY], seed=70)


class Flaky:
    """A grader whose model is down at first."""

    name, down = "flaky", True

    def grade(self, items):
        return [Grade.failed("other_error", "it is down") if self.down else Grade(1.0) for _ in items]


def test_a_grader_that_was_down_is_asked_again(elsewhere, monkeypatch):
    """An answer that it could not score was without a score for as long as the server ran."""
    grader = Flaky()
    monkeypatch.setattr(aligned, "reward_of", lambda *_: Scorer(grader))
    best = next(name for name in elsewhere.models.names if name.startswith("best-of"))
    assert status_of(elsewhere, best, 80) == (502, "upstream_failed")
    grader.down = False
    assert status_of(elsewhere, best, 80) == (200, "")
