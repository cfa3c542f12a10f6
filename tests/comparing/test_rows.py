"""Rows and AlpacaEval's files: truth values, numbers beyond all floats, instructions with an input, odd entries."""

import json
from math import inf
from pathlib import Path

import pytest

from harness.comparing.compare import compare
from harness.comparing.files import read_file
from harness.comparing.records import TEXT
from harness.core.errors import UserError


def write(path: Path, content: str | list[dict]) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("yes, no", [("True", "False"), ("true", "false"), ("TRUE", "FALSE"), ("1", "0")])
def test_truth_values_of_a_csv_are_scores(tmp_path, yes, no):
    """pandas writes True and False: such a file held no scores, and the same rows as JSON did."""
    found = read_file(write(tmp_path / "a.csv", f"prompt,correct\nq1,{yes}\nq2,{no}\nTrue,{yes}\n"))
    assert [record.scores for record in found.records] == [{"correct": 1.0}, {"correct": 0.0}, {"correct": 1.0}]
    assert found.records[2].names[TEXT] == "True"


@pytest.mark.parametrize("digits, score", [("1" + "0" * 400, inf), ("-1" + "0" * 400, -inf)])
def test_a_whole_number_beyond_all_floats_is_infinite_and_counted(tmp_path, digits, score):
    """It was a traceback."""
    rows = f'{{"prompt": "a", "score": {digits}}}\n{{"prompt": "b", "score": 1}}\n'
    found = read_file(write(tmp_path / "a.jsonl", rows))
    assert found.records[0].scores == {"score": score}
    assert dict(compare(found, found).a.unscored) == {"infinite": 1}


def test_an_instruction_with_an_input_is_asked_with_it(tmp_path):
    """Alpaca's rows share instructions: what differs is the input, which was left out."""
    rows = [{"instruction": "Translate", "input": text, "score": 1.0} for text in ("a", "b", "")]
    found = read_file(write(tmp_path / "a.json", rows))
    assert [record.names[TEXT] for record in found.records] == ["Translate\n\na", "Translate\n\nb", "Translate"]
    alone = read_file(write(tmp_path / "b.json", [{"input": "Translate", "score": 1.0}]))
    assert alone.records[0].names[TEXT] == "Translate"


def test_outputs_of_alpaca_eval_have_answers_and_no_scores(tmp_path):
    rows = [{"dataset": "koala", "instruction": f"q{i}", "output": f"a{i}", "generator": "us"} for i in range(2)]
    found = read_file(write(tmp_path / "model_outputs.json", rows))
    assert [(record.names, record.answer, record.scores) for record in found.records] == [
        ({TEXT: f"q{i}"}, f"a{i}", {}) for i in range(2)
    ]


@pytest.mark.parametrize(
    "name, first, other, says",
    [
        ("annotations.json", {"instruction": "q", "output_1": "a", "output_2": "b", "preference": 1.5},
         {"instruction": "r", "output_1": "a", "preference": 1.0}, "entry 2 is no annotation, as the first one is"),
        ("samples.jsonl", {"doc_id": 0, "doc": {}, "filtered_resps": ["x"]},
         {"doc": {}, "note": "x"}, "line 2 is no sample, as the first one is"),
    ],
)  # fmt: skip
def test_an_entry_of_another_kind_is_named(tmp_path, name, first, other, says):
    """It was a KeyError."""
    both = [first, other]
    content = "\n".join(map(json.dumps, both)) if name.endswith("l") else both
    with pytest.raises(UserError, match=says):
        read_file(write(tmp_path / name, content))
