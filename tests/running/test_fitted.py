"""What a run leaves for later prompts, on the toy."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from harness import cli
from harness.core.errors import UserError
from harness.core.json_file import write_json
from harness.core.types import Prompt
from harness.evidence.store import read_json
from harness.running.finished import holds, problems_of_run
from harness.running.fitted import read_about_fitted, read_fitted, write_about_fitted
from tests.conftest import TINY_SAMPLER, tiny_prompts
from tests.methods.test_contract import World

pytestmark = pytest.mark.slow  # whole runs

RUN = ["run", "--task", "toy", "--method", "iro,args", "--limit", "4", "--set", "fit.prompts=20", "--workers", "1"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    """The folder that a finished run left."""
    place = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        assert cli.main([*RUN, "--set", "iro.iterations=2", "--out", str(place / "results")]) == 0
    (run,) = (place / "results" / "runs").iterdir()
    return run / "fitted"


def test_every_iteration_has_what_was_fitted_and_nothing_is_pickled(fitted):
    files = {path.relative_to(fitted).as_posix() for path in fitted.rglob("*") if path.is_file()}
    one = {"value-1/head.safetensors", "value-1/value.json"}
    two = one | {"value-2/head.safetensors", "value-2/value.json"}
    listed = {"about.json", "manifest.json"}
    assert files == listed | {f"iro/1/{name}" for name in one} | {f"iro/2/{name}" for name in two}
    for name in ("base/0", "best_of_n/0", "args/0"):
        assert (fitted / name).is_dir() and not list((fitted / name).iterdir())
    for path in fitted.rglob("*.safetensors"):
        with safe_open(path, "numpy") as file:
            assert "linear.weight" in file.keys()  # noqa: SIM118  # it is no mapping


def test_about_json_has_what_it_takes_to_answer(fitted):
    about = read_fitted(fitted)
    assert about.run == fitted.parent.name and about.dtype == "float32"
    run = json.loads((fitted.parent / "run.json").read_text(encoding="utf-8"))
    assert about.asked == run["config"] and about.fingerprint == run["model_fingerprint"]
    assert about.proxy == run["units"]["proxy_reward"]
    assert about.methods["iro"].iterations == [1, 2] and about.methods["args"].iterations == [0]
    calls = {name: of.reward_calls for name, of in about.methods.items()}
    assert calls["base"] == {"first": 0.0} and 3 < calls["best_of_n"]["reward"] <= 4  # each text once
    assert calls["iro"]["value"] == calls["iro"]["first"] == 0 and calls["iro"]["reward"] > 1
    assert calls["args"]["first"] > 1


@pytest.mark.parametrize(
    "change, says",
    [
        ({"format": 2}, r"about.json has format 2; this version, .*, reads 1"),
        ({"proxy": None}, r"about.json: proxy: input should be a valid dict"),
        ({"methods": {"iro": {"iterations": []}}}, r"about.json: methods.iro"),
    ],
)
def test_another_file_is_named(fitted, tmp_path, change, says):
    write_json(tmp_path / "about.json", read_json(fitted / "about.json") | change)
    with pytest.raises(UserError, match=says):
        read_fitted(tmp_path)


def test_what_another_run_fitted_does_not_answer_for_this_one(fitted, tmp_path):
    """Git leaves fitted/ out, so that people copy it; that of another run proves itself, and answered."""
    run = tmp_path / "renamed"  # a run may be called otherwise
    shutil.copytree(fitted.parent, run)
    assert read_fitted(run / "fitted").run == fitted.parent.name and holds(run)
    other = replace(read_fitted(run / "fitted"), run="toy-0123456789")
    write_about_fitted(run / "fitted", other)
    with pytest.raises(UserError, match=r"fitted/ is of toy-0123456789, and the tables beside it of toy-"):
        read_fitted(run / "fitted")
    assert not holds(run) and problems_of_run(run)  # so that the same command makes it again
    shutil.copytree(run / "fitted", tmp_path / "alone")
    assert read_fitted(tmp_path / "alone").run == "toy-0123456789"


def test_git_ignores_what_was_fitted():
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text(encoding="utf-8").split()
    assert "results/runs/*/fitted/" in ignored


def test_trained_weights_are_safetensors_too(tiny, tmp_path):
    fit_prompts = [Prompt(f"f{i}", text=f"{'abcdefghijkl'[i]} day") for i in range(6)]
    World(tiny, TINY_SAMPLER, tiny_prompts(), fit_prompts, (2, 3)).fit("dpo").save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".safetensors", ".json", ".md"}
    assert (tmp_path / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    "odd, where",
    [({"asked": {}}, "asked.task"), ({"asked": {"settings": 3}}, "asked"), ({"proxy": {}}, "proxy.mean")],
)
def test_an_about_that_lacks_what_answers_need_is_one_error(tmp_path, odd, where):
    """Edited by hand, it ended in a traceback of whoever answered from it."""
    about = {"format": 1, "version": "0", "commit": "c", "run": "r", "dtype": "auto", "fingerprint": "f", "task": None,
             "asked": {"task": "toy", "model": "toy", "profile": "quick", "seed": 0, "settings": {}},
             "proxy": {"mean": 0.0, "sd": 1.0}, "reward": None, "reward_source": None, "facts": {},
             "methods": {"iro": {"reference": None, "iterations": [1], "reward_calls": {}}}}  # fmt: skip
    (tmp_path / "about.json").write_text(json.dumps(about))
    assert read_about_fitted(tmp_path).run == "r"
    (tmp_path / "about.json").write_text(json.dumps({**about, **odd}))
    with pytest.raises(UserError, match=where):
        read_about_fitted(tmp_path)
