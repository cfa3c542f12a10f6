"""A long count of faults goes on from what is stored, and no sequence is done twice."""

import tempfile
from pathlib import Path

from tests.faults.sequences import Sequences


def test_what_is_stored_is_not_done_again(tmp_path):
    path = tmp_path / "sequences" / "kills-run-0.jsonl"
    first = Sequences(path)
    for number in first.missing(5)[:3]:
        first.add(number, {"problem": ""})
    again = Sequences(path)
    assert again.missing(5) == [3, 4] and again.missing(3) == [] and again.lines == first.lines


def test_a_line_that_is_torn_is_done_again_and_spoils_no_other(tmp_path):
    path = tmp_path / "kills.jsonl"
    first = Sequences(path)
    for number in range(3):
        first.add(number, {"problem": "x" * 50})
    path.write_bytes(path.read_bytes()[:-20])
    again = Sequences(path)
    assert again.missing(4) == [2, 3]
    again.add(2, {"problem": ""})
    assert Sequences(path).missing(4) == [3]


def test_a_line_names_no_folder_of_this_machine(tmp_path):
    stored = Sequences(tmp_path / "odd.jsonl")
    place = Path(tempfile.gettempdir()) / "faults-x1"
    stored.add(0, {"said": f"0.0 MB in {place}/odd-1/cache, of {Path(__file__).parents[1]}/tasks", "seconds": 1.5})
    assert stored.lines[0] == {"number": 0, "said": "0.0 MB in PLACE/odd-1/cache, of CHECKOUT/tasks", "seconds": 1.5}
