"""What steers a terminal reaches none."""

import json

import pytest

from harness.core.printable import json_line, printable, without_controls

STEERS = "\x1b[31m \x9b31m \u202e \x07 \x7f \ud800"


@pytest.mark.parametrize("shown", [printable, without_controls])
def test_what_could_steer_a_terminal_is_shown_as_its_code(shown):
    assert not set(shown(STEERS)) & set("\x1b\x9b\u202e\x07\x7f\ud800")
    assert shown("plain ü 日本\n") == "plain ü 日本\n"


def test_json_for_machines_steers_no_terminal_and_reads_as_the_same():
    """`runs --json` and `export --jsonl` printed a C1 control and turned lines round, which no JSON writer escapes."""
    data = {"text": f'{STEERS} ü 日本 \u2028 \\ "', "n": [1.5, None]}
    line = json_line(data)
    assert line.isprintable() and "ü 日本" in line
    assert json.loads(line) == data
