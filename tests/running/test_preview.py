"""`--dry-run` says what the command would do, does nothing of it, and leaves nothing behind."""

import re
from pathlib import Path

import pytest

from harness import cli
from harness.running import artifacts
from harness.running.config import resolve
from harness.running.preview import preview
from harness.running.request import Request, Workspace
from tests.planted_server import Planted, served
from tests.running.test_plan import SAID

TOY = ["--task", "toy", "--set", "fit.prompts=20", "--set", "batch.rows=16", "--workers", "1"]
RUN = ["run", *TOY, "--method", "iro,args", "--limit", "12"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unrendered")]


def files(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def dry(capsys, *command: str) -> str:
    """What the command says with --dry-run, in one line."""
    capsys.readouterr()
    assert cli.main([*command, "--dry-run"]) == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.fixture
def idle(monkeypatch):
    """Stages do nothing: whoever begins one fails."""

    def forbidden(*_):
        raise AssertionError("a stage was done")

    monkeypatch.setattr(artifacts, "run_batches", lambda job, batches, workers: forbidden() if batches else iter(()))


def test_nothing_is_done_and_nothing_is_written(place, capsys, idle):
    said = dry(capsys, *RUN)
    assert "25 stages, 0 of them in the cache." in said and "Nothing was done, and no result written" in said
    assert re.search(r"cost at most fitting [\d,]+ policy tokens and answering [\d,]+ policy tokens", said)
    assert re.search(r"time about \d+ s in 1 process: [\d,]+ tokens a second and process, 16 rows at a time", said)
    assert "without iro iteration 1: fit, iro iteration 2: fit, iro iteration 3: fit, of which no stored run" in said
    for command in (["tune", *TOY, "--limit", "8"], ["ablate", "--axis", "chunk", "--values", "1,2", *TOY]):
        assert "Nothing was done, and no result written" in dry(capsys, *command)
    assert files(place) == {}


def test_it_names_the_run_and_says_when_that_is_done(place, capsys):
    before = dry(capsys, *RUN)
    assert cli.main(RUN) == 0
    (folder,) = (place / "results" / "runs").iterdir()
    assert before.startswith(f"{folder.name} toy, toy, 12 test prompts, quick, seed 0")
    after = files(place)
    said = dry(capsys, *RUN)
    assert said.endswith("seed 0 It is done: the command would show it, and compute nothing.")
    assert f"{folder.name} toy" in dry(capsys, *RUN, "--fresh")  # computed anew, it takes all of it
    assert files(place) == after


def test_what_it_finds_in_the_cache_is_what_the_run_then_takes_from_there(place, capsys):
    assert cli.main(RUN) == 0
    given = [("fit.prompts", 20), ("batch.rows", 16)]
    longer = Request(methods=("iro", "args"), task="toy", limit=30, given=given)
    found = preview(resolve(longer), Workspace(place / "results", place / "cache", 1))
    capsys.readouterr()
    assert cli.main([*RUN[:-1], "30"]) == 0
    said = capsys.readouterr().err.splitlines()
    made = {match[3]: int(match[4]) for line in said if (match := SAID.match(line))}
    for ahead in found.stages:
        if ahead.stage.kind != "scores":  # in whose batches lie texts that are not written yet
            assert made.get(ahead.stage.label, 0) == ahead.batches - ahead.stored, ahead.stage.label
        else:
            assert (ahead.stage.label in made) != ahead.is_stored
    assert 0 < sum(ahead.is_stored for ahead in found.stages) < len(found.stages)
    assert any(0 < ahead.stored < ahead.batches for ahead in found.stages)
    assert found.work("fit").policy_tokens == 0 < found.work("generate").policy_tokens
    assert not found.untimed and found.seconds > 0


def test_how_long_fits_take_is_told_by_stored_runs_of_the_same_model(place, capsys):
    assert "of which no stored run tells" in dry(capsys, *RUN)
    assert cli.main(RUN) == 0
    said = dry(capsys, *RUN, "--seed", "1")
    assert "3 fits as in stored runs of this model" in said and "no stored run tells" not in said


def test_what_cannot_be_said_beforehand_is_named(place, capsys):
    said = dry(capsys, "run", *TOY, "--method", "cards", "--limit", "5")
    assert "not counted cards: answers" in said
    assert re.search(r"CARDS \d+ [1-9][\d,]*\+ ", said)  # it said that no token was needed


def test_the_mistakes_of_a_run_are_said_by_its_preview(place, capsys):
    assert cli.main(["run", *TOY, "--limit", "5000", "--dry-run"]) == 2
    assert "evaluate.prompts=5000, but task toy has 400 test prompts" in capsys.readouterr().err


def test_sweeps_name_the_runs_that_they_would_do(place, capsys):
    sweep = ["ablate", "--axis", "chunk", "--values", "1,2", *TOY, "--limit", "8", "--set", "iro.iterations=1"]
    before = dry(capsys, *sweep)
    search = ["tune", *TOY, "--method", "args", "--limit", "8", "--tries", "2", "--most-tries", "2"]
    first = dry(capsys, *search)
    assert cli.main(sweep) == 0
    for folder in (place / "results" / "runs").iterdir():
        assert folder.name in before
    assert dry(capsys, *sweep).count(" done 0 ") == 2
    assert cli.main(search) == 0
    (tuning,) = (place / "results" / "tuning").iterdir()
    assert sum(folder.name in first for folder in (tuning / "runs").iterdir()) == 1  # the defaults
    assert "Each method has 2, and up to 2" in first


def test_a_first_try_that_is_in_the_cache_does_not_make_the_others_cost_nothing(place, capsys):
    """It said "about 0 s to 0 s" where the first try, which alone is known, was done."""
    search = ["tune", *TOY, "--method", "args", "--limit", "8", "--tries", "2", "--most-tries", "2"]
    (minutes,) = re.findall(r"edge: about (.*?) to ", dry(capsys, *search))
    assert cli.main(["tune", *TOY, "--method", "args", "--limit", "8", "--tries", "1", "--most-tries", "1"]) == 0
    assert minutes and "how long those take is not known before" in dry(capsys, *search)


def test_judging_says_who_would_be_asked_how_often(place, capsys):
    assert cli.main(RUN) == 0
    (run,) = (folder.name for folder in (place / "results" / "runs").iterdir())
    assert "stored scores are compared, in seconds; no model is asked" in dry(capsys, "judge", run)
    with served(lambda asked, before: Planted("[[A]]")) as server:
        llm = ["judge", run, "--judge", "llm", "--model", "planted", "--endpoint", server.url, "--method", "args"]
        said = dry(capsys, *llm)
        (questions,) = re.findall(r"(\d+) questions of [\d,]+ characters for planted, 0 of them answered", said)
        assert not server.questions and not (place / "results" / "judgements").exists()
        assert cli.main(llm) == 0
        assert len(server.questions) == int(questions)
        (folder,) = (place / "results" / "judgements").iterdir()
        assert said.startswith(folder.name)
        assert dry(capsys, *llm) == f"{folder.name} It is done: the command would show it, and ask nobody."
    assert cli.main(["judge", "--import", "x.json", "--dry-run"]) == 2
    assert "takes no --dry-run" in capsys.readouterr().err
