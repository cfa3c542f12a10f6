"""References and rows of prompts reach rewards and the gold, and no method; a method sees texts alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import harness
from harness import cli
from harness.core.types import Completion, Prompt
from harness.core.withheld import Withheld
from harness.methods.iro import Iro
from harness.tasks.toy import Toy, proxy_of

pytestmark = pytest.mark.slow  # whole runs

FILE = Path(__file__)
RUN = ["run", "--task", f"{FILE}:Told", "--model", "toy", "--limit", "6", "--set", "fit.prompts=10", "--workers", "1"]


def told(prompts):
    return [replace(p, reference=f"reference of {p.id}", row={"id": p.id}) for p in prompts]


def require_told(completions):
    for c in completions:
        assert c.prompt.reference == f"reference of {c.prompt.id}" and c.prompt.row == {"id": c.prompt.id}


def told_proxy(completions):
    require_told(completions)
    return np.array([proxy_of(c.text) for c in completions])


class Told(Toy):
    """The toy, whose prompts have a reference and a row that both rewards insist on."""

    def prompts(self, part):
        return told(super().prompts(part))

    def reward(self):
        return told_proxy

    def score(self, completions):
        require_told(completions)
        return super().score(completions)


class Nosy(Iro):
    """IRO that looks for what it must not know, wherever it is handed prompts."""

    def generate(self, prompts):
        require_bare(prompts)
        return super().generate(prompts)

    def rollout(self, iteration, prompts, record):
        require_bare(prompts)
        return super().rollout(iteration, prompts, record)

    def fit(self, iteration, rollouts):
        require_bare([c.completion.prompt for c in rollouts])
        return super().fit(iteration, rollouts)


def require_bare(prompts):
    for prompt in prompts:
        assert prompt.reference is None and not prompt.row, prompt


def test_no_method_sees_a_reference_in_a_run_nor_when_it_answers_later(place):
    asked = [
        *RUN,
        "--method",
        f"{FILE}:Nosy",
        "--set",
        "nosy.iterations=2",
        "--set",
        "evaluate.trace=2",
        "--refits",
        "2",
    ]
    assert cli.main(asked) == 0
    (run,) = (place / "results" / "runs").iterdir()
    stored = harness.load_run(run)
    assert (stored.completions["reference"] == "reference of " + stored.completions["prompt_id"]).all()
    aligned = harness.load(run, "nosy")
    (prompt,) = told([Toy(Toy.Config(), None, None).prompts("test")[0]])
    (answer,) = aligned.answers([prompt], pick="reward", proxy=True)  # told_proxy would have raised
    assert answer.prompt == prompt
    assert None not in [one.proxy for one in answer.finalists]


def test_a_text_that_a_method_changed_is_scored_with_the_reference_of_its_prompt():
    seen = []
    withheld = Withheld()
    (bare,) = withheld.bare([Prompt("a", text="two and two", reference="4", row={"level": 1})])
    assert bare == Prompt("a", text="two and two")
    changed = Completion(replace(bare, text="two and two, please"), (), "four", "eos")
    withheld.scorer(lambda cs: seen.extend(c.prompt for c in cs))([changed])
    assert seen == [Prompt("a", text="two and two, please", reference="4", row={"level": 1})]


class Broken(Toy):
    """A task with a fault of its own."""

    def prompts(self, part):
        if part == "test":
            raise KeyError("column")
        return super().prompts(part)


def test_a_fault_of_a_task_is_not_taken_for_a_slice_that_it_lacks(place):
    broken = ["run", "--task", f"{FILE}:Broken", "--model", "toy", "--method", "base", "--only", "--limit", "6"]
    with pytest.raises(KeyError, match="column"):
        cli.main([*broken, "--set", "fit.prompts=10"])
