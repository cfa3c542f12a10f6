"""What the browser of a run's page shows: answers with their scores, and search trees, as plain data; no torch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from harness.evidence.names import display_name
from harness.evidence.page.verdict import TableRow, main_row
from harness.evidence.schema import ANSWER, BASE_NLL, GOLD, PROXY, ROW, Row
from harness.evidence.store import Run
from harness.evidence.table import answers_by_row, repeats_value

_SEARCH = ("width", "successors", "chunk", "select")


def page_data(run: Run, table: list[TableRow]) -> dict[str, Any]:
    """What the browser shows of the rows that stand in the run's table. Rows that gave one prompt the same share it.

    prompts: [id, text]. picks[row][prompt]: a place in answers[prompt]: [text, gold (sd), proxy (sd), base NLL, tokens,
    stop]. start: the rows shown at first, IRO's last iteration (or what else speaks for the run) and best-of-n. names:
    of methods, for people. trees: one for a method, iteration and prompt, with rounds of [parent, text, S, kept,
    [V_1, ..], proxy, gold]; the last three are null where they are not known. searches: how each method searched.
    """
    wide = run.scores.pivot("metric", index=list(ANSWER), values="value")
    found = run.completions.join(wide, on=ANSWER, how="inner", maintain_order="left")
    prompts = found.unique("prompt_id").sort("prompt_id").select("prompt_id", "prompt").rows()
    place = {prompt_id: i for i, (prompt_id, _) in enumerate(prompts)}
    parts = answers_by_row(run)
    rows: dict[Row, list[int | None]] = {key: [None] * len(prompts) for key in parts if not repeats_value(parts, key)}
    answers: list[dict[tuple[Any, ...], int]] = [{} for _ in prompts]
    for one in found.iter_rows(named=True):
        if (row := rows.get(Row(*(one[name] for name in ROW)))) is None:
            continue
        i = place[one["prompt_id"]]
        gold, proxy = (_number(run.record.standardised(metric, float(one[metric]))) for metric in (GOLD, PROXY))
        answer = (one["response"], gold, proxy, _number(one.get(BASE_NLL)), one.get("n_tokens"), one.get("stop"))
        row[i] = answers[i].setdefault(answer, len(answers[i]))
    keys, start = list(rows), [main_row(table), main_row(table, "best_of_n") or main_row(table, "base")]
    return {
        "run": run.id,
        "prompts": prompts,
        "rows": [{"method": key.method, "iteration": key.iteration, "pick": key.final_pick} for key in keys],
        "picks": list(rows.values()),
        "answers": [list(of_prompt) for of_prompt in answers],
        "start": [keys.index(row.key) if row is not None and row.key in keys else 0 for row in start],
        "trees": [] if run.trace is None else _trees(run, run.trace, place),
        "names": {key.method: display_name(key.method) for key in keys},
        "searches": _searches(run, [key.method for key in keys]),
    }


def _trees(run: Run, trace: pl.DataFrame, place: Mapping[str, int]) -> list[dict[str, Any]]:
    trees, keys = [], ("method", "iteration", "prompt_id")
    for key, part in trace.sort("round", "row").partition_by(*keys, as_dict=True, maintain_order=True).items():
        method, iteration, prompt_id = key
        if prompt_id not in place:
            continue
        rounds = [
            [_prefix(run, found) for found in of_round.iter_rows(named=True)]
            for of_round in part.partition_by("round", maintain_order=True)
        ]
        betas = part["betas"][0].to_list() if "betas" in part.columns else None
        tree = {"method": method, "iteration": iteration, "prompt": place[prompt_id]}
        trees.append({**tree, "betas": betas, "rounds": rounds})
    return trees


def _prefix(run: Run, found: Mapping[str, Any]) -> list[Any]:
    """A row of a tree; what earlier versions did not store is null."""
    values = found.get("values")
    scores = [
        None if (raw := found.get(metric)) is None else _number(run.record.standardised(metric, float(raw)))
        for metric in (PROXY, GOLD)
    ]
    shown = None if values is None else [_number(value) for value in values]
    return [found["parent"], found["text"], _number(found["score"]), found["kept"], shown, *scores]


def _searches(run: Run, methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By method, of those that search by chunks."""
    settings = {name: run.record.settings(name) for name in dict.fromkeys(methods)}
    return {name: {key: of[key] for key in _SEARCH if key in of} for name, of in settings.items() if "chunk" in of}


def _number(value: float | None) -> float | None:
    """Three decimals; what could not be scored is null."""
    return None if value is None or math.isnan(value) else round(value, 3)
