"""Logs of inspect: damage is never read as scores, and scores of every kind count as inspect's own do."""

import json
import random
import zipfile
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from harness.comparing.files import read_file
from harness.comparing.inspect_log import read, read_archive
from harness.comparing.records import Record
from harness.core.errors import UserError
from tests.comparing.test_compare import ARCHIVE

NO_WHOLE = r"no whole \.eval file \(.*\); copy it again"


def sample(own: int | str, value: Any, epoch: int = 1, **more: Any) -> dict:
    return {"id": own, "epoch": epoch, "input": f"q{own}", "output": {"completion": "c"},
            "scores": {"match": {"value": value}}, **more}  # fmt: skip


def log(*samples: dict) -> dict:
    return {"version": 2, "status": "success", "eval": {"task": "t"}, "samples": list(samples)}


def packed(path: Path, compression: int, *samples: dict) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("header.json", json.dumps({**log(), "samples": None}))
        for one in samples:
            archive.writestr(f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one))
    return path


def test_a_score_that_was_changed_in_a_log_is_not_believed(tmp_path):
    """The parts of the zip were read past its checksums: 0.25 that had become 0.75 was compared as 0.75."""
    path = packed(tmp_path / "a.eval", zipfile.ZIP_STORED, sample(1, 0.25))
    assert read_archive(path).records[0].scores == {"match": 0.25}
    path.write_bytes(path.read_bytes().replace(b"0.25", b"0.75"))
    with pytest.raises(UserError, match=NO_WHOLE.replace(".*", ".*another checksum.*")):
        read_archive(path)


def test_a_compressed_sample_that_was_overwritten_is_named(tmp_path):
    """It was a traceback of zlib."""
    path = packed(tmp_path / "a.eval", zipfile.ZIP_DEFLATED, sample(1, "C", note="x" * 2000))
    raw = bytearray(path.read_bytes())
    name = b"samples/1_epoch_1.json"
    place = raw.find(name) + len(name)
    raw[place : place + 6] = b"\xff" * 6
    path.write_bytes(raw)
    with pytest.raises(UserError, match=NO_WHOLE):
        read_archive(path)


def test_a_compression_that_inspect_does_not_use_is_named(tmp_path):
    path = packed(tmp_path / "a.eval", zipfile.ZIP_BZIP2, sample(1, "C"))
    with pytest.raises(UserError, match=NO_WHOLE.replace(".*", ".*compressed by method 12.*")):
        read_archive(path)


@pytest.mark.parametrize("kind", ["stored", "deflated", "inspect's own"])
def test_no_changed_byte_of_a_part_changes_what_is_read(tmp_path, kind):
    """One to six bytes anywhere before the list of parts: the log is read as it was written, or refused."""
    path = tmp_path / "a.eval"
    match kind:
        case "stored":
            packed(path, zipfile.ZIP_STORED, sample(1, 0.25), sample(2, "I"))
        case "deflated":
            packed(path, zipfile.ZIP_DEFLATED, sample(1, 0.25), sample(2, "I"))
        case _:
            path.write_bytes(ARCHIVE.read_bytes())
    whole, rng, refused = path.read_bytes(), random.Random(0), 0
    with zipfile.ZipFile(path) as archive:
        end = archive.start_dir
    records = read_archive(path).records
    for _ in range(300):
        spoiled = bytearray(whole)
        for _ in range(rng.choice((1, 1, 6))):
            spoiled[rng.randrange(end)] = rng.randrange(256)
        path.write_bytes(spoiled)
        try:
            assert read_archive(path).records == records
        except UserError:
            refused += 1
    assert refused > 100


def test_a_sample_whose_name_is_damaged_is_not_lost_silently(tmp_path):
    path = packed(tmp_path / "a.eval", zipfile.ZIP_STORED, sample(1, 0.25), sample(2, "I"))
    raw = bytearray(path.read_bytes())
    raw[raw.rfind(b"samples/2")] = ord("t")  # in the list of parts
    path.write_bytes(raw)
    with pytest.raises(UserError, match=NO_WHOLE.replace(".*", "tamples.* is called otherwise.*")):
        read_archive(path)


@pytest.mark.parametrize(
    "value, scores",
    [
        ("C", {"match": 1.0}),
        ("I", {"match": 0.0}),
        ("P", {"match": 0.5}),
        ("N", {"match": 0.0}),
        (True, {"match": 1.0}),
        ("Yes", {"match": 1.0}),
        ("0.5", {"match": 0.5}),
        ({"a": "C", "b": 0.25, "why": "long"}, {"match.a": 1.0, "match.b": 0.25}),
        (["P", 3], {"match.0": 0.5, "match.1": 3.0}),
        ("a word", {}),
    ],
)
@pytest.mark.parametrize("ending", [".json", ".eval"])
def test_scores_of_every_kind_are_read_in_both_forms(tmp_path, ending, value, scores):
    path = tmp_path / f"a{ending}"
    if ending == ".json":
        path.write_text(json.dumps(log(sample(1, value))))
    else:
        packed(path, zipfile.ZIP_DEFLATED, sample(1, value))
    assert read_file(path).records[0].scores == scores


def test_epochs_of_several_scorers_are_means_of_each():
    first = sample(1, "C") | {"scores": {"match": {"value": "C"}, "judge": {"value": {"tone": "P", "fact": "I"}}}}
    second = sample(1, "P", 2) | {"scores": {"match": {"value": "P"}, "judge": {"value": {"tone": "C", "fact": "C"}}}}
    found = read("log", log(first, second, sample(2, "C"), sample(2, float("nan"), 2)))
    one, two = found.records
    assert one.scores == {"match": 0.75, "judge.tone": 0.75, "judge.fact": 0.5}
    assert isnan(two.scores["match"]) and found.notes == ["means over 2 epochs"]


def test_a_sample_that_failed_says_so_and_has_no_score():
    failed: Record
    (failed,) = read("log", log(sample(1, None, error={"message": "x"}) | {"scores": None})).records
    assert failed.scores == {} and failed.missing == "the sample ended in an error"
