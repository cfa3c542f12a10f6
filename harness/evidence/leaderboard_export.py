"""The leaderboard as the hub takes it: a model card with results in its `model-index`, and the results as files.

python -m harness leaderboard --export FOLDER     # README.md, results.json, results.parquet: upload the folder

Every row of the first tables is an entry of the index: a method, with its final pick, on one model. Its metrics are
those of the harness, which the hub does not verify: gold in standard deviations of base samples, and what it cost.
"""

import json
from collections.abc import Sequence
from itertools import groupby
from math import isnan
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

from harness.core.errors import UserError
from harness.core.files import put_parquet, whole
from harness.evidence.graders import ORACLE
from harness.evidence.leaderboard_markdown import SHORT, cells_of, intro, markdown_rows, settings_apart
from harness.evidence.leaderboard_row import Entry, settings_in_words, table_of
from harness.evidence.schema import GOLD

_FILES = ("README.md", "results.json", "results.parquet")
_UNIT = "gold reward, sd of base samples above the base's mean"


def export(entries: Sequence[Entry], folder: Path) -> Path:
    """Write the three files; the path of the card. Raises UserError where the folder holds other things."""
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= set(_FILES)):
        raise UserError(f"--export {str(folder)!r} holds other things; give a folder that is empty, or not there")
    if not entries:
        raise UserError("no run stands in a first table of the leaderboard yet, so there is nothing to export")
    index = [entry_of_index(entry) for entry in entries]
    texts = {
        "README.md": f"---\n{_front_matter(entries, index)}---\n\n{_card(entries)}",
        "results.json": json.dumps([result_of(entry) for entry in entries], indent=1) + "\n",
    }
    for name, text in texts.items():
        with whole(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    with whole(folder / "results.parquet") as part:
        put_parquet(table_of(entries), part)
    return folder / "README.md"


def entry_of_index(entry: Entry) -> dict[str, Any]:
    """A row as an element of `model-index`."""
    row, costs = entry.row, entry.row.costs
    wins = row.win_rate_over_base
    metrics: dict[str, tuple[str, float | None]] = {
        GOLD: (_UNIT, row.gold.value),
        "gold_minus_best_of_n": (
            f"gold less that of {row.beside}, paired, in the same unit",
            None if row.against_best_of_n is None else row.against_best_of_n.value,
        ),
        "win_rate_over_base": ("share of prompts won", None if wins is None else wins.value),
        "reward_calls": ("texts the proxy scores, a prompt", costs.reward_calls),
        "flops": ("estimated FLOPs a prompt, without fitting", costs.flops),
    }
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=entry.task,
            dataset_name=f"{entry.task}, profile {entry.profile}",
            dataset_split=entry.slice,
            dataset_args={"prompts": row.gold.n, "seed": entry.seed, "rewards": dict(entry.rewards)},
            metric_type=name,
            metric_name=says,
            metric_value=round(float(value), 6),
        )
        for name, (says, value) in metrics.items()
        if value is not None and not isnan(value)
    ]
    made: dict[str, Any] = eval_results_to_model_index(_name(entry), results)[0]
    return made


def result_of(entry: Entry) -> dict[str, Any]:
    """A row with its intervals and where it comes from, for results.json."""
    row = entry.row
    estimates = {"gold": row.gold, "gold_minus_best_of_n": row.against_best_of_n, "proxy": row.proxy}
    return {
        **{name: getattr(entry, name) for name in ("task", "model", "profile", "seed", "slice", "run_id", "commit")},
        **row.key._asdict(),
        "settings_from": entry.settings_from,
        "settings": dict(entry.settings),
        "rewards": dict(entry.rewards),
        "is_oracle": row.is_oracle,
        "clusters": row.clusters,
        "unit": _UNIT,
        **{name: None if of is None else _estimate(of) for name, of in estimates.items()},
        "set_beside": row.beside,
        "p_holm": row.p_holm,
        "reward_calls": row.costs.reward_calls,
        "policy_tokens": row.costs.policy_tokens,
        "flops": row.costs.flops,
        "flops_with_fitting": row.costs.flops_with_fitting,
    }


def _estimate(of: Any) -> dict[str, Any]:
    """NaN is no JSON."""
    return {name: None if isnan(value := getattr(of, name)) else value for name in ("value", "low", "high", "n")}


def _front_matter(entries: Sequence[Entry], index: Sequence[dict[str, Any]]) -> str:
    about = {
        "library_name": "iro-harness",
        "pipeline_tag": "text-generation",
        "tags": ["alignment", "test-time", "decoding", *dict.fromkeys(entry.row.key.method for entry in entries)],
        "model-index": list(index),
    }
    text: str = yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _card(entries: Sequence[Entry]) -> str:
    parts = ["# Test-time alignment of frozen language models", *intro(entries)]
    for title, section in groupby(entries, lambda entry: entry.title):
        of_section = list(section)
        apart = settings_apart(of_section, [])
        columns = [name for name in SHORT if name != "run"]  # a link into the folder of results
        rows = [[cells_of(entry, apart)[name] for name in columns] + [entry.run_id] for entry in of_section]
        parts += [f"## {title}", markdown_rows([*columns, "run"], rows)]
    said = {entry.row.key.method: settings_in_words(entry.settings) for entry in entries if entry.settings}
    parts += ["## Settings", "\n".join(f"* `{name}`: {words}" for name, words in sorted(said.items()))]
    parts.append("`results.json` and `results.parquet` have the same rows with their intervals, costs and settings.")
    return "\n\n".join(parts) + "\n"


def _name(entry: Entry) -> str:
    oracle = f" ({ORACLE})" if entry.row.is_oracle else ""
    return f"{entry.title}: {entry.row.key.name}, picked by {entry.row.key.final_pick}{oracle}"
