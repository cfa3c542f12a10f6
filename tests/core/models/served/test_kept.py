"""Answers that were paid for: found under all that shaped them, and believed only as they were written."""

import json
from pathlib import Path

import pytest

from harness.core.json_file import json_problems
from harness.core.models.served.asking import Written
from harness.core.models.served.kept import Kept, Piece

ASKED = {"prompt": "a", "seed": 1}
PIECE = Piece(Written(" answer", "stop", 3), 5, 2)


@pytest.fixture
def stored(tmp_path) -> tuple[Kept, Path]:
    kept = Kept(tmp_path, "model")
    kept.store(ASKED, PIECE)
    (path,) = tmp_path.rglob("*.json")
    return kept, path


def test_what_was_kept_is_found_by_the_same_question_of_the_same_model(stored, tmp_path):
    kept, path = stored
    assert kept.find(ASKED) == PIECE and kept.find({**ASKED, "seed": 2}) is None
    assert Kept(tmp_path, "another").find(ASKED) is None and json_problems(path) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("answer", "ansver"),  # one flipped bit: another answer under the right name
        lambda text: text.replace('"tokens": 3', '"tokens": 1'),
        lambda text: text.replace("sha256", "rha256"),
        lambda text: text[:40],
        lambda text: "",
        lambda text: "[" * 90_000,
    ],
)
def test_what_is_damaged_is_asked_for_again(stored, damage):
    kept, path = stored
    path.write_text(damage(path.read_text()))
    assert kept.find(ASKED) is None
    kept.store(ASKED, PIECE)
    assert kept.find(ASKED) == PIECE


def test_what_an_earlier_version_kept_is_believed(stored):
    kept, path = stored
    said = json.loads(path.read_text())
    del said["sha256"]
    path.write_text(json.dumps(said))
    assert kept.find(ASKED) == PIECE
