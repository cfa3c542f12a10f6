"""The whole job on the toy: stored tables, resuming, workers, reports; and every mistake a user can make."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest

from harness import cli
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.ledger import Ledger
from harness.core.manifest import verify
from harness.evidence.schema import KEYS
from harness.evidence.store import find_run, load_run, read_about, write_about
from harness.evidence.table import comparison
from harness.methods.iro import Iro
from harness.running import stages
from harness.running.artifacts import Artifacts, run_stage
from harness.running.ranks import Ranks
from harness.tasks.toy import Toy

pytestmark = pytest.mark.slow  # whole runs

ROOT = Path(__file__).parents[2]
RUN = ["run", "--task", "toy", "--method", "iro", "--limit", "12", "--set", "fit.prompts=20", "--set", "batch.rows=16"]


def run(*extra: str) -> int:
    return cli.main([*RUN, *extra])


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Results and cache of a finished run, by one worker."""
    place = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        assert run("--workers", "1", "--out", str(place / "results")) == 0
    return place


@pytest.fixture
def ran(place, finished) -> Path:
    """A place where the run was made before."""
    return shutil.copytree(finished, place, dirs_exist_ok=True)


def the_run(place: Path, out: str = "results", ending: str = ""):
    (folder,) = (f for f in (place / out / "runs").iterdir() if f.name.endswith(ending))
    return load_run(folder)


def table_bytes(place: Path, out: str) -> dict[str, bytes]:
    folder = the_run(place, out).folder
    return {name: (folder / f"{name}.parquet").read_bytes() for name in ("completions", "scores", "fits", "pool")}


def test_a_run_leaves_tables_with_unique_keys_a_report_and_figures(place, capsys):
    assert run() == 0
    stored = the_run(place)
    assert not stored.completions.select(*KEYS, "prompt_id").is_duplicated().any()
    assert not stored.scores.select(*KEYS, "prompt_id", "metric").is_duplicated().any()
    assert stored.completions["reference"].null_count() == len(stored.completions)  # the toy's prompts have none
    assert set(stored.scores["metric"]) == {"gold_reward", "proxy_reward", "base_nll"}
    assert set(stored.completions["method"]) == {"base", "base_greedy", "best_of_n", "iro"}
    assert stored.completions.filter(pl.col("method") == "iro")["iteration"].unique().sort().to_list() == [1, 2, 3]
    for name in ("report.md", "table.parquet", "gold_by_method.png", "gold_against_compute.png", "calibration.png"):
        assert (stored.folder / name).stat().st_size > 500
    pairs = stored.values.filter(pl.col("position") == -1).select("value", "rollouts")
    assert sorted(pairs.rows()) == [(i, j) for i in (1, 2, 3) for j in (1, 2, 3)]  # every V on texts of every iteration
    held = stored.fits.join(stored.values, left_on=["iteration", "position"], right_on=["rollouts", "position"])
    own = held.filter(pl.col("value") == pl.col("iteration"), pl.col("r2").is_not_nan())
    assert len(own) and own["r2"].equals(own["r2_right"].rename("r2"))  # on its own, what the fit reported
    about = stored.about
    assert about["status"] == "done" and len(about["openings"]) == 1
    assert about["openings"][0]["settings"] == digest(about["config"])[:10]
    assert stored.id == f"toy-{digest([about['config'], about['identity']])[:10]}"
    printed = capsys.readouterr().out
    assert printed.startswith(f"{stored.id}  toy, toy, 12 test prompts, quick, seed 0\n") and "\nIRO " in printed
    assert f"report results/runs/{stored.id}/report.md" in printed and "| iro" not in printed
    assert cli.main(["report", stored.id, "--full"]) == 0
    assert capsys.readouterr().out == (stored.folder / "report.md").read_text() + "\n"


def test_asking_again_reports_and_changes_nothing(ran, capsys):
    before = {p: p.read_bytes() for p in the_run(ran).folder.rglob("*") if p.is_file()}
    assert run() == 0
    assert "is done" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in the_run(ran).folder.rglob("*") if p.is_file()} == before


def test_the_number_of_workers_changes_no_byte(place, finished, unrendered):
    run("--workers", "3", "--out", "three")
    assert table_bytes(finished, "results") == table_bytes(place, "three")


def test_two_launched_processes_end_with_the_same_bytes_as_one(place, finished):
    """What `accelerate launch` starts, on a CPU (which its own flag --cpu would silently make one process)."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command = [*launcher, "harness", *RUN, "--out", str(place / "two")]
    done = subprocess.run(command, cwd=ROOT, env=_env(place), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 worker(s)" in done.stderr and done.stdout.count("\nreport ") == 1
    assert table_bytes(finished, "results") == table_bytes(place, "two")


def test_a_killed_rank_ends_the_others_with_a_message(place):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command = [*launcher, "harness", *RUN, "--limit", "200", "--set", "batch.rows=4", "--out", str(place / "two")]
    process = subprocess.Popen(command, cwd=ROOT, env=_env(place), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((place / "cache").rglob("batch-*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    ranks = [one for one in psutil.Process(process.pid).children() if "harness" in one.cmdline()]
    assert len(ranks) == 2
    ranks[1].kill()
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0 and "run the same command again to go on" in said
    assert not any(rank.is_running() for rank in ranks)


def test_what_is_stored_is_used_again_and_charged_as_if_made_alone(ran, unrendered):
    run("--out", "again", "--workers", "1")
    one, again = the_run(ran).ledger, the_run(ran, "again").ledger
    assert not again["computed"].any()
    columns = ["method", "iteration", "phase", "role", "tokens", "sequences", "prefill_tokens"]
    assert one.select(columns).equals(again.select(columns))
    shared = one.filter((pl.col("method") == "iro") & (pl.col("iteration") == 1) & (pl.col("role") == "proxy"))
    assert not shared.filter(pl.col("phase") == "fit")["computed"].any()  # the base samples are the harness's


def test_a_longer_run_takes_up_the_answers_of_a_shorter_one(ran, unrendered):
    assert run("--limit", "18", "--workers", "1", "--out", "longer") == 0
    taken_up, alone = the_run(ran, "longer"), the_run(ran)
    answers = taken_up.ledger.filter(pl.col("phase") == "generate", pl.col("role") == "policy")
    assert set(answers["computed"]) == {True, False}
    shorter = alone.completions["prompt_id"].unique()
    both = taken_up.completions.filter(pl.col("prompt_id").is_in(shorter.implode()))
    columns = [c for c in both.columns if c != "run_id"]
    assert both.select(columns).sort(columns).equals(alone.completions.select(columns).sort(columns))


def test_the_report_says_what_sharing_saved(place, unrendered):
    """Two methods fit on the base samples: alone each pays for them, together they are made once."""
    run("--method", "iro,controlled_decoding", "--workers", "1")
    done = the_run(place)
    said = re.search(
        r"take ([\d,]+) policy tokens and ([\d,]+) reward calls .*; ([\d,]+) and ([\d,]+) where",
        (done.folder / "report.md").read_text(),
    )
    tokens, calls, tokens_once, calls_once = (int(number.replace(",", "")) for number in said.groups())
    pool = done.ledger.filter(pl.col("method") == "harness", pl.col("phase") == "fit")
    assert tokens - tokens_once == pool["tokens"].sum() + pool["prefill_tokens"].sum() > 0
    assert calls - calls_once == pool.filter(pl.col("role") == "proxy")["sequences"].sum() > 0


def test_a_wider_search_at_test_time_fits_nothing_anew(place, unrendered):
    searches = ["--set", "iro.rollout_width=2", "--set", "iro.rollout_successors=2", "--workers", "1"]
    run("--out", "one", *searches)
    run("--out", "two", "--set", "iro.width=4", *searches)
    again = the_run(place, "two").ledger.filter(pl.col("method") == "iro")
    assert not again.filter(pl.col("phase") == "fit")["computed"].any()
    assert again.filter(pl.col("phase") == "generate")["computed"].all()
    assert the_run(place, "two").fits.drop("run_id").equals(the_run(place, "one").fits.drop("run_id"))


def test_search_trees_of_eight_prompts_are_stored_and_change_no_other_table_no_stage_and_no_name(ran, unrendered):
    run("--out", "plain", "--workers", "1", "--set", "evaluate.trace=0")
    plain, traced = the_run(ran, "plain"), the_run(ran)
    assert plain.trace is None and "trace" not in traced.about["config"]["settings"]["evaluate"]
    assert plain.id == traced.id  # of before there were trees, of before they were the default, and of today
    for name in ("completions", "scores", "fits", "pool"):
        assert vars(plain)[name].equals(vars(traced)[name]), name
    assert not plain.ledger["computed"].any()  # every stage was found again
    assert len(plain.ledger) == len(traced.ledger)  # and the trees are not charged
    trees, first = traced.trace, sorted(traced.completions["prompt_id"].unique())[:8]
    assert set(trees["prompt_id"]) == set(first) and set(trees["method"]) == {"iro"}
    assert trees["iteration"].unique().sort().to_list() == [1, 2, 3]
    keys = ["run_id", "method", "iteration", "prompt_id", "round", "row"]
    assert not trees.select(keys).is_duplicated().any()
    picked = traced.completions.filter((pl.col("method") == "iro") & pl.col("prompt_id").is_in(first))
    kept = trees.filter(pl.col("kept")).select("method", "iteration", "prompt_id", pl.col("text").alias("response"))
    assert len(picked.join(kept.unique(), on=kept.columns, how="semi")) == len(picked)


def test_a_tree_has_every_value_apart_and_the_scores_of_its_finalists(ran):
    traced = the_run(ran)
    trees = traced.trace.with_columns(rounds=pl.col("round").max().over("method", "iteration", "prompt_id"))
    assert (trees["values"].list.len() == trees["iteration"]).all()  # V_1 .. V_i
    summed = [sum(v / b for v, b in zip(*row, strict=True)) for row in trees.select("values", "betas").iter_rows()]
    assert np.allclose(summed, trees["score"])
    ends = trees.filter(pl.col("kept") & (pl.col("round") == pl.col("rounds")))
    assert not ends["gold_reward"].has_nulls() and not ends["proxy_reward"].has_nulls()
    assert trees["gold_reward"].count() == len(ends)  # no other prefix is finished for good
    key = ["method", "iteration", "prompt_id", "response"]
    scores = traced.scores.filter(pl.col("metric").is_in(["gold_reward", "proxy_reward"]))
    scores = scores.pivot("metric", index=["method", "iteration", "final_pick", "prompt_id"], values="value")
    answers = traced.completions.join(scores, on=["method", "iteration", "final_pick", "prompt_id"])
    both = answers.join(ends.rename({"text": "response"}), on=key, suffix="_of_tree")
    assert len(both) >= 3 * 3 * 8 and np.allclose(both["gold_reward"], both["gold_reward_of_tree"])
    assert np.allclose(both["proxy_reward"], both["proxy_reward_of_tree"])


def test_killed_at_any_moment_and_run_again_it_ends_with_the_same_bytes(place):
    """Ten kills at random moments (SIGKILL to the whole group), each followed by the same command."""
    run("--out", "whole")
    shutil.rmtree(place / "cache")
    rng = np.random.default_rng(0)
    command = [sys.executable, "-m", "harness", *RUN, "--out", str(place / "cut"), "--workers", "2"]
    kills = 0
    for delay in rng.uniform(2.5, 6.5, 10):
        process = subprocess.Popen(
            command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 1
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert table_bytes(place, "whole") == table_bytes(place, "cut")


@pytest.mark.parametrize("how, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupting_says_how_to_go_on_and_loses_nothing(place, how, code):
    command = [sys.executable, "-m", "harness", *RUN, "--limit", "200", "--set", "batch.rows=4"]
    process = subprocess.Popen(
        command,
        cwd=place,
        env=_env(place),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list((place / "cache").rglob("batch-*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "run the same command again to go on" in said and "Traceback" not in said
    assert not list(place.rglob("*.part"))


@pytest.mark.parametrize(
    "name, says",
    [
        ("pool/*/batch-0001.json", "batch-0001.json is no stored batch"),
        ("pool/*/batch-0001.npz", "batch-0001.npz has another sha256 than was written"),
        ("fit/*/fitted/value-1/value.json", "fitted/value-1/value.json has 0 bytes"),
        ("fit/*/manifest.json", "manifest.json is no list of files"),
    ],
)
def test_a_damaged_file_of_the_cache_is_made_again_which_one_line_says(ran, capsys, unrendered, name, says):
    """A machine that loses power can leave a renamed file empty; the user had to find out what to remove."""
    damaged = sorted((ran / "cache").glob(name))[0]
    damaged.write_bytes(b"")
    assert run("--workers", "1", "--out", "again") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "made again" in line]
    assert len(said) == 1 and says in said[0]
    assert (
        table_bytes(ran, "again") == table_bytes(ran, "results")
        and verify(next(p for p in damaged.parents if (p / "inputs.json").exists())) == []
    )


@pytest.mark.parametrize("which", [0, 1])
def test_a_value_function_that_is_gone_is_fitted_again(ran, capsys, unrendered, which):
    """Iteration 2 ran on V_1 alone, exit 0, and those answers were kept under the right name."""
    for fitted in (ran / "cache").glob("fit/*/fitted"):
        shutil.rmtree(sorted(fitted.glob("value-*"))[min(which, len(list(fitted.glob("value-*"))) - 1)])
    for stage in ("generate", "score", "rollouts"):
        shutil.rmtree(ran / "cache" / stage)
    assert run("--workers", "1", "--out", "again") == 0
    assert "is missing" in capsys.readouterr().err
    assert table_bytes(ran, "again") == table_bytes(ran, "results")


def test_a_cache_of_an_earlier_version_is_used_as_it_is_and_proves_itself_from_then_on(ran, capsys, unrendered):
    """Its batches and fits carry no proof; nothing is computed anew, and what is changed later is found."""
    for path in (ran / "cache").glob("*/*/batch-*.json"):
        stored = json.loads(path.read_text())
        path.write_text(json.dumps({"usage": stored["usage"], "payload": stored["payload"]}))
    for path in (ran / "cache").glob("*/*/manifest.json"):
        path.unlink()
    assert run("--workers", "1", "--out", "again") == 0
    assert "made again" not in capsys.readouterr().err
    assert not load_run(next((ran / "again" / "runs").iterdir())).ledger["computed"].any()
    assert table_bytes(ran, "again") == table_bytes(ran, "results")
    batch = sorted((ran / "cache").glob("score/*/batch-*.json"))[0]
    batch.write_text(batch.read_text().replace("0.", "1.", 1))
    assert run("--workers", "1", "--out", "third") == 0
    assert "than was written" in capsys.readouterr().err
    assert table_bytes(ran, "third") == table_bytes(ran, "results")


def test_a_finished_run_whose_tables_are_damaged_is_made_again_by_its_command(ran, capsys, unrendered):
    before = table_bytes(ran, "results")
    folder = the_run(ran).folder
    table = folder / "scores.parquet"
    table.write_bytes(table.read_bytes()[:-9] + b"x" * 9)
    assert cli.main(["report", folder.name]) == 2
    said = capsys.readouterr().err
    assert "scores.parquet has another sha256 than was written" in said and "harness run --method iro" in said
    assert run("--workers", "1") == 0
    assert "is damaged (scores.parquet has another sha256" in capsys.readouterr().err
    assert table_bytes(ran, "results") == before
    (folder / "run.json").write_text((folder / "run.json").read_text()[:100])
    assert run("--workers", "1") == 0
    assert table_bytes(ran, "results") == before and len(the_run(ran).about["openings"]) == 3


def test_all_openings_of_the_test_slice_are_recorded_also_of_runs_that_died(place, monkeypatch, unrendered):
    """A run.json that a power cut left half took the openings with it."""
    monkeypatch.setattr(Iro, "save", _dies)
    for _ in range(2):
        assert run("--workers", "1") == 130
    (folder,) = (place / "results" / "runs").iterdir()
    (folder / "run.json").write_text("{")
    with (folder / "openings.jsonl").open("a") as file:
        file.write('{"time": "2026')
    monkeypatch.undo()
    monkeypatch.setenv("HARNESS_CACHE", str(place / "cache"))
    monkeypatch.chdir(place)
    assert run("--workers", "1") == 0
    assert len(the_run(place).about["openings"]) == 4  # two that died, one whose line is torn, and this


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_fit_leaves_no_half_of_what_was_fitted(place, monkeypatch, unrendered):
    """A folder with V_1 and without V_2 was taken for a finished one by whoever looked into it."""
    plain = Iro.save

    def save_half(self, folder: Path) -> None:
        plain(self, folder)
        if len(self.values) == 2:
            shutil.rmtree(folder / "value-2")
            raise KeyboardInterrupt

    monkeypatch.setattr(Iro, "save", save_half)
    assert run("--workers", "1") == 130
    fits = [folder for folder in (place / "cache" / "fit").iterdir() if (folder / "fitted").exists()]
    assert [sorted(p.name for p in (folder / "fitted").iterdir()) for folder in fits] == [["value-1"]]
    monkeypatch.undo()
    monkeypatch.setenv("HARNESS_CACHE", str(place / "cache"))
    monkeypatch.chdir(place)
    assert run("--workers", "1") == 0


def test_all_that_a_run_stores_is_listed_and_verified(ran):
    """Tables with their rows, every batch with its payload and arrays, and what was fitted."""
    stored = the_run(ran)
    listed = json.loads((stored.folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    names = ("completions", "scores", "ledger", "fits", "pool", "trace", "values")
    tables = {name: len(vars(stored)[name]) for name in names}
    assert {name: entry["rows"] for name, entry in listed.items()} == {f"{k}.parquet": n for k, n in tables.items()}
    folders = [path.parent for path in (ran / "cache").glob("*/*/inputs.json")]
    assert {folder.parent.name for folder in folders} == {"pool", "rollouts", "fit", "generate", "score", "trace"}
    assert [problem for folder in [stored.folder, *folders] for problem in verify(folder)] == []
    fit = next(folder for folder in folders if (folder / "fitted" / "value-2").exists())
    shutil.rmtree(fit / "fitted" / "value-2")  # as a disk may lose it: the run went on with V_1 alone
    assert verify(fit) == [f"fitted/value-2/{name} is missing" for name in ("head.safetensors", "value.json")]
    table = stored.folder / "scores.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    assert verify(stored.folder) == ["scores.parquet has another sha256 than was written"]


def _env(place: Path) -> dict[str, str]:
    return {**os.environ, "HARNESS_CACHE": str(place / "cache"), "PYTHONPATH": str(ROOT)}


def test_a_dead_worker_stops_the_run_and_keeps_what_is_finished(tmp_path):
    def job(batch):
        if batch == 3:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        return batch, {}

    with pytest.raises(UserError, match="a worker process died"):
        run_stage("test", tmp_path, range(4), job, Ledger(), "fit", 2, Ranks())
    assert sorted(p.name for p in tmp_path.glob("batch-*.json")) == [f"batch-{i:04d}.json" for i in range(3)]


def test_fresh_recomputes_next_to_the_stored_run_and_prints_the_differences(ran, capsys, unrendered):
    assert run("--fresh") == 0
    assert "completions are identical" in capsys.readouterr().out
    assert len(list((ran / "results" / "runs").iterdir())) == 2
    assert not list((ran / "cache" / "fresh").iterdir())
    assert the_run(ran, ending="fresh1").ledger.filter(pl.col("method") == "harness")["computed"].all()


def test_fresh_uses_no_stored_artifact_where_there_is_no_run_yet(ran, unrendered):
    run("--out", "two", "--fresh")
    assert the_run(ran, "two").ledger.filter(pl.col("method") == "base")["computed"].all()


def test_reports_are_rebuilt_from_stored_files_alone(ran):
    stored = the_run(ran)
    first = (stored.folder / "report.md").read_bytes(), (stored.folder / "gold_by_method.png").read_bytes()
    for name in ("report.md", "table.parquet", "gold_by_method.png", "gold_against_compute.png"):
        (stored.folder / name).unlink()
    code = (
        "import sys; from harness.cli import main; "
        f"code = main(['report', '{stored.id[:8]}', '--out', '{ran / 'results'}']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)
    assert first == ((stored.folder / "report.md").read_bytes(), (stored.folder / "gold_by_method.png").read_bytes())


def test_a_config_file_holds_any_option_and_the_command_line_wins(place, unrendered):
    Path("c.yaml").write_text(
        "method: iro\ntask: toy\nlimit: 5\nonly: true\nset: {iro.iterations: 1}\niro: {width: 3}\nfit: {prompts: 10}\n"
    )
    assert cli.main(["run", "--config", "c.yaml", "--limit", "4"]) == 0
    settings = the_run(place).about["config"]["settings"]
    assert settings["evaluate"]["prompts"] == 4
    assert (settings["iro"]["iterations"], settings["iro"]["width"], settings["fit"]["prompts"]) == (1, 3, 10)


@pytest.mark.parametrize(
    "text, says",
    [
        ("limit: '8'", "limit in c.yaml is '8': give a whole number"),
        ("seed: true", "seed in c.yaml is True: give a whole number"),
        ("seed:", "seed in c.yaml is None: give a whole number"),
        ("only: 'no'", "only in c.yaml is 'no': give true or false"),
        ("out: 5", "out in c.yaml is 5: give text"),
        ("task: [toy]", "task in c.yaml is ['toy']: give text"),
        ("method: [iro, 5]", "method in c.yaml is ['iro', 5]: give text"),
        ("method: {iro: 1}", "method in c.yaml is {'iro': 1}: give text"),
        ("set: [iro.width=2]", "set in c.yaml is ['iro.width=2']: give names and values"),
        ("iro: 5", "iro in c.yaml is 5: give names and values"),
        ("iro:", "iro in c.yaml is None: give names and values"),
        ("irq: {}", "unknown key in c.yaml 'irq'. Did you mean 'iro'?"),
        ("1: 2", "unknown key in c.yaml '1'"),
    ],
)
def test_what_a_config_file_cannot_mean_is_named(place, capsys, text, says):
    Path("c.yaml").write_text(text)
    assert cli.main(["run", "--config", "c.yaml"]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("command", [["tune"], ["ablate", "--axis", "keep"]])
def test_only_run_can_be_fresh(place, capsys, command):
    Path("c.yaml").write_text("task: toy\nfresh: true")
    assert cli.main([*command, "--config", "c.yaml"]) == 2
    assert f"leave it out of the --config of {command[0]}" in capsys.readouterr().err


def test_more_prompts_than_the_task_has_stop_the_run(place, capsys):
    assert run("--limit", "401") == 2
    assert "evaluate.prompts=401, but task toy has 400 test prompts" in capsys.readouterr().err
    assert run("--set", "fit.prompts=201") == 2
    assert "3 iterations of fit.prompts=201 need 603 fit prompts; task toy has 600" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["run", "--method", "irp"], "unknown method"),
        (["run", "--task", "toy", "--model", "other"], "does not fit task 'toy'"),
        (["run", "--task", "toy", "--set", "iro.width=0"], "iro.width = 0"),
        (["run", "--task", "toy", "--workers", "0"], "--workers 0"),
        (["run", "--task", "toy", "--out", "file"], "is a file; give a folder"),
        (["run", "--task", "toy", "--out", "file/below"], "cannot read or write"),
        (["run", "--task", "toy", "--out", "long" * 99], "File name too long"),
        (["run", "--task", "toy", "--set", "fit.layers=[7]"], "layers of toy are 0..1"),
        (
            ["run", "--task", "toy", "--set", "sampler.max_new_tokens=32"],
            "max_new_tokens=32: the toy lists all its texts; give at most 6",
        ),
        (["run", "--task", "toy", "--device", "tpu"], "device 'tpu' cannot be used here"),
        (["run", "--task", "toy", "--dtype", "float8"], "unknown dtype 'float8'"),
        (["run", "--config", "missing.yaml"], "no such file"),
        (["run", "--config", "file"], "expected names and values"),
        (["run", "--model", "./nowhere"], "no such folder"),
        (["run", "--device", "cuda:99"], "cannot be used here"),
        (["run", "--device", "tpu"], "cannot be used here"),
        (["run", "--dtype", "float8", "--model", "./empty"], "unknown dtype 'float8'"),
        (["report", "nothing"], "no run 'nothing'"),
        (["report", "empty"], "holds no run"),
    ],
)
def test_mistakes_end_with_one_message_and_exit_code_2(place, capsys, arguments, says):
    Path("file").write_text("words")
    Path("empty").mkdir()
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and says in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "scores, says",
    [
        (lambda n: np.zeros(n + 1), "shape"),
        (lambda n: np.full(n, np.nan), "no finite score"),
        (lambda n: np.ones(n), "nothing to optimise"),
    ],
)
def test_a_broken_reward_is_named(place, capsys, monkeypatch, scores, says):
    monkeypatch.setattr(Toy, "reward", lambda self: lambda completions: scores(len(completions)))
    assert run("--workers", "1") == 2
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said
    monkeypatch.undo()


def test_a_broken_reward_is_named_from_a_worker_process_too(place, capsys, monkeypatch):
    monkeypatch.setattr(Toy, "reward", lambda self: lambda completions: np.zeros(1))
    assert run("--workers", "2") == 2
    assert "shape (1,)" in capsys.readouterr().err


def test_unscored_completions_are_counted_and_shown(place, capsys, monkeypatch):
    plain = Toy.score

    def some_nan(self, completions):
        gold = plain(self, completions)["gold_reward"].copy()
        gold[[i for i, c in enumerate(completions) if c.text.startswith("a")]] = np.nan
        return {"gold_reward": gold}

    monkeypatch.setattr(Toy, "score", some_nan)
    assert run("--workers", "1") == 0
    assert "have no score (NaN)" in " ".join(capsys.readouterr().out.split())
    assert "unscored)" in (the_run(place).folder / "report.md").read_text()


def test_a_full_disk_is_said_in_one_line(place, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "batch-0000.json")

    monkeypatch.setattr(stages, "run_stage", full)
    assert run() == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said and "finished batches are kept" in said and "Traceback" not in said


def test_a_run_is_found_by_path_id_or_unambiguous_prefix(ran, unrendered):
    run("--seed", "1", "--workers", "1")
    one, two = sorted(p.name for p in (ran / "results" / "runs").iterdir())
    out = ran / "results"
    assert find_run(out, one).name == find_run(out, one[:9]).name == find_run(out, str(out / "runs" / one)).name == one
    with pytest.raises(UserError, match="several runs 'toy'"):
        find_run(out, "toy")
    write_about(out / "runs" / two, {**read_about(out / "runs" / two), "status": "running"})
    with pytest.raises(UserError, match="is not finished"):
        find_run(out, two)


def test_artifacts_of_other_inputs_have_another_folder(tmp_path):
    artifacts = Artifacts(tmp_path)
    one = artifacts.folder("pool", {"a": 1, "b": 2})
    assert one == artifacts.folder("pool", {"b": 2, "a": 1}) != artifacts.folder("pool", {"a": 1, "b": 3})
    assert json.loads((one / "inputs.json").read_text()) == {"a": 1, "b": 2}


def parquet(column: str) -> bytes:
    """A foreign table of one column."""
    file = BytesIO()
    pl.DataFrame({column: ["x"]}).write_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("run.json", b"{", "is not JSON"),
        ("run.json", b"[]", "holds a list where names and values belong"),
        ("run.json", b'{"status": "done"}', "has no config, units, task_facts, which every run has"),
        ("scores.parquet", b"{", "is not parquet"),
        ("scores.parquet", parquet("metric"), "has no method, iteration, final_pick, prompt_id, value"),
        ("pool.parquet", parquet("part"), "has no prompt_id, row, proxy_reward, gold_reward"),
    ],
)
def test_a_damaged_file_of_a_stored_run_is_named(ran, capsys, name, content, says):
    path = the_run(ran).folder / name
    path.write_bytes(content)
    (path.parent / "manifest.json").unlink()  # of a version that listed nothing
    assert cli.main(["report", path.parent.name]) == 2
    said = capsys.readouterr().err
    assert name in said and says in said and "copy it again" in said


OWN_POLICY = '''
from harness.methods.base import Base


class Tilted(Base):
    """The base again, which says that its policy is its own: no other has probabilities that are known exactly."""

    @property
    def own_policy(self):
        return self.policy
'''


def test_a_policy_of_its_own_gives_the_divergence_from_the_base(place, unrendered):
    """Where the two are one, every answer says 0; at another temperature the log-probabilities would be of neither."""
    Path("tilted.py").write_text(OWN_POLICY, encoding="utf-8")
    command = ["run", "--task", "toy", "--method", "tilted.py:Tilted", "--limit", "9", "--workers", "1"]
    assert cli.main(command) == 0
    [folder] = (place / "results" / "runs").iterdir()
    run = load_run(folder)
    own, base = (
        run.scores.filter(pl.col("method") == "tilted", pl.col("metric") == m) for m in ("own_nll", "base_nll")
    )
    assert len(own) == 9 and own["value"].to_list() == base["value"].to_list() and own["value"].max() > 0
    [tilted] = [row for row in comparison(run) if row.key.method == "tilted"]
    assert (tilted.kl.value, tilted.kl.high, tilted.kl.n) == (0, 0, 9)
    assert not len(run.scores.filter(pl.col("method") != "tilted", pl.col("metric") == "own_nll"))
    assert cli.main([*command, "--set", "sampler.temperature=0.5", "--out", "cool"]) == 0
    [cool] = Path("cool", "runs").iterdir()
    assert "own_nll" not in set(load_run(cool).scores["metric"])
