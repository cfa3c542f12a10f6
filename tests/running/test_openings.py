"""openings.jsonl: no opening of the test slice is lost, whatever became of a line, and one message says what did."""

import json
import multiprocessing
from pathlib import Path

import pytest

from harness.evidence.store import write_about
from harness.running.openings import noted_openings

FIRST, SECOND, THIRD = ({"time": f"2026-01-0{n}T00:00:00Z", "settings": "a", "commit": "c", "dirty": False}
                        for n in (1, 2, 3))  # fmt: skip
UNKNOWN = {"time": "", "settings": "", "commit": "", "dirty": None}


@pytest.fixture
def opened(tmp_path) -> Path:
    """A run that was opened twice, as its run.json says as well."""
    for one in (FIRST, SECOND):
        openings = noted_openings(tmp_path, [one])
    write_about(tmp_path, {"openings": openings})
    return tmp_path


def lines(folder: Path) -> list[str]:
    return (folder / "openings.jsonl").read_text().splitlines(keepends=True)


def put(folder: Path, *content: str) -> None:
    (folder / "openings.jsonl").write_text("".join(content))


def test_openings_are_kept_in_order_and_nothing_is_said_of_them(opened, capsys):
    assert noted_openings(opened, [THIRD]) == [FIRST, SECOND, THIRD] and noted_openings(opened, []) == [
        FIRST, SECOND, THIRD,
    ]  # fmt: skip
    assert capsys.readouterr().err == ""


def test_two_equal_openings_are_two(opened):
    """Two commands of one second, of which the first was killed, look alike."""
    assert noted_openings(opened, [SECOND]) == [FIRST, SECOND, SECOND]
    assert noted_openings(opened, []) == [FIRST, SECOND, SECOND]


@pytest.mark.parametrize(
    "damage, where",
    [
        (lambda a, b: (a, b[: len(b) // 2]), "line 2"),  # a torn last line
        (lambda a, b: (a[: len(a) // 2] + "\n", b), "line 1"),  # a damaged middle
        (lambda a, b: ("\0" * len(a) + "\n", b), "line 1"),
        (lambda a, b: ("[" * 90_000 + "\n", b), "line 1"),
        (lambda a, b: (a.replace("2026", "2027"), b), "line 1"),  # JSON still, and not what was written
        (lambda a, b: (a, b.replace("false", "true")), "line 2"),
    ],
)
def test_a_damaged_line_is_taken_from_the_record_and_one_message_says_so(opened, capsys, damage, where):
    put(opened, *damage(*lines(opened)))
    assert noted_openings(opened, [THIRD]) == [FIRST, SECOND, THIRD]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{where} is not as it was written; 1 of 1 known from run.json" in said
    assert len(noted_openings(opened, [])) == 3  # the new one stands on a line of its own


def test_two_lines_that_became_one_are_two_openings(opened):
    first, second = lines(opened)
    put(opened, first.rstrip("\n"), "\x0b", second)
    found = noted_openings(opened, [])
    assert len(found) == 2 and FIRST in found and SECOND in found


def test_without_the_record_a_damaged_line_is_an_opening_of_which_nothing_is_known(opened, capsys):
    first, second = lines(opened)
    put(opened, first, second[:9])
    (opened / "run.json").write_text("{")
    assert noted_openings(opened, [THIRD]) == [FIRST, UNKNOWN, THIRD]
    assert "0 of 1 known from run.json" in capsys.readouterr().err


def test_a_lost_file_is_written_again_from_the_record(opened):
    (opened / "openings.jsonl").unlink()
    assert noted_openings(opened, [THIRD]) == [FIRST, SECOND, THIRD] and len(lines(opened)) == 3


def test_lines_of_earlier_versions_are_believed(tmp_path):
    put(tmp_path, json.dumps(FIRST) + "\n")
    assert noted_openings(tmp_path, [SECOND]) == [FIRST, SECOND]


def _note(folder: Path, number: int) -> None:
    for i in range(40):
        noted_openings(folder, [{**FIRST, "commit": f"{number} {i}" * 50}])


def test_processes_that_note_at_once_lose_nothing_of_each_other(tmp_path, capsys):
    """As on a disk without locks, where two commands make one run."""
    several = multiprocessing.get_context("fork")
    both = [several.Process(target=_note, args=(tmp_path, number)) for number in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len({one["commit"] for one in noted_openings(tmp_path, [])}) == 80 and len(lines(tmp_path)) == 80
    assert capsys.readouterr().err == ""
