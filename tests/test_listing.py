"""What `list` shows: a line for each method and task, every setting of one, and nothing wider than the terminal."""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from pydantic import Field
from rich.console import Console

from harness import cli
from harness.cli import tables
from harness.listing import described, shared
from harness.methods import METHODS
from harness.running.config import SECTIONS, names_of
from harness.running.setting import Setting, range_of, settings_in
from harness.tasks import TASKS


def test_the_short_list_has_every_method_and_task_with_source_and_needs(capsys):
    assert cli.main(["list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert {*METHODS, *TASKS} <= set(lines)
    assert "Reweight-then-Optimize" in lines["iro"] and lines["iro"].split()[-3:] == ["arXiv", "2506.17828", "states"]
    assert lines["cards"].endswith("take back, token level")
    assert "IMDB reviews" in lines["imdb"] and "smollm2-135m-instruct" in lines["imdb"]


@pytest.mark.parametrize("name", [*METHODS, *TASKS])
def test_every_setting_of_one_is_listed_with_its_range(name):
    config = METHODS[name].Config if name in METHODS else TASKS[name].Config
    listed = [setting.name.partition(".")[0] for setting in described(name).settings]
    assert list(dict.fromkeys(listed)) == names_of(config)
    assert all(setting.range and setting.default for setting in described(name).settings)


def test_the_settings_of_the_harness_are_those_of_its_sections():
    assert {one.section: [s.name for s in one.settings] for one in shared()} == {
        name: names_of(kind) for name, kind in SECTIONS.items()
    }


@dataclass(frozen=True)
class Part:
    low: Annotated[float, Field(gt=0, lt=1, description="a share (harness)")] = 0.5


@dataclass(frozen=True)
class Section:
    count: Annotated[int, Field(ge=1, le=9, description="rows; odd is better (paper: 3)")]
    kind: Annotated[Literal["a", "b"], Field(description="one, as exp(S)")] = "a"
    several: tuple[int, ...] = (1, 2)
    part: Part = Part()


def test_a_setting_in_words():
    assert settings_in(Section) == [
        Setting("count", "required", "integer >= 1, <= 9", "rows; odd is better", "paper: 3"),
        Setting("kind", "a", "a | b", "one, as exp(S)", ""),
        Setting("several", "[1, 2]", "list of: integer", "", ""),
        Setting("part.low", "0.5", "number > 0, < 1", "a share", "harness"),
    ]
    assert (range_of(str), range_of(bool), range_of(int | None)) == ("text", "true or false", "integer or null")


TASK = """
from harness.core.task import Task


class Shout(Task):
    source = "an example"

    def reward(self):
        return len

    def score(self, completions):
        return {}
"""


def test_one_of_your_own_is_a_method_or_a_task_by_its_class(place, capsys):
    (place / "shout.py").write_text(f'"""Shouts."""\n{TASK}')
    assert cli.main(["list", "shout.py:Shout"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("shout (task): Shouts.\nsource: an example\n") and "No settings." in said


@pytest.mark.parametrize(
    "name, says",
    [
        ("irp", "unknown method or task 'irp'. Did you mean 'iro'?"),
        ("setings", "Did you mean 'settings'?"),
        ("nowhere.py:Longest", "there is no file"),
        ("harness.core.types:Prompt", "extends no Generator"),
    ],
)
def test_what_is_neither_is_answered_with_the_nearest(place, capsys, name, says):
    assert cli.main(["list", name]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("words", [["list"], ["list", "iro", "imdb", "settings", "axes", "presets"], ["runs"], []])
def test_nothing_is_wider_than_the_terminal(capsys, monkeypatch, columns, words):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(tables, "Console", lambda **named: Console(width=columns, force_terminal=False, **named))
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert said and max(map(len, said.splitlines())) <= columns
