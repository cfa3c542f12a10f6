import os
import shutil

import pytest

from harness.core import contents as module
from harness.core.contents import contents, sha256_of
from harness.core.errors import UserError

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # sha256 of "hello"
HOUR = 3600


@pytest.fixture
def folder(tmp_path):
    """A model folder whose files are an hour old."""
    made = tmp_path / "model"
    for name in ("config.json", "merges.txt", "additional_chat_templates/tool.jinja"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("hello")
        age(made / name)
    return made


def age(path):
    """An hour older by mtime; only a wait makes the ctime older, so the margin is taken away where that matters."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - HOUR * 10**9))


def reads(monkeypatch) -> list[str]:
    """Names of files that are read from here on, and no file is too young to be remembered."""
    read, plain = [], module.file_sha256
    monkeypatch.setattr(module, "file_sha256", lambda path: read.append(path.name) or plain(path))
    monkeypatch.setattr(module, "_SETTLED_NS", -1)
    return read


def test_every_file_below_is_named_with_its_sha256(folder, tmp_path):
    names = ["additional_chat_templates/tool.jinja", "config.json", "merges.txt"]
    assert contents(folder, tmp_path / "cache") == dict.fromkeys(names, HELLO)


@pytest.mark.parametrize(
    "name",
    ["chat_template.jinja", "tokenizer.model", "merges.txt", "vocab.txt", "additional_chat_templates/tool.jinja",
     "model-00001-of-00002.safetensors", "generation_config.json", "spiece.model", "tekken.json"],
)  # fmt: skip
def test_an_edit_of_any_file_is_seen(folder, tmp_path, name):
    (folder / name).write_text("one")
    before = contents(folder, tmp_path / "cache")
    (folder / name).write_text("two")
    after = contents(folder, tmp_path / "cache")
    assert {n for n in after if after[n] != before[n]} == {name}


def test_hidden_files_and_folders_are_left_out(folder, tmp_path):
    before = contents(folder, tmp_path / "cache")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref")
    (folder / ".gitattributes").write_text("*.bin")
    assert contents(folder, tmp_path / "cache") == before


def test_links_are_followed_and_a_link_to_a_folder_above_ends(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "weights.bin").write_text("hello")
    (folder / "weights").symlink_to(elsewhere)
    (folder / "again.json").symlink_to(folder / "config.json")
    (folder / "up").symlink_to(folder)
    found = contents(folder, tmp_path / "cache")
    assert found["weights/weights.bin"] == found["again.json"] == HELLO
    assert len(found) == 5
    (elsewhere / "weights.bin").write_text("other")
    assert contents(folder, tmp_path / "cache")["weights/weights.bin"] != HELLO


def test_a_link_that_leads_nowhere_is_named(folder, tmp_path):
    (folder / "gone.bin").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"gone\.bin is a link that leads nowhere"):
        contents(folder, tmp_path / "cache")


def test_a_file_is_read_once_while_it_stays_as_it_is(folder, tmp_path, monkeypatch):
    read = reads(monkeypatch)
    first = contents(folder, tmp_path / "cache")
    assert sorted(read) == ["config.json", "merges.txt", "tool.jinja"]
    assert contents(folder, tmp_path / "cache") == first and len(read) == 3
    contents(folder, tmp_path / "another cache")
    assert len(read) == 6


def test_a_copy_with_the_same_size_and_time_in_its_place_is_read(folder, tmp_path, monkeypatch):
    """`cp -p` and `rsync -t` bring the time along; the inode and the time of the change of state do not lie."""
    read = reads(monkeypatch)
    path = folder / "merges.txt"
    assert sha256_of(path, tmp_path / "cache") == HELLO
    other = tmp_path / "other"
    other.write_text("olleh")
    shutil.copystat(path, other)
    other.replace(path)
    assert sha256_of(path, tmp_path / "cache") != HELLO and read == ["merges.txt"] * 2


def test_a_file_written_this_moment_is_not_remembered(tmp_path):
    """Twice written within a tick of the clock, with the same size, it would look untouched."""
    path = tmp_path / "model.safetensors"
    path.write_text("hello")
    assert sha256_of(path, tmp_path / "cache") == HELLO
    assert not (tmp_path / "cache").exists()


def test_a_damaged_note_is_made_anew(folder, tmp_path, monkeypatch):
    read = reads(monkeypatch)
    sha256_of(folder / "config.json", tmp_path / "cache")
    (note,) = (tmp_path / "cache" / "hashes").iterdir()
    for damaged in (b"", b"\xff", b"[]", b'{"stamp": 1}'):
        note.write_bytes(damaged)
        assert sha256_of(folder / "config.json", tmp_path / "cache") == HELLO
    assert len(read) == 5
