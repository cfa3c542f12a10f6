"""What names a model: every file of its folder; of a hub model its revision, and files that were edited since."""

import hashlib

import pytest

from harness.core.models import loading
from harness.core.models.loading import contents_of, edited_in_snapshot, load_policy
from tests.running.test_identity import save_model


@pytest.fixture
def saved(tmp_path, tiny):
    save_model(tmp_path / "model", tiny.tokenizer, seed=0)
    return tmp_path / "model"


def fingerprint(folder, cache) -> str:
    return load_policy(str(folder), "cpu", "float32", cache).fingerprint


def test_a_policy_knows_the_files_that_its_fingerprint_is_made_of(saved, tmp_path):
    policy = load_policy(str(saved), "cpu", "float32", tmp_path / "cache")
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= set(policy.contents)
    assert policy.fingerprint == fingerprint(saved, tmp_path / "another cache")
    copy = saved.rename(tmp_path / "moved")
    assert policy.fingerprint == fingerprint(copy, tmp_path / "cache")  # where it lies is no part of it


@pytest.mark.parametrize("name", ["chat_template.jinja", "merges.txt", "tokenizer.model", "README.md"])
def test_any_other_file_makes_another_model(saved, tmp_path, name):
    before = fingerprint(saved, tmp_path / "cache")
    path = saved / name
    path.write_text((path.read_text() if path.exists() else "") + " ")
    assert fingerprint(saved, tmp_path / "cache") != before


def test_a_copy_with_other_weights_has_a_fingerprint_beside_its_base(saved, tmp_path, tiny):
    policy = load_policy(str(saved), "cpu", "float32", tmp_path / "cache")
    assert policy.with_model(policy.untouched_model()[0], "dpo").fingerprint == f"{policy.fingerprint}+dpo"
    other = tmp_path / "other"
    save_model(other, tiny.tokenizer, seed=1)
    assert policy.other(str(other)).fingerprint == fingerprint(other, tmp_path / "cache") != policy.fingerprint


@pytest.fixture
def snapshot(tmp_path):
    """A folder of the hub's cache: files are links to blobs, named by sha256 (large files) or git's sha1 (small)."""
    made = tmp_path / "models--org--name" / "snapshots" / ("c" * 40)
    blobs = tmp_path / "models--org--name" / "blobs"
    for folder in (made, blobs):
        folder.mkdir(parents=True)
    large, small = b"weights", b"{}"
    names = {
        "model.safetensors": (hashlib.sha256(large).hexdigest(), large),
        "config.json": (hashlib.sha1(b"blob 2\0" + small).hexdigest(), small),
    }
    for name, (blob, content) in names.items():
        (blobs / blob).write_bytes(content)
        (made / name).symlink_to(blobs / blob)
    return made


def test_files_that_are_those_of_the_revision_need_no_name_of_their_own(snapshot, tmp_path):
    """So a file that is fetched later, such as a README, makes no other model."""
    assert edited_in_snapshot(snapshot, tmp_path / "cache") == {}


def test_a_file_edited_in_the_hubs_cache_is_found(snapshot, tmp_path, monkeypatch):
    (snapshot / "config.json").write_text('{"edited": 1}')  # through the link
    (snapshot / "chat_template.jinja").write_text("added by hand")
    found = edited_in_snapshot(snapshot, tmp_path / "cache")
    assert set(found) == {"config.json", "chat_template.jinja"}
    monkeypatch.setattr(loading, "try_to_load_from_cache", lambda *_, **__: str(snapshot / "config.json"))
    assert contents_of("org/name", "c" * 40, tmp_path / "cache") == {"revision": "c" * 40, **found}


def test_a_hub_model_of_another_revision_is_another_model(snapshot, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "try_to_load_from_cache", lambda *_, **__: str(snapshot / "config.json"))
    one, two = (contents_of("org/name", letter * 40, tmp_path / "cache") for letter in "cd")
    assert one != two
