"""Methods that fit values fit them on answers that end at stop strings, and write such answers."""

from dataclasses import replace

import pytest

from harness.core.ledger import Ledger
from harness.core.models.handle import PolicyHandle
from harness.core.models.stopping import StopStrings
from harness.core.reward import RewardHandle, Scale
from harness.core.search.finalists import sample_rows
from harness.core.streams import Streams
from harness.methods import METHODS
from tests.conftest import TOY_SAMPLER, toy_prompts
from tests.methods.test_contract import letters

STOP = ("b", "ca")


def fitted(toy, name, stop=STOP, **settings):
    ledger = Ledger()
    handle = PolicyHandle(toy, replace(TOY_SAMPLER, stop=stop), ledger)
    reward = RewardHandle(letters, ledger, Scale(0.0, 1.0))
    method = METHODS[name](METHODS[name].Config(**settings), handle, reward, Streams(0))
    with ledger.phase("fit"):
        for iteration in range(1, method.iterations + 1):
            answers = sample_rows(handle, toy_prompts(30), 4, method.streams, "first", reward, (1,))
            data = [c for a in answers for c in a.finalists]
            method.fit(iteration, data if iteration == 1 else method.rollout(iteration, toy_prompts(30), (1,)))
    return method, ledger


def answered(method, ledger):
    with ledger.phase("generate"):
        return method.generate(toy_prompts(12))


@pytest.mark.parametrize(
    "name, settings",
    [
        ("iro", {"width": 2, "successors": 2, "chunk": 2, "iterations": 2}),
        ("iro", {"width": 2, "successors": 2, "chunk": 1, "iterations": 2, "select": "resample", "keep": "reweight"}),
        ("controlled_decoding", {"mode": "token"}),
        ("controlled_decoding", {"mode": "token", "objective": "q"}),
        ("controlled_decoding", {"mode": "block", "successors": 3, "chunk": 2}),
        ("args", {"weight": 0.0, "choice": "stochastic"}),
        ("cards", {"target": 1.0, "shortest": 1, "longest": 2, "attempts": 3, "entropy": 0.5}),
    ],
)
def test_no_answer_holds_a_stop_string(toy, name, settings):
    ends, said = StopStrings(STOP), 0
    for answer in answered(*fitted(toy, name, **settings)):
        for candidate in answer.finalists:
            completion = candidate.completion
            assert ends.cut(completion.text) is None and completion.stop is not None
            whole = toy.text(completion.tokens)
            assert completion.text == (whole if ends.cut(whole) is None else ends.cut(whole))
            said += completion.stop == "string"
    assert said, "a test in which nothing is said shows nothing"


def test_token_by_token_without_strength_is_the_base_with_its_ends(toy):
    method, ledger = fitted(toy, "controlled_decoding", strength=0.0)
    base, of_base = fitted(toy, "base")
    got, expected = answered(method, ledger), answered(base, of_base)
    assert [a.pick("first") for a in got] == [a.pick("first") for a in expected]
    assert any(a.pick("first").stop == "string" for a in got)
