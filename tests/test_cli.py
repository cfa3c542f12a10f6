"""The two ways to call the command, and what the folder that it is called in cannot do to it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness import __version__, cli
from harness.cli.program import COMMANDS as ALL
from harness.cli.program import GROUPS, parser
from harness.running import material

ROOT = Path(__file__).parents[1]
COMMANDS = {"module": [sys.executable, "-m", "harness"], "script": [str(Path(sys.executable).with_name("harness"))]}


def call(how: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["HARNESS_CACHE"] = str(cwd / "cache")
    return subprocess.run([*COMMANDS[how], *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.slow
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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["completion", "bash"], ["runs"]])  # more than a buffer, and less
def test_a_full_disk_under_what_is_printed_is_one_line(tmp_path, words):
    """`harness runs > file` on a full disk ended with a traceback, as did every command that prints."""
    with open("/dev/full", "w") as full:
        command = [*COMMANDS["module"], *words]
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: ") and "No space left on device" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="as a POSIX shell closes them")
@pytest.mark.parametrize("words", ["runs >&-", "runs >&- 2>&- <&-", "cache --clear --all <&-"])
def test_a_closed_stream_is_an_empty_one(tmp_path, words):
    """A launcher that closes stdin or stdout had every command end with a traceback."""
    shell = f"exec {shlex.join(COMMANDS['module'])} {words}"
    environment = {**os.environ, "HARNESS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
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


def test_without_a_command_it_shows_each_with_an_example_by_what_one_wants(capsys):
    assert cli.main([]) == 0
    said = capsys.readouterr().out
    for group, commands in GROUPS.items():
        assert f"\n{group}\n" in said
        for command in commands:
            assert f"  python -m harness {command.example} " in said and command.example.startswith(command.name)


@pytest.mark.slow
def test_every_example_works(place, unrendered, capsys, monkeypatch):
    """In the order in which they are shown: later ones need a run. Some are only read: of the real model, of the hub,
    of a file that is not there, of a server that does not end."""
    monkeypatch.setattr(material, "choose_workers", lambda *_: 1)
    for command in ALL:
        words = shlex.split(command.example)
        if command.name == "plan":  # of a file in the checkout
            words[1] = str(ROOT / words[1])
        if command.name in ("bench", "grade", "align", "import", "score", "serve", "lm-eval", "tax"):
            assert parser().parse_args(words).command is command
        else:
            assert cli.main(words) == 0, command.example
            assert capsys.readouterr().out.strip(), command.example


@pytest.mark.parametrize(
    "words, says",
    [
        (["rnu"], "unknown command 'rnu'. Did you mean 'run'? Valid: ablate, "),
        (["run", "--metod", "iro"], "run takes no '--metod'. Did you mean '--method'?"),
        (["run", "--methods=iro"], "run takes no '--methods'. Did you mean '--method'?"),
        (["run", "iro"], "run takes no 'iro'."),
        (["run", "--limit", "x"], "argument --limit: invalid int value: 'x'"),
        (["ablate"], "the following arguments are required: --axis"),
        (["completion", "fish"], "choose from 'bash', 'zsh', 'tcsh'"),
        (["--verson"], "unknown option '--verson'"),
        (["report", "\x1b[31mred"], r"no run '\x1b[31mred'"),
    ],
)
def test_what_is_mistyped_is_one_clear_error(place, capsys, words, says):
    """argparse printed its usage first, and suggested nothing."""
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and says in said and said.count("\n") == 1


@pytest.mark.slow
def test_a_run_in_a_folder_of_a_project_joins_its_results_and_says_so(place, unrendered, capsys, monkeypatch):
    (place / "results" / "runs").mkdir(parents=True)
    (place / "notebooks").mkdir()
    monkeypatch.chdir(place / "notebooks")
    toy = ["run", "--task", "toy", "--method", "base", "--only", "--limit", "4", "--workers", "1"]
    assert cli.main([*toy, "--name", "first"]) == 0
    where = Path("..", "results")
    assert f"results of this project: {where} (--out names another folder)\n" in capsys.readouterr().err
    assert cli.main(["report", "latest"]) == 0
    assert harness.load_run("first").folder.parent == where / "runs"
    assert cli.main([*toy, "--out", "own"]) == 0
    assert "results of this project" not in capsys.readouterr().err
    assert [*Path("own", "runs").iterdir()] and not Path("results").exists()
