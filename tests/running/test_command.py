"""The command that a report prints asks for the run that it reports, word by word through the real parser."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from harness.cli import program
from harness.core.as_before import named_by_content
from harness.core.nested import flatten
from harness.core.yaml_text import read_yaml, written_yaml
from harness.evidence.command import made_by
from harness.evidence.record import read_record
from harness.methods import METHODS
from harness.running.command import command_of
from harness.running.config import RunConfig, resolve
from harness.running.options import options_from, read_options
from tests.test_readme import example

RUNS = Path(__file__).parents[2] / "results" / "runs"
OLD = Path(__file__).parents[1] / "evidence" / "old_runs"  # run.json of versions that knew less
STORED = sorted([*RUNS.glob("*/run.json"), *OLD.glob("*/run.json")])
TUNING = Path(__file__).parents[2] / "results" / "tuning"


def resolved(words: list[str]) -> RunConfig:
    """What a command, without the name of the program, asks for."""
    return resolve(read_options(program.parser().parse_args(words)).request)


def printed(config: RunConfig) -> list[str]:
    """The words of the command that the report of such a run prints, after `python -m harness`."""
    about = {"config": json.loads(json.dumps(config.asked())), "units": {}, "task_facts": {}, "identity": {}}
    shown = made_by(read_record(Path("run.json"), {**about, "command": command_of(config)}))
    assert shown is not None
    words = shlex.split(shown)
    assert words[:3] == ["python", "-m", "harness"]
    return words[3:]


ASKED = [
    [],
    ["--task", "toy", "--method", "all"],
    ["--task", "toy", "--method", "iro", "--only", "--limit", "7", "--seed", "3"],
    ["--task", "toy", "--method", "best_of_n"],
    ["--task", "toy", "--method", "base", "--only"],
    ["--task", "toy", "--method", "best_of_n,base,iro", "--only", "--set", "best_of_n.n=5"],
    ["--method", "iro,dpo", "--profile", "paper", "--preset", "published", "--set", "iro.chunk=3"],
    ["--preset", "published", "--set", "sampler.top_k=7", "--set", "iro.keep=rows"],
    [
        "--set",
        'model_args.system_prompt="be brief: yes"',
        "--set",
        "model_args.chat_template_kwargs.enable_thinking=false",
    ],
    ["--model", "my models/a folder; rm", "--device", "cpu", "--dtype", "bfloat16"],
    ["--set", "iro.beta=[1, 0.001, 1e-05]", "--set", "fit.layers=[2, 5]", "--set", "iro.value.learning_rate=1e-5"],
    ["--set", "iro.width=3", "--set", "width=5", "--set", "iro.successors=2"],
    ["--method", "controlled_decoding", "--set", "controlled_decoding.mode=block", "--set", "best_of_n.n=64"],
    ["--method", "controlled_decoding", "--set", "controlled_decoding.successors=12"],
    ["--method", "args,cards,weak_to_strong", "--profile", "standard", "--set", "args.weight=32"],
    ["--set", "evaluate.slice=development", "--set", "evaluate.trace=4", "--set", "evaluate.prompts=9"],
    ["--set", "batch.rows=8", "--set", "imdb.reward_reviews=100", "--set", "best_of_n.tau=0.3"],
    ["--task", "toy", "--set", "iro.value.poolings=[last]", "--set", "sampler.temperature=0.5"],
]


@pytest.mark.parametrize("arguments", ASKED, ids=lambda arguments: " ".join(arguments) or "nothing")
def test_the_printed_command_asks_the_same(arguments):
    config = resolved(["run", *arguments])
    words = printed(config)
    assert resolved(words).asked() == config.asked()
    again = printed(resolved(words))
    assert again == words, "the command of its command is itself"


def test_only_what_differs_is_named():
    assert printed(resolved(["run"])) == shlex.split("run --method iro --task imdb --profile quick --seed 0 --limit 64")
    words = printed(resolved(["run", "--preset", "published", "--set", "iro.width=4", "--set", "iro.chunk=3"]))
    assert [w for w in words if "=" in w] == ["iro.chunk=3"] and "published" in words  # the preset has width 4
    words = printed(resolved(["run", "--set", "iro.successors=9"]))
    assert [w for w in words if "=" in w] == ["iro.successors=9"]  # best_of_n.n follows


def test_settings_of_a_file_and_of_python_are_written_out(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("method: iro,args\ntask: toy\nlimit: 5\niro: {beta: [1, 2], keep: random}\nset: {args.weight: 3}\n")
    config = resolved(["run", "--config", str(path), "--set", "iro.width=3"])
    words = printed(config)
    assert resolved(words).asked() == config.asked() and "--config" not in words and "iro.keep=random" in words
    config = resolve(options_from({"task": "toy", "method": ["iro"]}, [("iro.beta", (1.0, 3.0))]).request)
    assert resolved(printed(config)).asked() == config.asked()


@pytest.mark.parametrize("chosen", sorted(TUNING.glob("*/chosen.yaml")), ids=lambda path: path.parent.name)
def test_a_tuned_run_is_made_again_without_the_file_of_the_tuning(chosen):
    config = resolved(["run", "--config", str(chosen), "--limit", "300"])
    assert config.tuned is not None
    assert resolved(printed(config)).asked() == config.asked()


def test_a_method_of_ones_own_is_named_by_where_it_is(tmp_path, monkeypatch):
    path = tmp_path / "of mine" / "longest.py"
    path.parent.mkdir()
    path.write_text(example("class Longest"), encoding="utf-8")
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr(METHODS, "_added", {})
    config = resolved(["run", "--task", "toy", "--method", "longest.py:Longest,iro", "--set", "longest.n=3"])
    monkeypatch.chdir(tmp_path)
    words = printed(config)
    assert f"{path}:Longest,iro" in words
    METHODS._added.clear()  # as another process, which has not heard of it
    assert resolved(words).asked() == config.asked()


def test_a_method_made_in_python_has_no_command(monkeypatch):
    monkeypatch.setattr(METHODS, "_held", {"made": METHODS["iro"]})
    config = resolved(["run", "--task", "toy"])
    held = RunConfig(**{**vars(config), "methods": ("made",), "settings": {**config.settings, "made": None}})
    assert command_of(held) is None
    about = {"config": {"task": "toy", "settings": {}}, "units": {}, "task_facts": {}, "identity": {}, "command": None}
    assert made_by(read_record(Path("run.json"), about)) is None


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_runs_stored_before_commands_were_are_written_out_in_full(path):
    about = json.loads(path.read_text(encoding="utf-8"))
    shown = made_by(read_record(path, about))
    assert shown is not None
    config = resolved(shlex.split(shown)[3:])
    stored = about["config"]
    for name in ("task", "model", "profile", "seed", "device", "dtype", "methods"):
        assert json.loads(json.dumps(config.asked()[name])) == stored[name]  # where a server stood is not stored
    plain = json.loads(json.dumps({section: asdict(settings) for section, settings in config.settings.items()}))
    full = dict(flatten(plain))  # with settings that came later, at what they were before
    files = {f"{section}.{name}" for section, of in config.settings.items() for name in named_by_content(type(of))}
    expected = {name: value for name, value in flatten(stored["settings"]) if name not in files}
    assert {name: full[name] for name in expected} == expected


ODD_TEXTS = ["top", "null", "1e-5", "on", "a: b #c", "", "日 本", "two\nlines", ["'", '"', "`"]]


@pytest.mark.parametrize("value", [1, 1e-05, -0.0, 3e20, True, None, [1, [None, "x, y"]], (1.0, 2.0), *ODD_TEXTS])
def test_what_is_written_as_yaml_reads_as_the_same(value):
    text = written_yaml(value)
    read = read_yaml(text, "it")
    assert read == (list(value) if isinstance(value, tuple) else value) and type(read) is not tuple
    assert "\n" not in text and yaml.safe_load(f"[{text}]") == [read]
