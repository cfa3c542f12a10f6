"""Results are found from any folder of a project, and never in another project."""

from pathlib import Path

import pytest

from harness.core.results_folder import results_folder


@pytest.fixture
def below(tmp_path, monkeypatch) -> Path:
    """A folder two levels below tmp_path, which the command is called in."""
    folder = tmp_path / "notebooks" / "first"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_results_of_a_folder_above_are_found_where_they_are_results(tmp_path, below):
    (tmp_path / "results").mkdir()
    assert results_folder() == Path("results")  # a folder that somebody called so
    (tmp_path / "results" / "runs").mkdir()
    assert results_folder() == Path("../../results")


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git"])
def test_beside_the_mark_of_a_project_they_need_no_runs_yet(tmp_path, below, mark):
    (tmp_path / "results").mkdir()
    (tmp_path / mark).touch()
    assert results_folder() == Path("../../results")


def test_those_of_the_folder_itself_come_first(tmp_path, below):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    (below / "results").mkdir()
    assert results_folder() == Path("results")


def test_nothing_beyond_the_project_is_looked_at(tmp_path, below):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    (tmp_path / "notebooks" / "pyproject.toml").touch()
    assert results_folder() == Path("results")


def test_a_folder_that_is_gone_has_its_own(below):
    below.rmdir()
    assert results_folder() == Path("results")
