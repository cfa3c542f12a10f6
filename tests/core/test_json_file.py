"""JSON files that prove themselves."""

import json

import pytest

from harness.core.errors import UserError
from harness.core.json_file import is_proven, read_json, write_json

DATA = {"status": "done", "unit": {"mean": 0.1, "sd": float("nan")}, "runs": [1, None, "ä"]}


def test_what_was_written_is_read_without_its_proof(tmp_path):
    path = tmp_path / "about.json"
    write_json(path, DATA)
    assert json.dumps(read_json(path, "x")) == json.dumps(DATA) and is_proven(path)
    before = path.read_bytes()
    write_json(path, {**DATA, "sha256": "of before"})
    assert path.read_bytes() == before


def test_every_flipped_bit_is_found_or_changes_nothing(tmp_path):
    path = tmp_path / "about.json"
    write_json(path, DATA)
    whole, found = path.read_bytes(), 0
    for i in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[i // 8] ^= 1 << i % 8
        path.write_bytes(damaged)
        try:
            read = read_json(path, "x")
        except UserError:
            found += 1
        else:
            names = [name for name in read if name not in DATA]  # the proof, under a name that is none
            assert json.dumps({name: read[name] for name in read if name not in names}) == json.dumps(DATA)
    assert found > 0.8 * 8 * len(whole)


@pytest.mark.parametrize(
    "content, says",
    [(b"{", "is not JSON"), (b"[]", "holds a list"), (b"[" * 100_000, "is not JSON"), (b"\xff", "is not JSON"),
     (b'{"a": 1, "sha256": 3}', "is not as it was written")],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_to_do(tmp_path, content, says):
    path = tmp_path / "about.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"about.json {says}.*; remove it"):
        read_json(path, "remove it")
    path.write_text('{"a": 1}')  # of an earlier version, or by hand
    assert read_json(path, "x") == {"a": 1} and not is_proven(path)
