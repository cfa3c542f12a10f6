"""lm-eval's samples in the forms that its versions and models write: chats, choices, repeats, older ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.loggers.evaluation_tracker import EvaluationTracker
from lm_eval.models.api_models import JsonChatStr

from harness.comparing.files import read_file
from harness.comparing.records import TEXT, Record, Records

CHAT = [{"role": "user", "content": "say 19 please"}]
LONG_CHAT = [{"role": "system", "content": "be brief"}, *CHAT]


def written(folder: Path, requests: list[tuple], answers: list[Any], **more: Any) -> Path:
    """A file of one document, written by lm-eval's own writer from its own requests."""
    asked = [Instance("generate_until", {"q": "x"}, request, i) for i, request in enumerate(requests)]
    sample = {"doc_id": 0, "doc": {"q": "x"}, "target": "a", "arguments": [one.args for one in asked],
              "resps": [[one] for one in answers], "filtered_resps": answers, "filter": "none", "metrics": ["acc"],
              "doc_hash": "1", "acc": 1.0, **more}  # fmt: skip
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name_sanitized = "model"
    tracker.date_id = "now"
    tracker.save_results_samples("sums", [sample])
    (path,) = folder.rglob("samples_sums_*.jsonl")
    return path


def one_of(records: Records) -> Record:
    (record,) = records.records
    return record


@pytest.mark.parametrize(
    "context, text",
    [
        ("say 19 please", "say 19 please"),
        (JsonChatStr(json.dumps(CHAT)), "say 19 please"),
        (JsonChatStr(json.dumps(LONG_CHAT)), "system: be brief\nuser: say 19 please"),
        (CHAT, "say 19 please"),  # of a server that puts messages into tokens itself
        (LONG_CHAT, "system: be brief\nuser: say 19 please"),
        (json.dumps(CHAT), json.dumps(CHAT)),  # a text that was asked as it stands
        (JsonChatStr("no messages"), "no messages"),
        (JsonChatStr("[1]"), "[1]"),
        (JsonChatStr("[" * 100_000), "[" * 100_000),
    ],
)
def test_what_was_asked_is_read_as_text_of_texts_and_of_chats(tmp_path, context, text):
    """A chat was named by the JSON of its messages, which no other file has: neither compare nor import met it."""
    record = one_of(read_file(written(tmp_path, [(context, {"until": ["x"]})], ["19"])))
    assert (record.names[TEXT], record.answer) == (text, "19")


def test_choices_share_what_is_asked_and_have_no_answer(tmp_path):
    scored = [(-1.5, True), (-2.5, False)]
    record = one_of(read_file(written(tmp_path / "a", [("2+2=", " 4"), ("2+2=", " 5")], scored)))
    assert record.names == {"doc_hash": "1", TEXT: "2+2="} and record.answer is None
    blanks = one_of(read_file(written(tmp_path / "b", [("The cat", " sat"), ("The dog", " sat")], scored)))
    assert blanks.names == {"doc_hash": "1"}  # of winogrande, whose contexts differ


def test_versions_that_wrote_arguments_as_lists_are_read(tmp_path):
    line = {"doc_id": 3, "doc": {}, "target": "4", "arguments": [["2+2=", {"until": ["x"]}]], "resps": [["4"]],
            "filtered_resps": ["4"], "filter": "none", "metrics": ["acc"], "acc": 1.0}  # fmt: skip
    (tmp_path / "old.jsonl").write_text(json.dumps(line))
    record = one_of(read_file(tmp_path / "old.jsonl"))
    assert record.names == {"doc_id": "3", TEXT: "2+2="}


def test_repeats_have_one_answer_where_the_filter_takes_one(tmp_path):
    asked = [("2+2=", {"until": ["x"]})]
    took = written(tmp_path / "a", asked, ["4"], resps=[["4", "5", "4"]])
    assert one_of(read_file(took)).answer == "4" and one_of(read_file(took)).scores == {"acc": 1.0}
    kept = written(tmp_path / "b", asked, [["4", "5", "4"]], metrics=["pass@3"], **{"pass@3": 0.5})
    assert one_of(read_file(kept)).answer is None and one_of(read_file(kept)).scores == {"pass@3": 0.5}


def test_versions_that_did_not_list_their_metrics_are_read(tmp_path):
    """They held no scores."""
    path = written(tmp_path, [("2+2=", {"until": ["x"]})], ["4"], exact_match=0.0, words=[1, 2])
    line = {name: value for name, value in json.loads(path.read_text()).items() if name not in ("metrics", "filter")}
    path.write_text(json.dumps(line))
    assert one_of(read_file(path)).scores == {"acc": 1.0, "exact_match": 0.0}
