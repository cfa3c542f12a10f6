"""The two ways to call the command, and what the folder that it is called in cannot do to it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import __version__

ROOT = Path(__file__).parents[1]
COMMANDS = {"module": [sys.executable, "-m", "harness"], "script": [str(Path(sys.executable).with_name("harness"))]}


def call(how: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["HARNESS_CACHE"] = str(cwd / "cache")
    return subprocess.run([*COMMANDS[how], *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("how", COMMANDS)
def test_what_the_current_folder_holds_breaks_nothing(tmp_path, how):
    """A user's own tasks.py, or a folder methods/, stopped every command; datasets.py would stop transformers."""
    for name in ("tasks", "datasets", "tokenizers", "yaml", "harness_notes"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')", encoding="utf-8")
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "__init__.py").write_text("METHODS = {}", encoding="utf-8")
    done = call(how, "run", "--task", "toy", "--method", "base", "--set", "fit.prompts=601", cwd=tmp_path)
    assert done.returncode == 2, done.stderr  # with model and task loaded, and everything imported
    assert done.stderr == "error: 1 iterations of fit.prompts=601 need 601 fit prompts; task toy has 600\n"


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["run", "--method", "irp"], "unknown method 'irp'. Did you mean 'iro'?"),
        (["run", "--method", "iro,bse"], "unknown method 'bse'. Did you mean 'base'?"),
        (["tune", "--task", "imbd"], "unknown task 'imbd'. Did you mean 'imdb'?"),
        (["ablate", "--axis", "keep", "--method", "nowhere.py:Longest"], "there is no file"),
        (["run", "--config", "c.yaml"], "unknown method 'irp'. Did you mean 'iro'?"),
    ],
)
def test_a_mistyped_name_is_answered_without_torch(tmp_path, arguments, says):
    (tmp_path / "c.yaml").write_text("method: irp\n", encoding="utf-8")
    code = (
        f"import sys; from harness.cli import main; assert main({arguments!r}) == 2; "
        "assert not {'torch', 'polars', 'pydantic'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("error: ") and says in done.stderr


def test_a_closed_pipe_ends_the_command_silently(tmp_path):
    """`harness list | head -1` ended with a traceback."""
    for arguments, code in ((["completion", "bash"], 141), (["run", "--help"], 0)):  # argparse forgives by itself
        command = [*COMMANDS["module"], *arguments]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == code


def test_the_command_says_its_version_and_completes_itself(tmp_path):
    assert call("script", "--version", cwd=tmp_path).stdout == f"iro-harness {__version__}\n"
    assert call("script", "run", "--help", cwd=tmp_path).stdout.startswith("usage: harness run")
    assert call("module", "run", "--help", cwd=tmp_path).stdout.startswith("usage: python -m harness run")
    shells = {"bash": "complete -", "zsh": "#compdef harness", "tcsh": "complete harness"}
    for shell, says in shells.items():
        said = call("script", "completion", shell, cwd=tmp_path).stdout
        assert says in said and "ablate" in said
    script = call("script", "completion", "bash", cwd=tmp_path).stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
