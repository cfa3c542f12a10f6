"""What the project promises by construction: work is metered, raw models stay out of methods, the gold out of reach."""

import gc
import re
import types

import numpy as np
import pytest

from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.policy import Policy
from harness.core.reward import RewardHandle, Scale
from harness.core.streams import Streams
from harness.core.task import GOLD, Task
from harness.methods import METHODS
from harness.tasks import TASKS
from harness.tasks.imdb import Imdb
from tests.conftest import TOY_SAMPLER, toy_prompts
from tests.test_layers import MODELS, SOURCES, imported

# every module that may touch a raw policy: the engine itself, and what makes one for a run
RAW = {"policy", "token_policy", "transformers_policy", "toy", "loading", "served.policy"}
MAY_TOUCH_RAW_POLICIES = {
    "harness.running.material",  # loads it, and hands it to the stages
    "harness.running.stages",  # wraps it in a handle; sizes batches
    "harness.running.identity",  # its fingerprint, files and engine, which name the run
    "harness.running.provenance",  # its name and fingerprint, for run.json
    "harness.running.rescore",  # cuts prompts as a model of a server does, without asking it
    "harness.listing",  # asks a model what it gives
    "harness.running.speed",  # measures the engine itself
    "harness.running.imported",  # reads another system's answers by it, behind a handle
    "harness.cli.bench",  # loads it
    "harness.running.fitted",  # the name of the embedded model
    "harness.serve.http.asked",  # only whether it is the toy, which has no chat template
    "harness.serve.http.page",  # likewise: what to ask it for
    "harness.serve.aligned",  # wraps it in a handle, and sizes batches
    "harness.serve.reward_of",  # hands it to a task, whose prompts it cuts
}


def test_every_module_that_may_touch_a_raw_policy_is_named():
    raw = {f"{MODELS}.{name}" for name in RAW}
    touching = {
        module
        for module, path in SOURCES.items()
        if not module.startswith(f"{MODELS}.") and raw & imported(path.read_text(encoding="utf-8"))
    }
    assert touching <= MAY_TOUCH_RAW_POLICIES, touching - MAY_TOUCH_RAW_POLICIES


def test_nobody_takes_out_what_a_handle_wraps():
    for module, path in SOURCES.items():
        assert not re.search(r"\._(PolicyHandle|RewardHandle|Decoding|MeteredScorer)__", path.read_text()), module


HELD = ("policy", "ledger", "scorer", "_policy", "_ledger", "_scorer")


def test_handles_and_rows_show_nothing_that_works_unmetered(toy, toy_handle, ledger):
    reward = RewardHandle(lambda cs: np.zeros(len(cs)), ledger, Scale(0.0, 1.0))
    for thing in (toy_handle, toy_handle.decode(toy_prompts(2), 2, Streams(0)), reward):
        assert not set(HELD) & set(vars(thing)), vars(thing).keys()


@pytest.mark.parametrize("verb", ["logprobs", "guide_logprobs", "guide_scorer", "decode", "decode_tokens"])
def test_whatever_makes_the_model_work_is_booked(toy, verb):
    made = Ledger()
    handle = PolicyHandle(toy, TOY_SAMPLER, made)
    with made.phase("generate"):
        rows = handle.decode(toy_prompts(3), 2, Streams(0))
        rows.extend(4)
        made.drain()
        match verb:
            case "logprobs" | "guide_logprobs":
                getattr(handle, verb)(rows.completions())
            case "guide_scorer":
                handle.guide_scorer([handle.encode(p) for p in toy_prompts(3)])
            case _:
                getattr(handle, verb)(toy_prompts(3), 2, Streams(0))
    (row,) = made.drain()
    assert row["prefill_tokens"] >= 3


def reachable(start: object) -> list[object]:
    """All objects that can be reached from one through attributes, containers and closures, modules left out."""
    seen: dict[int, object] = {}
    todo = [start]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, types.ModuleType | type):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, types.FunctionType):  # not its module's globals: they are where classes are defined
            todo += [thing.__closure__, thing.__defaults__, thing.__kwdefaults__]
        else:
            todo += gc.get_referents(thing)
    return list(seen.values())


def made(name: str, policy: Policy, task: Task):
    """A method as the harness makes it for a run of the task."""
    ledger = Ledger()
    reward = RewardHandle(task.reward(), ledger, Scale(0.0, 1.0))
    handle = PolicyHandle(policy, TOY_SAMPLER, ledger)
    return METHODS[name](METHODS[name].Config(), handle, reward, Streams(0))


class Gold:
    """Stands for a gold scorer."""


def imdb_without_its_data() -> Imdb:
    task = Imdb.__new__(Imdb)
    task._proxy, task._gold = (lambda texts: np.zeros(len(texts), dtype=np.float32)), Gold()
    return task


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("of", ["imdb", "toy", "ifeval", "summaries"])
def test_a_method_cannot_reach_the_gold(toy, name, of, tmp_path):
    task = imdb_without_its_data() if of == "imdb" else TASKS[of](TASKS[of].Config(), toy, tmp_path)
    found = reachable(made(name, toy, task))
    assert not [thing for thing in found if isinstance(thing, Task | Gold)]
    assert any(isinstance(thing, Policy) for thing in found)  # the walk goes as deep as a handle can be opened


class Leaking(Task):
    """A task whose reward is one of its own methods, and so holds the gold."""

    def examples(self):
        return toy_prompts(10)

    def reward(self):
        return self.count

    def count(self, completions):
        return np.array([len(c.text) for c in completions])

    def score(self, completions):
        return {GOLD: self.count(completions)}


def test_the_walk_finds_a_gold_that_leaks(toy, tmp_path):
    task = Leaking(Leaking.Config(), toy, tmp_path)
    assert [thing for thing in reachable(made("base", toy, task)) if isinstance(thing, Task)] == [task]


def test_the_shortest_task_has_slices_profiles_and_facts(toy, tmp_path):
    task = Leaking(Leaking.Config(), toy, tmp_path)
    parts = {part: [p.id for p in task.prompts(part)] for part in ("fit", "development", "test")}
    assert sorted(i for ids in parts.values() for i in ids) == [p.id for p in toy_prompts(10)]
    assert task.describe() == {"slices": {part: len(ids) for part, ids in parts.items()}}
    assert {"quick", "standard"} <= set(task.profiles)
