"""An answer never outlives what made it: each story here once ended with old numbers and no word about it."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from harness import cli
from harness.core.models.loading import load_policy
from harness.evidence.store import Run, load_run
from harness.methods import METHODS
from harness.running.identity import changes
from harness.tasks import TASKS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unrendered")]

MINI = '''
"""Prompts from a file beside it; the proxy counts one letter, the gold another, and both see the length."""
from pathlib import Path
import numpy as np
from pydantic.dataclasses import dataclass
from harness.core.task import Task
from harness.core.types import Message, Prompt
from counts import counted

@dataclass(frozen=True)
class Config:
    chat: bool = False

class Mini(Task):
    Config = Config
    default_model = "model"
    source = "made for a test"
    small = {"sampler": {"max_new_tokens": 6}, "fit": {"prompts": 6, "samples": 3}, "evaluate": {"prompts": 4}}
    profiles = {"quick": small}

    def __init__(self, config, policy, cache):
        self.config = config

    def prompts(self, part):
        words = (Path(__file__).parent / "words.txt").read_text().split()
        start = {"fit": 0, "development": 10, "test": 20}[part]
        made = []
        for i in range(start, start + 10):
            text = f"{words[i % len(words)]} {'abcdefghij'[i % 10]}"
            content = {"messages": (Message("user", text),)} if self.config.chat else {"text": text}
            made.append(Prompt(f"p{i:02d}", **content))
        return made

    def reward(self):
        return lambda completions: counted(completions, "a")

    def score(self, completions):
        return {"gold_reward": counted(completions, "e")}
'''
COUNTS = """
import numpy as np

def counted(completions, letter):
    return np.array([c.text.count(letter) + 0.1 * len(c.text) for c in completions], dtype=np.float32)
"""
PICKS = '''
"""The longest of several samples."""
from dataclasses import replace
from pydantic.dataclasses import dataclass
from harness.core.generator import Generator
from harness.core.search.finalists import sample_rows

@dataclass(frozen=True)
class Config:
    n: int = 4

class Picks(Generator):
    Config = Config
    source = "made for a test"

    @classmethod
    def rows_per_prompt(cls, config):
        return config.n

    def generate(self, prompts):
        answers = sample_rows(self.policy, prompts, self.config.n, self.streams, pick="first")
        return [replace(a, picks={"first": self._chosen(a)}) for a in answers]

    def _chosen(self, answer):
        lengths = [len(c.completion.text) for c in answer.finalists]
        return lengths.index(max(lengths))
'''


def class_of(path: Path, name: str) -> type:
    """A class from a file by itself, read anew as another process would; it may import what lies beside it."""
    sys.modules.pop("counts", None)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.fixture
def world(place, monkeypatch, tiny):
    """A folder with a task and a method in files of their own, and a tiny model saved as a folder."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # an edit of the same size within a second would not be seen
    monkeypatch.syspath_prepend(place)
    for name, text in {"mini.py": MINI, "counts.py": COUNTS, "picks.py": PICKS, "words.txt": "film plot cast"}.items():
        (place / name).write_text(text, encoding="utf-8")
    save_model(place / "model", tiny.tokenizer, seed=0)
    return World(place, monkeypatch)


def save_model(folder: Path, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    torch.manual_seed(seed)
    settings = LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, eos_token_id=0, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class World:
    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.monkeypatch = place, monkeypatch

    def run(self, *extra: str, method: str = "base", out: str = "results", task: str = "mini") -> Run:
        """The newest run of the command; its classes are read from their files anew."""
        self.monkeypatch.setattr(TASKS, "_held", {"mini": class_of(self.place / "mini.py", "Mini")})
        self.monkeypatch.setattr(METHODS, "_held", {"picks": class_of(self.place / "picks.py", "Picks")})
        before = self.ids(out)
        options = ["--task", task, "--method", method, "--only", "--workers", "1", "--out", out]
        if task == "mini":
            options += ["--model", str(self.place / "model")]
        assert cli.main(["run", *options, *extra]) == 0
        new = self.ids(out) - before
        assert len(new) <= 1
        self.latest = new.pop() if new else self.latest
        return load_run(self.place / out / "runs" / self.latest)

    def ids(self, out: str = "results") -> set[str]:
        return {path.parent.name for path in (self.place / out / "runs").glob("*/run.json")}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.place / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def responses(stored: Run) -> list[str]:
    return stored.completions["response"].to_list()


def golds(stored: Run) -> list[float]:
    return stored.scores.filter(stored.scores["metric"] == "gold_reward")["value"].to_list()


def computed(stored: Run, method: str) -> set[bool]:
    return set(stored.ledger.filter(stored.ledger["method"] == method)["computed"])


def test_nothing_changed_the_run_is_done_and_says_so(world, capsys):
    first = world.run(method="picks")
    again = world.run(method="picks")
    assert first.id == again.id and len(world.ids()) == 1
    assert "is done" in capsys.readouterr().err
    elsewhere = world.run(method="picks", out="elsewhere")
    assert elsewhere.id == first.id and computed(elsewhere, "picks") == {False}


def test_a_model_saved_anew_in_its_folder_is_another_model(world, capsys, tiny):
    """It said "is done" before it looked at any model, and two models shared one run id."""
    old = world.run()
    save_model(world.place / "model", tiny.tokenizer, seed=9)
    new = world.run()
    assert old.id != new.id and responses(old) != responses(new) and computed(new, "base") == {True}
    said = capsys.readouterr().err
    assert f"{old.id} was made with another model (changed: model.safetensors); computed anew as {new.id}" in said
    assert load_run(old.folder).completions.equals(old.completions)  # and stays
    save_model(world.place / "model", tiny.tokenizer, seed=0)
    assert world.run().id == new.id and "is done" in capsys.readouterr().err  # `latest`: nothing new was made
    assert world.ids() == {old.id, new.id}


def test_what_a_model_is_given_is_part_of_the_run_and_of_its_name(world, capsys):
    plain = world.run("--set", "mini.chat=true")
    assert "model_args" not in plain.record.config.settings  # ids of before there were any stay
    given = ["--set", "model_args.system_prompt=be brief", "--set", "model_args.chat_template_kwargs.style=bare"]
    other = world.run("--set", "mini.chat=true", *given)
    assert other.id != plain.id and responses(other) != responses(plain) and computed(other, "base") == {True}
    assert other.record.model_name.endswith("(chat_template_kwargs.style=bare, system_prompt=be brief)")
    assert other.record.settings_from == plain.record.settings_from == "chosen by hand"  # mini.chat
    world.run("--set", "model_args.attn_implementation=eager")
    assert world.run("--set", "model_args.attn_implementation=eager").id != world.run().id
    capsys.readouterr()


@pytest.mark.parametrize(
    "given, says",
    [
        ("model_args.tp_plan=auto", "model_args.device_map=auto"),
        ("model_args.revision=v2", "only hub models have revisions"),
        ("model_args.revison=v2", "'model_args.revision'"),
        ("model_args.attn_implementation=quick", "setting model_args.attn_implementation = 'quick'"),
        ("model_args.system_prompt.style=x", "has no parts"),
    ],
)
def test_what_a_model_cannot_be_given_is_one_error(world, capsys, given, says):
    options = ["--task", "mini", "--method", "base", "--only", "--model", str(world.place / "model")]
    world.run()
    assert cli.main(["run", *options, "--set", given]) == 2
    assert says in capsys.readouterr().err


def test_the_toy_takes_no_arguments(place, capsys):
    assert cli.main(["run", "--task", "toy", "--set", "model_args.system_prompt=hi"]) == 2
    assert "the toy takes none" in capsys.readouterr().err


def test_an_edited_chat_template_makes_new_answers(world, capsys):
    chat = ["--set", "mini.chat=true"]
    old = world.run(*chat)
    world.edit("model/chat_template.jinja", "{{ m.role }}", "{{ m.role }}ly")
    new = world.run(*chat)
    assert old.id != new.id and responses(old) != responses(new) and computed(new, "base") == {True}
    assert "another model (changed: chat_template.jinja); other prompts (" in capsys.readouterr().err


def test_another_day_in_a_chat_template_makes_new_answers(world, capsys, monkeypatch):
    """Templates of some models name the date; nothing in the model's folder changes from one day to the next."""
    world.edit("model/chat_template.jinja", "{{ m.role }}", "{{ strftime_now('%A') }}")
    chat = ["--set", "mini.chat=true"]

    class Clock:
        day = "monday"

        @classmethod
        def now(cls):
            return cls

        @classmethod
        def strftime(cls, format):
            return cls.day

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    old = world.run(*chat)
    assert world.run(*chat).id == old.id
    Clock.day = "tuesday"
    new = world.run(*chat)
    assert old.id != new.id and responses(old) != responses(new) and computed(new, "base") == {True}
    assert "was made with other prompts (changed: fit, test); computed anew" in capsys.readouterr().err


def test_a_clock_that_ticks_during_a_run_is_read_once(world, monkeypatch):
    """Else the key of a batch would name other tokens than those that were read."""
    ticks = iter(range(10**6))

    class Clock:
        @classmethod
        def now(cls):
            return cls

        @classmethod
        def strftime(cls, format):
            return "x" * (next(ticks) % 7)

    world.edit("model/chat_template.jinja", "{{ m.role }}", "{{ strftime_now('%A') }}")
    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    policy = load_policy(str(world.place / "model"), "cpu", "float32", world.place / "cache")
    mini = class_of(world.place / "mini.py", "Mini")
    prompts = mini(mini.Config(chat=True), policy, world.place).prompts("test")
    assert [policy.encode(p) for p in prompts] == [policy.encode(p) for p in prompts]


def test_other_texts_under_the_same_prompt_ids_are_other_prompts(world, capsys):
    old = world.run()
    (world.place / "words.txt").write_text("actors story end", encoding="utf-8")
    new = world.run()
    assert set(old.completions["prompt_id"]) == set(new.completions["prompt_id"])
    assert old.id != new.id and responses(old) != responses(new) and computed(new, "base") == {True}
    assert "was made with other prompts (changed: fit, test)" in capsys.readouterr().err


def test_a_method_edited_from_max_to_min_answers_anew(world, capsys):
    old = world.run(method="picks")
    world.edit("picks.py", "lengths.index(max(lengths))", "lengths.index(min(lengths))")
    new = world.run(method="picks")
    lengths = [[len(text) for text in responses(stored)] for stored in (old, new)]
    assert old.id != new.id and sum(lengths[0]) > sum(lengths[1]) and computed(new, "picks") == {True}
    assert computed(new, "harness") == {False}  # the base samples are not the method's
    assert "was made with other code of methods (changed: picks/picks.py)" in capsys.readouterr().err


def test_a_grader_edited_in_a_file_that_the_task_imports_scores_anew(world, capsys):
    old = world.run()
    world.edit("counts.py", "0.1 * len", "0.2 * len")
    new = world.run()
    assert old.id != new.id and responses(old) == responses(new) and golds(old) != golds(new)
    assert "was made with other code of the task (changed: counts.py)" in capsys.readouterr().err


def test_an_edited_task_whose_prompts_stay_scores_anew(world):
    old = world.run()
    world.edit("mini.py", '"gold_reward": counted', '"gold_reward": -counted')
    new = world.run()
    assert old.id != new.id and golds(new) == [-gold for gold in golds(old)]


def test_code_without_a_file_is_never_taken_from_the_cache(world, capsys):
    """A class typed into a notebook has no source that could be compared later."""
    first = world.run(method="picks")
    scope: dict[str, object] = {"__name__": "typed"}
    exec(PICKS, scope)
    sys.modules.pop("typed", None)
    world.monkeypatch.setattr(METHODS, "_held", {"picks": scope["Picks"]})
    options = ["--method", "picks", "--only", "--workers", "1", "--model", str(world.place / "model"), "--out", "typed"]
    assert cli.main(["run", "--task", "mini", *options]) == 0
    (name,) = world.ids("typed")
    typed = load_run(world.place / "typed" / "runs" / name)
    answers = typed.ledger.filter(typed.ledger["method"] == "picks", typed.ledger["phase"] == "generate")
    assert typed.id != first.id and set(answers["computed"]) == {True}
    assert capsys.readouterr().err.count("the source of Picks cannot be read") == 1


def test_a_raised_version_of_a_shipped_method_answers_anew(world, capsys):
    old = world.run(method="best_of_n,iro", task="toy")
    world.monkeypatch.setattr(METHODS["best_of_n"], "version", 2)
    new = world.run(method="best_of_n,iro", task="toy")
    assert old.id != new.id and computed(new, "best_of_n") == {True, False}  # answers are new, their scores are not
    assert computed(new, "iro") == {False}
    assert "was made with other code of methods (best_of_n/version 1 -> 2)" in capsys.readouterr().err


def test_another_version_of_the_engine_computes_anew(world, capsys):
    old = world.run(task="toy")
    world.monkeypatch.setattr("harness.core.models.toy.VERSION", "2")
    new = world.run(task="toy")
    assert old.id != new.id and computed(new, "base") == {True}
    assert "was made with another engine (toy 1 -> 2)" in capsys.readouterr().err


def test_a_run_that_recorded_no_identity_is_named_and_never_believed(world, capsys):
    old = world.run(task="toy")
    about = json.loads((old.folder / "run.json").read_text(encoding="utf-8"))
    del about["identity"], about["sha256"]
    stored = old.folder.with_name("toy-0123456789")
    old.folder.rename(stored)
    (stored / "run.json").write_text(json.dumps(about), encoding="utf-8")
    new = world.run(task="toy")
    assert new.id == old.id
    said = capsys.readouterr().err
    assert f"toy-0123456789 is of a version that recorded no identity; computed anew as {new.id}" in said
    assert cli.main(["report", "toy-0123"]) == 0


def test_a_folder_renamed_to_the_id_of_another_run_is_refused(world, capsys):
    one, two = world.run(task="toy"), world.run("--seed", "1", task="toy")
    shutil.rmtree(one.folder)
    two.folder.rename(one.folder)
    assert cli.main(["run", "--task", "toy", "--method", "base", "--only"]) == 2
    assert "holds another run than its name says" in capsys.readouterr().err


def test_what_changed_is_said_by_part_and_name():
    stored = {
        "model": {"fingerprint": "a" * 16, "revision": "0" * 40, "vocab.txt": "b" * 64},
        "engine": {"torch": "2.12.0"},
        "stages": {"fit": 2},
        "schema": 1,
    }
    now = {
        "model": {"fingerprint": "c" * 16, "revision": "0" * 40, "merges.txt": "b" * 64},
        "engine": {"torch": "2.13.0"},
        "stages": {"fit": 3},
        "schema": 2,
    }
    assert changes(stored, stored) == []
    assert changes(stored, now) == [
        "another model (added: merges.txt; gone: vocab.txt)",
        "another engine (torch 2.12.0 -> 2.13.0)",
        "other versions of stages (fit 2 -> 3)",
        "other meanings of settings (schema 1 -> 2)",
    ]
