"""Large things of the cache: taken where they are as they were written, else made again."""

import json
import os
import time
from functools import partial
from pathlib import Path

import pytest

from harness.core.contents import forget
from harness.core.manifest import write_manifest
from harness.core.proven import file_problems, folder_problems, list_anew, take_or_make


class Maker:
    """Writes a folder of two files, and counts how often."""

    def __init__(self, cache: Path, folder: Path) -> None:
        self.cache, self.folder, self.times = cache, folder, 0

    def __call__(self) -> None:
        self.times += 1
        for name in ("a.bin", "b/c.bin"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(name.encode() * 100)
        write_manifest(self.folder, ["a.bin", "b/c.bin"])

    def take(self) -> None:
        take_or_make(self.folder, self.cache, "it", partial(folder_problems, self.folder, self.cache), self)


@pytest.fixture
def maker(tmp_path) -> Maker:
    made = Maker(tmp_path / "cache", tmp_path / "cache" / "models" / "m")
    made.take()
    return made


def test_what_is_there_is_taken(maker, capsys):
    maker.take()
    (maker.folder / "more.txt").write_text("of somebody's")
    maker.take()
    assert maker.times == 1 and capsys.readouterr().err == ""


@pytest.mark.parametrize("content", [None, b"", b"a.bin" * 99 + b"b.bin"])
def test_what_is_gone_cut_or_flipped_is_made_again_which_one_line_says(maker, capsys, content):
    """A flipped bit in the cached model gave other numbers under the same id."""
    path = maker.folder / "a.bin"
    path.unlink() if content is None else path.write_bytes(content)
    maker.take()
    said = capsys.readouterr().err
    assert maker.times == 2 and said.count("\n") == 1 and "m is damaged (a.bin " in said and "made again" in said


def test_a_folder_of_an_earlier_version_is_believed_and_listed(maker):
    (maker.folder / "manifest.json").unlink()
    maker.take()
    assert maker.times == 1
    (maker.folder / "a.bin").write_bytes(b"other")
    maker.take()
    assert maker.times == 2


def test_a_file_that_changed_below_its_times_is_found_when_everything_is_read_again(maker, monkeypatch):
    """As a disk may lose a bit: size, times and inode stay, so that only a full reading finds it (--verify)."""
    path = maker.folder / "a.bin"
    os.utime(path, ns=(1, 1))
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 10 * 10**9)  # old enough to be remembered
    maker.take()
    [note] = [n for n in (maker.cache / "hashes").iterdir() if json.loads(n.read_text())["path"].endswith("a.bin")]
    path.write_bytes(b"n" + path.read_bytes()[1:])
    stat = path.stat()
    stamp = dict(size=stat.st_size, mtime_ns=stat.st_mtime_ns, ctime_ns=stat.st_ctime_ns, inode=stat.st_ino)
    from harness.core.digest import digest

    noted = {**json.loads(note.read_text()), "stamp": stamp}
    noted.pop("proof")
    note.write_text(json.dumps({**noted, "proof": digest(noted)}))
    maker.take()
    assert maker.times == 1
    forget(maker.cache)
    maker.take()
    assert maker.times == 2


def test_a_note_that_is_damaged_is_not_believed(maker, monkeypatch):
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 10 * 10**9)
    maker.take()
    for note in (maker.cache / "hashes").iterdir():
        said = json.loads(note.read_text())
        note.write_text(json.dumps({**said, "sha256": "0" * 64}))
    maker.take()
    assert maker.times == 1


def test_files_of_a_folder_are_proven_one_by_one(tmp_path):
    cache = tmp_path / "cache"
    one, two = tmp_path / "proxy.parquet", tmp_path / "gold.safetensors"
    one.write_bytes(b"1"), two.write_bytes(b"2")
    assert file_problems(one, cache) == [] == file_problems(two, cache)
    one.write_bytes(b"x")
    assert file_problems(one, cache) == ["proxy.parquet has another sha256 than was written"]
    assert file_problems(two, cache) == []
    (tmp_path / "manifest.json").write_text("{")
    assert file_problems(two, cache)[0].startswith("manifest.json is no list of files")
    list_anew(two)
    assert file_problems(two, cache) == []
