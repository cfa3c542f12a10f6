"""sessions.json of a tuning: which commands searched, so that the search goes on as one that was never interrupted."""

import json

import pytest

from harness.core.json_file import write_json
from harness.sweeps.tune import _sessions


def test_sessions_are_kept_in_order_and_each_once(tmp_path, capsys):
    assert _sessions(tmp_path, (2, 6)) == [(2, 6)]
    assert _sessions(tmp_path, (4, 12)) == _sessions(tmp_path, (2, 6)) == [(2, 6), (4, 12)]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "\0" * len(text),
        lambda text: text.replace(" 6", " 7"),  # JSON still, and not what was written
        lambda text: "[]",
        lambda text: '{"sessions": [[2]]}',
        lambda text: '{"sessions": [[0, 6]]}',
        lambda text: '{"sessions": null}',
    ],
)
def test_damaged_sessions_are_those_that_ended_and_this_and_one_message_says_so(tmp_path, capsys, damage):
    """A power cut left half of the file, and its command could not go on."""
    for one in ((2, 6), (4, 12)):
        _sessions(tmp_path, one)
    write_json(tmp_path / "about.json", {"sessions": [[2, 6], [4, 12]], "methods": {}})
    path = tmp_path / "sessions.json"
    path.write_text(damage(path.read_text()))
    assert _sessions(tmp_path, (8, 24)) == [(2, 6), (4, 12), (8, 24)]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the search goes on from the tries of sessions that have ended" in said
    assert json.loads(path.read_text())["sessions"] == [[2, 6], [4, 12], [8, 24]]
    assert len(_sessions(tmp_path, (8, 24))) == 3 and capsys.readouterr().err == ""


def test_without_either_file_the_search_begins_with_this_command(tmp_path, capsys):
    _sessions(tmp_path, (2, 6))
    (tmp_path / "about.json").write_text("{")
    (tmp_path / "sessions.json").write_text("{")
    assert _sessions(tmp_path, (4, 12)) == [(4, 12)] and capsys.readouterr().err.count("\n") == 1
