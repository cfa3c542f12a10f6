"""What names a model: every file of its folder; of a hub model its revision, and files that were edited since."""

import hashlib
from pathlib import Path

import pytest
import transformers.utils.hub as transformers_hub
from huggingface_hub import constants as hub

from harness.core.errors import UserError
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


def into_hub(folder: Path, repository: Path, revision: str) -> Path:
    """Lay files out as the hub's cache does: links to blobs, named by sha256 (large files) or git's sha1 (small)."""
    snapshot, blobs, refs = (repository / name for name in (f"snapshots/{revision}", "blobs", "refs"))
    for made in (snapshot, blobs, refs):
        made.mkdir(parents=True, exist_ok=True)
    (refs / "main").write_text(revision)
    for path in folder.iterdir():
        content = path.read_bytes()
        large, small = hashlib.sha256(content), hashlib.sha1(b"blob %d\0" % len(content) + content)
        blob = blobs / (large if path.suffix == ".safetensors" else small).hexdigest()
        blob.write_bytes(content)
        (snapshot / path.name).symlink_to(blob)
    return snapshot


@pytest.fixture
def snapshot(tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "model.safetensors").write_bytes(b"weights")
    (plain / "config.json").write_bytes(b"{}")
    return into_hub(plain, tmp_path / "models--org--name", "c" * 40)


def test_files_that_are_those_of_the_revision_need_no_name_of_their_own(snapshot, tmp_path):
    """So a file that is fetched later, such as a README, makes no other model."""
    assert edited_in_snapshot(snapshot, tmp_path / "cache") == {}


def test_a_file_edited_in_the_hubs_cache_is_found(snapshot, tmp_path):
    (snapshot / "config.json").write_text('{"edited": 1}')  # through the link
    (snapshot / "chat_template.jinja").write_text("added by hand")
    found = edited_in_snapshot(snapshot, tmp_path / "cache")
    assert set(found) == {"config.json", "chat_template.jinja"}


def test_a_hub_model_is_named_by_the_revision_that_was_loaded(tmp_path, monkeypatch, tiny):
    """transformers does not say it any more; without it every hub model had the same empty name."""
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(transformers_hub, "is_offline_mode", lambda: True)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    save_model(tmp_path / "plain", tiny.tokenizer, seed=0)
    for letter in "cd":
        into_hub(tmp_path / "plain", tmp_path / "hub" / "models--org--name", letter * 40)
        policy = load_policy("org/name", "cpu", "float32", tmp_path / "cache")
        assert policy.contents == {"revision": letter * 40}


def test_a_model_that_is_nowhere_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(UserError, match="is not in the hub's cache"):
        contents_of("org/name", tmp_path / "cache")
