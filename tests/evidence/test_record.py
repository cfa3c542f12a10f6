"""run.json as it is read: what older versions did not record is None, what is no run.json is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import UserError
from harness.evidence.record import read_record
from harness.evidence.store import load_run

RUNS = Path(__file__).parents[2] / "results" / "runs"
OLD = Path(__file__).with_name("old_runs")  # run.json of versions that knew less
STORED = sorted([*RUNS.glob("*/run.json"), *OLD.glob("*/run.json")])
LEAST = {"config": {"task": "toy", "settings": {}}, "units": {}, "task_facts": {}}
PATH = Path("toy-1/run.json")


def test_the_least_that_is_read_has_none_of_the_rest():
    record = read_record(PATH, LEAST)
    assert (record.config.seed, record.commit, record.budgets, record.flops, record.agreement) == (None,) * 5
    assert record.short_commit == "not recorded" and record.settings("iro") == {} and record.trained == ()


@pytest.mark.parametrize(
    "commit, dirty, shown",
    [
        ("0123456789abcdef", False, "0123456789"),
        ("0123456789abcdef", True, "0123456789 with uncommitted changes"),
        ("unknown", None, "unknown"),
        ("unknown", True, "unknown"),  # as earlier versions noted it: of no checkout, so nothing is known to be changed
        (None, None, "not recorded"),
    ],
)
def test_an_unknown_commit_is_not_one_with_uncommitted_changes(commit, dirty, shown):
    assert read_record(PATH, {**LEAST, "commit": commit, "dirty": dirty}).short_commit == shown


def test_what_is_needed_and_was_not_recorded_is_named():
    record = read_record(PATH, LEAST)
    with pytest.raises(UserError, match=r"toy-1/run.json has no config.seed"):
        _ = record.seed
    with pytest.raises(UserError, match=r"toy-1/run.json has no units.gold_reward"):
        record.standardised("gold_reward", 1.0)


def test_runs_of_imdb_from_before_versions_were_recorded_are_of_the_first_rewards():
    imdb = {**LEAST, "config": {"task": "imdb", "settings": {}}}
    assert read_record(PATH, imdb).reward_versions == {"proxy": 2, "gold": 1}
    now = {**imdb, "task_facts": {"reward_versions": {"proxy": 3, "gold": 2}}}
    assert read_record(PATH, now).reward_versions == {"proxy": 3, "gold": 2}
    assert read_record(PATH, LEAST).reward_versions == {}


@pytest.mark.parametrize(
    "change, says",
    [
        ({"config": {"task": 3, "settings": {}}}, r"config.task: input should be a valid string, and is '3'"),
        ({"config": {"task": "toy"}}, r"config.settings: field required"),
        ({"units": {"gold_reward": {"mean": "0", "sd": 1}}}, r"units.gold_reward.mean: input should be a valid number"),
        ({"units": {"gold_reward": {"mean": 0.0}}}, r"units.gold_reward.sd: field required"),
        ({"budgets": {"iro": 1.5}}, r"budgets.iro: input should be a valid integer, and is '1.5'"),
        ({"budgets": {"iro": "16"}}, r"budgets.iro: input should be a valid integer"),
        ({"kl_bounds": []}, r"kl_bounds: .*dictionary"),
        ({"dirty": "no"}, r"dirty: input should be a valid boolean, and is 'no'"),
        ({"trained": "dpo"}, r"trained"),
        ({"flops": {"policy_token": 1.0}}, r"flops.reward_call: field required"),
    ],
)
def test_a_wrong_type_is_named_with_file_and_key(change, says):
    with pytest.raises(UserError, match=rf"toy-1/run.json: {says}"):
        read_record(PATH, {**LEAST, **change})


def test_whole_numbers_are_numbers_and_later_parts_are_passed_over():
    record = read_record(PATH, {**LEAST, "units": {"x": {"mean": 1, "sd": 2}}, "seconds": 3, "of a later version": []})
    assert record.standardised("x", 5.0) == 2.0 and record.seconds == 3.0


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_every_stored_run_has_a_record(path):
    about = json.loads(path.read_text(encoding="utf-8"))
    record = read_record(path, about)
    assert record.config.settings == about["config"]["settings"] and record.commit == about["commit"]
    assert vars(record.units["gold_reward"]) == about["units"]["gold_reward"]


def test_a_damaged_run_json_is_refused_when_the_run_is_loaded(planted, tmp_path):
    run = load_run(RUNS / "imdb-442cf1f6c2")
    folder = tmp_path / "imdb-bad"
    folder.mkdir()
    for path in run.folder.glob("*.parquet"):
        (folder / path.name).symlink_to(path)
    (folder / "run.json").write_text(json.dumps({**run.about, "budgets": {"iro": "many"}}), encoding="utf-8")
    with pytest.raises(UserError, match=r"imdb-bad/run.json: budgets.iro"):
        load_run(folder)


def test_a_model_of_a_server_is_named_with_what_wrote_it(planted):
    config = {**planted.about["config"], "model": "openai:#llama-3-8b"}
    identity = {"engine": {"server": "vllm 0.33.0", "goes_on": "trailing"}}
    served = replace(planted, about={**planted.about, "config": config, "identity": identity})
    assert served.record.model_name == "llama-3-8b by vllm 0.33.0"
    assert planted.record.model_name == "toy"
