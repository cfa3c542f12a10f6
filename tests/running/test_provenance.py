"""Where numbers come from: the commit is that of this code, not of a repository that it happens to lie in."""

import subprocess
from pathlib import Path

from harness.running import provenance


def git(folder: Path, *words: str) -> str:
    names = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(
        ["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_an_installed_copy_inside_another_repository_has_no_commit(tmp_path, monkeypatch):
    """A virtual environment in a user's repository: the user's commit was taken for that of the harness."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("env/\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "theirs")
    installed = tmp_path / "env" / "harness" / "running" / "provenance.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("", encoding="utf-8")
    monkeypatch.setattr(provenance, "__file__", str(installed))
    assert provenance.commit_of_code()[0] == "unknown"


def test_in_a_checkout_it_is_the_commit_and_a_change_is_seen(tmp_path, monkeypatch):
    for name in ("harness/running/provenance.py", "methods/iro.py", "tasks/toy.py", "results/note.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "ours")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "harness" / "running" / "provenance.py"))
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.commit_of_code() == (commit, False)
    (tmp_path / "results" / "note.md").write_text("no code", encoding="utf-8")
    assert provenance.commit_of_code() == (commit, False)
    (tmp_path / "methods" / "iro.py").write_text("x = 1", encoding="utf-8")
    assert provenance.commit_of_code() == (commit, True)
