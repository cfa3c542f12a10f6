"""No number of a stage, and no meaning of a setting, changes without its version being raised."""

import json
from copy import deepcopy

import numpy as np
import pytest

from harness.tasks.toy import Toy
from tests.golden import settings, toy_stages

RENEW = "then: python -m tests.golden.renew"


@pytest.fixture(scope="module")
def stored():
    return json.loads(toy_stages.STORED.read_text(encoding="utf-8"))


def test_stored_payloads_are_those_of_the_versions_they_were_made_at(stored, tmp_path):
    made = toy_stages.made_now(tmp_path)
    changed = toy_stages.difference(stored["payloads"], made["payloads"])
    same_versions = stored["versions"] == made["versions"]
    assert not (changed and same_versions), (
        f"{changed}.\nRaise that stage's version in VERSIONS, harness/running/stages.py, or where one method, the task "
        f"or the toy alone changed, Generator.version, Task.versions or VERSION of core/models/toy.py; {RENEW}"
    )
    assert same_versions, f"versions were raised since the payloads were pinned; {RENEW}"
    assert toy_stages.STORED.stat().st_size < 200_000


def test_the_first_stage_that_changed_is_named(stored, tmp_path, monkeypatch):
    plain = Toy.reward
    monkeypatch.setattr(Toy, "reward", lambda self: lambda completions: plain(self)(completions) + np.float32(0.001))
    changed = toy_stages.difference(stored["payloads"], toy_stages.made_now(tmp_path)["payloads"])
    assert changed is not None and changed.startswith("pool / base samples of fit prompts / payloads / 0 / 0 / reward")


@pytest.mark.parametrize("by, found", [(5e-5, False), (3e-4, True)])
def test_numbers_may_differ_by_a_ten_thousandth(stored, by, found):
    other = deepcopy(stored["payloads"])
    other["generate"]["iro iteration 2: answers"]["payloads"][0][0]["finalists"][0]["score"] += by
    assert (toy_stages.difference(stored["payloads"], other) is not None) == found


@pytest.mark.parametrize(
    "path, value",
    [
        (("pool", "base samples of fit prompts", "payloads", 0, 0, "text"), "zz"),
        (("pool", "base samples of fit prompts", "payloads", 0, 0, "tokens"), [1]),
        (("pool", "base samples of fit prompts", "arrays", 0, "states", "projections", 0), 5.0),
        (("fit", "iro iteration 1: fit", "payloads", 0, "choices"), {}),
        (("trace", "iro iteration 1: search trees", "payloads", 0, 0, "kept"), None),
        (("rollouts",), {}),
    ],
)
def test_everything_else_is_compared_exactly(stored, path, value):
    other = deepcopy(stored["payloads"])
    *folders, last = path
    target = other
    for name in folders:
        target = target[name]
    assert target[last] != value
    target[last] = value
    assert toy_stages.difference(stored["payloads"], other) is not None


@pytest.fixture
def pinned():
    return json.loads(settings.STORED.read_text(encoding="utf-8"))


def test_settings_and_defaults_are_those_that_hashes_were_made_of(pinned):
    found = settings.problems(pinned, settings.today())
    assert not found, "\n".join([*found, f"(SCHEMA is in harness/running/config.py) {RENEW}"])
    assert set(pinned["sections"]) == set(settings.kinds()), f"sections came since settings were pinned; {RENEW}"
    assert pinned["schema"] == settings.SCHEMA, f"SCHEMA was raised since settings were pinned; {RENEW}"


@pytest.mark.parametrize(
    "section, name, default, says",
    [
        ("iro", "width", 5, "iro.width is 4 by default and was 5: raise SCHEMA"),
        ("iro", "value.hidden", 1, "iro.value.hidden is 128 by default and was 1: raise SCHEMA"),
        ("batch", "rows", 64.0, "batch.rows is 64 by default and was 64.0: raise SCHEMA"),
        ("fit", "fraction", 1, "fit.fraction is gone: raise SCHEMA"),
        ("iro", "chunk", None, "iro.chunk is new: write AsBefore(value) into its annotation, or raise SCHEMA"),
        ("evaluate", "trace", None, None),  # new, and left out at the value that means as before
        ("evaluate", "trace", 0, None),  # another default, and left out at both
        ("evaluate", "trace", 2, "evaluate.trace is 8 by default and was 2: raise SCHEMA"),
        ("fit", "refits", 2, "fit.refits is 1 by default and was 2: raise SCHEMA"),
    ],
)
def test_a_change_of_settings_is_named_until_the_schema_is_raised(pinned, section, name, default, says):
    """`default` is what was pinned; None: nothing, since the setting is new."""
    if default is None:
        del pinned["sections"][section][name]
    else:
        pinned["sections"][section][name] = default
    today = settings.today()
    assert settings.problems(pinned, today) == ([says] if says else [])
    assert settings.problems(pinned, {**today, "schema": today["schema"] + 1}) == []
