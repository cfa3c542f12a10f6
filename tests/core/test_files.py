"""The cache folder, and how every file of ours is read and written."""

import ast
import os
import pwd
import signal
from pathlib import Path

import pytest
from safetensors import SafetensorError

from harness import cli
from harness.comparing.json_file import text_of
from harness.core.batch import DamagedBatch, read_batch
from harness.core.chat.chat import is_as_written
from harness.core.contents import files_below
from harness.core.data.rows import rows_of
from harness.core.errors import UserError
from harness.core.files import cache_folder, read_whole, whole
from harness.core.json_file import json_problems, read_json
from harness.core.manifest import problems_of
from harness.evidence.proven_table import DamagedTable, read_table
from harness.evidence.store import find_run
from harness.running.openings import noted_openings

ROOT = Path(__file__).parents[2]
TEXT = {"read_text", "write_text"}
NOT_TEXT = {"Image.open", "os.open", "self.open", "archive.open"}


@pytest.fixture
def homeless(monkeypatch) -> None:
    """A container whose user has neither HOME nor an entry of its own (case 16)."""

    def nobody(*_: object) -> None:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "USER", "LOGNAME", "HARNESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.setenv("HARNESS_CACHE", "/h")
    assert cache_folder() == Path("/h")
    monkeypatch.delenv("HARNESS_CACHE")
    assert cache_folder() == Path("/x/iro-harness")


@pytest.mark.usefixtures("homeless")
def test_no_home_is_one_line_and_only_where_a_cache_is_needed(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match="set HARNESS_CACHE to a folder"):
        cache_folder()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "--task", "toy"]) == 2
    assert capsys.readouterr().err.startswith("error: this needs a cache and there is no home folder")
    assert cli.main(["judge", "none", "--judge", "gold"]) == 2
    assert "no run 'none'" in capsys.readouterr().err  # not a word of a cache
    assert cli.main(["judge", "none", "--judge", "llm", "--model", "m"]) == 2
    assert "set HARNESS_CACHE" in capsys.readouterr().err


def unnamed_encodings(source: str) -> list[int]:
    """Lines that read or write text without naming its encoding."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        called = ast.unparse(node.func)
        is_open = called == "open" or (called.endswith(".open") and called not in NOT_TEXT)
        modes = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        is_binary = any("b" in mode for mode in modes)
        if called.rpartition(".")[2] in TEXT or (is_open and not is_binary):
            found.append(node.lineno)
    return found


def test_what_lacks_an_encoding_is_found():
    assert unnamed_encodings('p.read_text()\np.write_text("x")\nopen(p)\np.open("w")') == [1, 2, 3, 4]
    assert not unnamed_encodings('p.read_text(encoding="utf-8")\np.open("rb")\nImage.open(p)\nopen(p, "wb")')


def test_every_text_is_read_and_written_as_utf_8():
    """Case 13: elsewhere the locale's encoding was taken, and a report ended at the first letter it lacks."""
    files = [path for top in ("harness", "methods", "tasks") for path in sorted((ROOT / top).rglob("*.py"))]
    lines = [f"{p.relative_to(ROOT)}:{n}" for p in files for n in unnamed_encodings(p.read_text(encoding="utf-8"))]
    assert len(files) > 50 and not lines


def test_a_file_does_not_vanish_where_a_folder_has_its_name(tmp_path):
    """It was taken for what another process had made, and a report or a table was lost without a word."""
    (tmp_path / "report.md").mkdir()
    with pytest.raises(OSError), whole(tmp_path / "report.md") as part:
        part.write_text("a report")
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


@pytest.mark.parametrize("damage", [SafetensorError("header too large"), RecursionError("deep"), AttributeError("x")])
def test_what_a_library_says_of_a_torn_file_is_one_error(damage):
    with (
        pytest.raises(UserError, match=r"is damaged .*; run its command again"),
        read_whole("it", "run its command again"),
    ):
        raise damage


@pytest.fixture
def soon():
    """Ends what waits for ever, which is what a reader of an empty pipe does."""

    def late(*_: object) -> None:
        raise TimeoutError("it waits for what a pipe never says")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_where_a_file_belongs_is_named_and_not_waited_for(tmp_path, soon):
    """A pipe in place of a run.json had `report` wait for ever, as any other stored file did."""
    names = ("run.json", "manifest.json", "batch-0000.json", "table.parquet", "openings.jsonl", "data.jsonl")
    for name in names:
        os.mkfifo(tmp_path / name)
    raising = {
        UserError: [
            lambda: read_json(tmp_path / "run.json", "remove it"),
            lambda: find_run(tmp_path, str(tmp_path)),
            lambda: files_below(tmp_path),
            lambda: noted_openings(tmp_path, [{"time": ""}]),
            lambda: rows_of(tmp_path / "data.jsonl"),
            lambda: text_of(tmp_path / "data.jsonl"),
        ],
        DamagedBatch: [lambda: read_batch(tmp_path / "batch-0000.json")],
        DamagedTable: [lambda: read_table(tmp_path / "table.parquet")],
    }
    for error, readers in raising.items():
        for read in readers:
            with pytest.raises(error, match=r"pipe|no file"):
                read()
    assert "pipe" in problems_of(tmp_path)[0]
    assert json_problems(tmp_path / "run.json") == ["run.json is not as it was written"]
    assert not is_as_written(tmp_path / "run.json")
