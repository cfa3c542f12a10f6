"""The names of stored columns stand once."""

import re
from pathlib import Path

import polars as pl
import pytest

from harness.core import task
from harness.evidence.schema import ANSWER, COLUMNS, GOLD, KEYS, ROW, Row

ROOT = Path(__file__).parents[2]
KEY_SPELLED = re.compile(r"""["']method["'][^()]{0,60}["']iteration["'][^()]{0,60}["']final_pick["']""")
OWN = "harness/evidence/schema.py"


def sources() -> dict[str, str]:
    """Every source of ours, by path; of the options of `judge`, which share the words, all but their names."""
    paths = [path for top in ("harness", "methods", "tasks") for path in (ROOT / top).rglob("*.py")]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    options = "harness/judging/options.py"
    texts[options] = texts[options].replace('_ROWS = ("method", "iteration", "final_pick", "opponent_method"', "")
    return texts


def test_the_key_of_a_row_is_spelled_once():
    assert [path for path, text in sources().items() if KEY_SPELLED.search(text)] == []


@pytest.mark.parametrize(
    "spelled",
    [
        '("method", "iteration", "final_pick", "prompt_id")',
        "on=['method', 'iteration', 'final_pick']",
        '{\n    "method": method,\n    "iteration": iteration,\n    "final_pick": pick,\n}',
    ],
)
def test_a_planted_spelling_is_found(spelled):
    assert KEY_SPELLED.search(spelled)


def test_metrics_are_named_once_in_evidence_and_judging():
    for path, text in sources().items():
        if path.startswith(("harness/evidence", "harness/judging")) and path != OWN:
            code = text.split('"""', 2)[2]  # without the example of the docstring
            assert not re.search(r"[\"'](gold_reward|proxy_reward|base_nll)[\"']", code), path


def test_scores_are_standardised_once():
    found = [path for path, text in sources().items() if path.startswith("harness/evidence") and '["sd"]' in text]
    assert found == []


def test_tasks_and_tables_name_the_gold_alike():
    assert task.GOLD == GOLD


def test_a_row_is_the_key_that_polars_groups_by():
    table = pl.DataFrame([{"method": "iro", "iteration": 2, "final_pick": "value", "prompt_id": "p"}])
    (key,) = table.partition_by(ROW, as_dict=True)
    assert key == Row("iro", 2, "value")
    assert Row(*key).name == "iro (iteration 2)" and Row("base", 0, "first").name == "base"
    assert ANSWER[:3] == ROW and set(ROW) < set(KEYS) and set(ANSWER) < set(COLUMNS["completions"])
