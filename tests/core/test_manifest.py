import json

import numpy as np
import pytest

from harness.core.ledger import Ledger
from harness.core.manifest import problems_of, verify, write_manifest
from harness.running.artifacts import run_stage
from harness.running.ranks import Ranks


@pytest.fixture
def stored(tmp_path):
    for name in ("scores.parquet", "fitted/head.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1234")
    write_manifest(tmp_path, ["scores.parquet", "fitted/head.safetensors"], rows={"scores.parquet": 3})
    return tmp_path


@pytest.fixture
def stage(tmp_path):
    """Two batches of a stage, the second without arrays."""

    def job(i):
        return [{"text": "ä", "score": 0.1 + i, "reward": float("nan")}], {"states": np.ones(3)} if i == 0 else {}

    run_stage("test", tmp_path, range(2), job, Ledger(), "fit", 1, Ranks())
    return tmp_path


def test_what_is_as_it_was_written_has_no_problems(stored):
    assert verify(stored) == []
    listed = json.loads((stored / "manifest.json").read_text())["files"]
    assert listed["scores.parquet"] == {
        "bytes": 4, "rows": 3, "sha256": "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4",
    }  # fmt: skip


@pytest.mark.parametrize(
    "content, says",
    [
        (None, "fitted/head.safetensors is missing"),
        (b"123", "fitted/head.safetensors has 3 bytes, and 4 were written"),
        (b"1243", "fitted/head.safetensors has another sha256 than was written"),
    ],
)
def test_a_file_that_is_gone_cut_or_changed_is_named(stored, content, says):
    path = stored / "fitted" / "head.safetensors"
    path.unlink() if content is None else path.write_bytes(content)
    assert verify(stored) == [says]


@pytest.mark.parametrize("text", ["{", "[]", '{"files": 3}', '{"files": {"a": 1}}', '{"files": {"a": {"bytes": 1}}}'])
def test_a_damaged_manifest_is_a_problem_and_no_traceback(stored, text):
    (stored / "manifest.json").write_text(text)
    (problem,) = verify(stored)
    assert problem.startswith("manifest.json is no list of files")


def test_a_folder_without_a_manifest_is_named(tmp_path):
    assert verify(tmp_path) == ["manifest.json is missing"]


def test_what_must_be_listed_and_is_not_is_named(stored):
    """With an empty list an edited table was as it was written."""
    (stored / "manifest.json").write_text('{"files": {}}')
    names = ["scores.parquet", "pool.parquet"]  # the second is not there
    assert problems_of(stored, names) == ["scores.parquet is there and manifest.json does not list it"]


def test_names_that_lead_out_of_the_folder_are_not_followed(stored):
    entry = {"bytes": 1, "sha256": "0"}
    (stored / "manifest.json").write_text(json.dumps({"files": {"../x": entry, "/etc/hostname": entry}}))
    assert verify(stored) == [
        "../x is no name of a file in this folder",
        "/etc/hostname is no name of a file in this folder",
    ]


def test_batches_carry_what_proves_them(stage):
    assert verify(stage) == []
    first = json.loads((stage / "batch-0000.json").read_text())["manifest"]
    assert first["count"] == 1 and first["arrays"]["file"] == "batch-0000.npz" and len(first["sha256"]) == 64


def test_an_edited_score_and_other_arrays_are_found(stage):
    """A stored score was edited by one digit, and passed."""
    batch = stage / "batch-0001.json"
    batch.write_text(batch.read_text().replace('"score": 1.1', '"score": 1.2'))
    with (stage / "batch-0000.npz").open("wb") as file:
        np.savez(file, states=np.zeros(3))
    assert verify(stage) == [
        "batch-0000.npz has another sha256 than was written",
        "batch-0001.json has another payload than was written",
    ]
    (stage / "batch-0000.npz").unlink()
    batch.write_text(batch.read_text().replace("[{", "[{}, {"))
    assert verify(stage) == ["batch-0000.npz is missing", "batch-0001.json has 2 entries, and 1 were written"]
    batch.write_text("{")
    assert verify(stage)[1].startswith("batch-0001.json is no stored batch")
