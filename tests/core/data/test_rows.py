"""Files of every kind as rows; whatever is wrong with one is an error that says where, what was seen, what to do."""

import datetime
import json

import polars as pl
import pytest

from harness.core.data.rows import LONGEST, rows_of
from harness.core.errors import UserError

ROWS = [{"prompt": "one", "answer": "1", "n": 1}, {"prompt": "två", "answer": "2", "n": 2}]


def written(place, name, content):
    path = place / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_the_four_kinds_of_files_hold_the_same_rows(tmp_path):
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    written(tmp_path, "a.jsonl", "\n" + lines(ROWS) + "\n")
    written(tmp_path, "a.json", json.dumps(ROWS, indent=1))
    written(tmp_path, "a.csv", "prompt,answer,n\r\none,1,1\r\ntvå,2,2\r\n")
    for name in ("a.parquet", "a.jsonl", "a.json"):
        assert [row.columns for row in rows_of(tmp_path / name)] == ROWS, name
    texts = [{**row, "n": str(row["n"])} for row in ROWS]
    assert [row.columns for row in rows_of(tmp_path / "a.csv")] == texts
    assert [row.where.rpartition(", ")[2] for row in rows_of(tmp_path / "a.jsonl")] == ["line 2", "line 3"]
    assert [row.where.rpartition(", ")[2] for row in rows_of(tmp_path / "a.parquet")] == ["row 1", "row 2"]


@pytest.mark.parametrize(
    "name, text", [("a.jsonl", lines(ROWS)), ("a.json", json.dumps(ROWS)), ("a.csv", "prompt\nx\n")]
)
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path, name, text):
    path = written(tmp_path, name, b"\xef\xbb\xbf" + text.encode())
    assert "prompt" in rows_of(path)[0].columns


def test_quoted_values_of_csv_hold_commas_and_line_ends_and_an_empty_one_is_not_there(tmp_path):
    path = written(tmp_path, "a.csv", 'prompt,answer\n"one, two\nthree",\nfour,4\n')
    assert [row.columns for row in rows_of(path)] == [{"prompt": "one, two\nthree"}, {"prompt": "four", "answer": "4"}]
    assert rows_of(path)[1].where.endswith("line 4")


def test_dates_and_structs_of_parquet_are_plain_data(tmp_path):
    table = pl.DataFrame({"prompt": ["x"], "day": [datetime.date(2026, 1, 2)], "info": [{"a": [1, 2]}], "none": [None]})
    table.write_parquet(tmp_path / "a.parquet")
    (row,) = rows_of(tmp_path / "a.parquet")
    assert row.columns == {"prompt": "x", "day": "2026-01-02", "info": {"a": [1, 2]}, "none": None}


GOOD = lines(ROWS).encode()
BAD = {
    "empty": ("a.jsonl", b"", r"a\.jsonl' is empty; give a file with a row for each prompt"),
    "blank": ("a.jsonl", b"\n \n", "is empty"),
    "an empty list": ("a.json", b"[]", "is empty"),
    "an empty json": ("a.json", b"", "is empty"),
    "a header alone": ("a.csv", b"prompt,answer\n", "is empty"),
    "cut off": ("a.jsonl", GOOD[:-9], r"line 2 is no JSON: .* in column \d+, as if it was cut off .*write one JSON"),
    "a list that is cut off": ("a.json", b'[{"prompt": "a"},\n{"prompt": "b"', "line 2 is no JSON: .*as if it was cut"),
    "no json": ("a.jsonl", GOOD + b"hello\n", r"line 3 is no JSON: Expecting value in column 1 \('hello"),
    "lines in a json": ("a.json", GOOD, r"line 2 is no JSON: Extra data .*one object a line is named \.jsonl"),
    "a list in jsonl": ("a.jsonl", b'[{"prompt": "a"}]\n', "line 1 is a list .*a file that holds one list is named"),
    "a text as row": ("a.jsonl", GOOD + b'"three"\n', "line 3 is a text .*write an object with a prompt"),
    "an object as json": ("a.json", b'{"prompt": "a"}', "holds a object; give a list of objects"),
    "no UTF-8": ("a.jsonl", GOOD + b'{"prompt": "caf\xe9"}\n', r"line 3 is no UTF-8 \(byte 16: e9 22 7d 0a\); save it"),
    "UTF-16": ("a.csv", "prompt\nx\n".encode("utf-16"), r"is no UTF-8 \(byte 1: ff fe"),
    "half a character": ("a.jsonl", b'{"prompt": "x \\ud83d"}', r"line 1 holds half a character \('\\ud83d'\)"),
    "NaN": ("a.jsonl", GOOD + b'{"prompt": "x", "n": NaN}\n', "line 3 holds NaN; JSON has finite numbers: write null"),
    "inf": ("a.json", b'[{"prompt": "x", "n": -Infinity}]', "holds -Infinity; JSON has finite numbers"),
    "1e999": ("a.jsonl", b'{"prompt": "x", "n": 1e999}', "line 1 holds the number 1e999; JSON has finite numbers"),
    "a huge number": ("a.jsonl", b'{"prompt": "x", "n": ' + b"9" * 5000 + b"}", "holds the number 999999999999999999"),
    "2^63": ("a.jsonl", b'{"prompt": "x", "n": -9223372036854775808}', "holds the number -9223372036854775808;"),
    "deep": ("a.jsonl", b'{"prompt": ' + b"[" * 100_000, "line 1 is nested too deeply|line 1 is no JSON"),
    "20 MB": ("a.jsonl", GOOD + b'{"prompt": "' + b"x" * 20 * 2**20 + b'"}', "line 3 has 20.0 MB; rows have at most 4"),
    "ragged": ("a.csv", b"prompt,answer\none,1\ntwo,2,3\n", r"line 3 has 3 values for 2 columns \(prompt, answer\); q"),
    "short": ("a.csv", b"prompt,answer\none\n", "line 2 has 1 values for 2 columns"),
    "open quote": ("a.csv", b'prompt,answer\n"one,1\n', r"line \d+ is no CSV: "),
    "one name twice": ("a.csv", b"prompt,prompt\na,b\n", "line 1: the names of columns are .* give each its own name"),
    "a name twice": ("a.jsonl", GOOD + b'{"prompt": "a", "n": {"b": 1, "b": 2}}', "line 3 has 'b' twice in one object"),
    "no parquet": ("a.parquet", b"prompt\none\n" * 10, r"a\.parquet is no parquet file \(.*write it anew"),
    "an empty parquet": ("a.parquet", b"", "is no parquet file"),
    "another ending": ("a.txt", b"one\n", r"ends in \.txt; give one of \.jsonl, \.json, \.csv, \.parquet"),
    "no ending": ("a", b"one\n", "ends in nothing"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_one_error_that_says_where_and_what_to_do(tmp_path, what):
    name, content, says = BAD[what]
    with pytest.raises(UserError, match=says) as error:
        rows_of(written(tmp_path, name, content))
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_a_folder_and_a_file_that_is_not_there_are_named(tmp_path):
    (tmp_path / "data.jsonl").mkdir()
    with pytest.raises(UserError, match="is a folder; give a file in it"):
        rows_of(tmp_path / "data.jsonl")
    with pytest.raises(UserError, match="there is no such file"):
        rows_of(tmp_path / "other.jsonl")


@pytest.mark.parametrize(
    "column, says",
    [
        ([float("nan")], "row 1: n is nan; write null, or a finite number"),
        ([b"\x00"], "row 1: n holds bytes; write tex"),
    ],
)
def test_what_parquet_knows_and_json_does_not_is_named(tmp_path, column, says):
    pl.DataFrame({"prompt": ["x"], "n": column}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=says):
        rows_of(tmp_path / "a.parquet")


def test_the_longest_row_is_read(tmp_path):
    text = json.dumps({"prompt": "x" * (LONGEST - 20)})
    assert len(rows_of(written(tmp_path, "a.jsonl", text))) == 1
