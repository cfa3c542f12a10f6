"""Names of runs: files of their own, one run each, accepted wherever a run is asked for."""

import errno
import json
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from harness import cli
from harness.core.errors import UserError
from harness.evidence.ablation import find_ablation
from harness.evidence.run_names import checked_name, give_name, names_by_run
from harness.evidence.store import find_run


def stored(out: Path, run: str, status: str = "done", **about) -> Path:
    """A run.json that is enough to be found."""
    folder = out / "runs" / run
    folder.mkdir(parents=True)
    what = {"status": status, "config": {"task": "toy", "settings": {}}, "units": {}, "task_facts": {}, **about}
    (folder / "run.json").write_text(json.dumps(what))
    return folder


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    """Two finished runs, toy-a1 and toy-b2."""
    monkeypatch.chdir(tmp_path)
    for run in ("toy-a1", "toy-b2"):
        stored(tmp_path / "results", run)
    return Path("results")


def test_a_name_means_its_run_and_changes_nothing_of_it(out):
    before = (out / "runs" / "toy-a1" / "run.json").read_bytes()
    for name in ("first", "toy"):  # the second is the beginning of both ids
        give_name(out, name, "toy-a1")
        assert find_run(out, name).name == "toy-a1"
    assert names_by_run(out) == {"toy-a1": ["first", "toy"]}
    assert (out / "runs" / "toy-a1" / "run.json").read_bytes() == before
    give_name(out, "first", "toy-a1")  # once more


def test_a_name_of_another_run_is_refused_until_that_is_freed_or_gone(out, capsys):
    assert cli.main(["name", "toy-a", "first"]) == 0
    assert cli.main(["name", "toy-b", "first"]) == 2
    said = capsys.readouterr().err
    assert "the name 'first' is that of toy-a1" in said and "harness name --remove first" in said
    assert cli.main(["name", "--remove", "first"]) == 0
    assert cli.main(["name", "toy-b", "first"]) == 0
    assert find_run(out, "first").name == "toy-b2"
    (out / "runs" / "toy-b2" / "run.json").unlink()
    (out / "runs" / "toy-b2").rmdir()
    with pytest.raises(UserError, match="means toy-b2, which is not in"):
        find_run(out, "first")
    give_name(out, "first", "toy-a1")
    assert find_run(out, "first").name == "toy-a1"


def test_of_two_commands_at_once_one_gets_the_name(out, monkeypatch):
    """The other command's file appears between the look and the writing."""
    plain = Path.mkdir

    def late(path, *given, **named):
        plain(path, *given, **named)
        (path / "first.json").write_text('{"run": "toy-b2"}')

    monkeypatch.setattr(Path, "mkdir", late)
    with pytest.raises(UserError, match="is that of toy-b2"):
        give_name(out, "first", "toy-a1")
    assert names_by_run(out) == {"toy-b2": ["first"]}


@pytest.mark.parametrize(
    "text, says",
    [
        ("My First Run", "such as 'my-first-run'"),
        ("../../run", "such as 'run'"),
        ("latest", "means the newest run"),
        ("", "cannot be a name"),
        ("a" * 61, "such as 'aaa"),
    ],
)
def test_a_name_that_cannot_be_a_file_everywhere_is_refused_with_one_that_can(text, says):
    with pytest.raises(UserError, match=says):
        checked_name(text)


def test_an_id_is_never_the_name_of_another_run(out):
    with pytest.raises(UserError, match="is the id of another run"):
        give_name(out, "toy-b2", "toy-a1")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": 3}'])
def test_a_damaged_name_is_said_and_can_be_freed(out, capsys, content):
    """The file had to be removed by hand."""
    give_name(out, "first", "toy-a1").write_text(content)
    with pytest.raises(UserError, match=r"first\.json.* free it with `harness name --remove first`"):
        find_run(out, "first")
    assert cli.main(["name", "--remove", "first", "--out", str(out)]) == 0
    assert "first was damaged, and is free" in capsys.readouterr().out
    give_name(out, "first", "toy-a1")
    assert find_run(out, "first").name == "toy-a1"


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSPC])
def test_a_name_is_there_whole_or_not_at_all(out, monkeypatch, error):
    def fails(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", fails)
    with nullcontext() if error == errno.EPERM else pytest.raises(OSError, match="No space"):
        give_name(out, "first", "toy-a1")
    assert [path.name for path in (out / "names").iterdir()] == (["first.json"] if error == errno.EPERM else [])


def test_a_name_wins_over_the_beginning_of_an_ablation(out):
    (out / "ablations" / "toy-width").mkdir(parents=True)
    (out / "ablations" / "toy-width" / "about.json").write_text("{}")
    assert find_ablation(out, "toy-w") is not None
    give_name(out, "toy-w", "toy-a1")
    assert find_ablation(out, "toy-w") is None


def test_a_name_that_does_not_exist_is_answered_with_the_nearest(out, capsys):
    give_name(out, "first", "toy-a1")
    for command, says in (
        (["report", "frist"], "Did you mean 'first'?"),
        (["name", "--remove", "frist"], "Did you mean 'first'?"),
        (["name", "latest"], "as in `harness name latest my-run`"),
        (["name", "latest", "--remove", "first"], "takes nothing else"),
    ):
        assert cli.main(command) == 2
        assert says in capsys.readouterr().err


def test_a_run_is_given_its_name_by_its_command_before_which_it_is_checked(place, unrendered, capsys):
    toy = ["run", "--task", "toy", "--method", "base", "--only", "--workers", "1", "--name", "first"]
    assert cli.main([*toy, "--limit", "4"]) == 0
    [folder] = (place / "results" / "runs").iterdir()
    assert "first" not in (folder / "run.json").read_text()
    assert find_run(place / "results", "first") == folder
    assert cli.main([*toy, "--limit", "5"]) == 2
    assert "is that of toy-" in capsys.readouterr().err
    assert [*(place / "results" / "runs").iterdir()] == [folder]  # nothing was begun
    assert cli.main([*toy[:-1], "again", "--limit", "4"]) == 0  # it is done, and has a second name
    assert names_by_run(place / "results") == {folder.name: ["again", "first"]}
    assert cli.main([*toy[:-1], "No", "--limit", "4"]) == 2
    Path("c.yaml").write_text("name: first\n")
    for command in (["tune"], ["ablate", "--axis", "iro.width"]):
        assert cli.main([*command, "--config", "c.yaml", "--task", "toy"]) == 2
        assert "name: first is for `run`" in capsys.readouterr().err


def test_what_a_file_calls_a_run_steers_no_terminal(tmp_path, capsys):
    (tmp_path / "names").mkdir()
    (tmp_path / "names" / "first.json").write_text(json.dumps({"run": "\x1b[31mtoy"}))
    assert cli.main(["name", "--remove", "first", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "first was \\x1b[31mtoy, and is free\n"
