"""Scores of answers and base samples, as the rows of a run's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from harness.core.statistics.stats import correlation
from harness.core.task import GOLD, PART
from harness.core.types import Answer, Completion, Prompt
from harness.evidence.schema import CLUSTER
from harness.running.scoring import Key, Own, key_of, score
from harness.running.stages import Pool, RunContext, label_of

_ERROR = "_error"  # at the end of the name of a metric: why a grader has no score
Rows = dict[str, list[dict[str, Any]]]  # table -> rows


def evaluate(
    context: RunContext, name: str, iteration: int, answers: Sequence[Answer], rows: Rows, own: Own | None = None
) -> None:
    """Score what was picked, and append the rows of the tables; `own` is the policy that wrote it, if not the base."""
    picked = [a.pick(pick) for a in answers for pick in a.picks]
    scores = score(context, f"{label_of(name, iteration)}: scores", name, iteration, picked, nll=True, own=own)
    about = {"method": name, "variant": "default", "iteration": iteration}
    for a in answers:
        for pick, work in a.work.items():
            completion = a.pick(pick)
            where = {**about, "final_pick": pick, "prompt_id": a.prompt.id}
            cluster = context.task.cluster(a.prompt)
            rows["completions"].append(
                {
                    **where,
                    **({} if cluster is None else {CLUSTER: cluster}),
                    "prompt": _shown(a.prompt),
                    "reference": a.prompt.reference,
                    "response": completion.text,
                    "n_tokens": completion.length,
                    "stop": completion.stop,
                    **asdict(work),
                }
            )
            metrics = scores[key_of(completion)]
            whole = {name: value for name, value in metrics.items() if not name.startswith(PART)}
            rows["scores"] += [{**where, "metric": metric, "value": value} for metric, value in whole.items()]
            rows.setdefault("parts", []).extend(_part_rows(where, metrics))
    if name == "best_of_n":  # the curve over n comes from the whole pool
        samples = [c.completion for a in answers for c in a.finalists]
        scores = score(context, "best_of_n: scores of all samples", "harness", 0, samples, nll=False)
        rows["pool"] += _pool_rows("test", samples, scores)


def _part_rows(where: Mapping[str, Any], metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """What the graders' scores of an answer are made of; a part without a value has no row."""
    rows = []
    for metric, value in metrics.items():
        if metric.startswith(PART) and not np.isnan(value):
            grader, _, name = metric.removeprefix(PART).partition("/")
            rows.append({**where, "grader": grader, "part": name, "value": value})
    return rows


def score_pool(context: RunContext, pool: Pool) -> list[dict[str, Any]]:
    """Raw proxy and gold of the base samples: the units of the report, and how far the two rewards agree."""
    samples = [c.completion for c in pool.candidates]
    return _pool_rows("fit", samples, score(context, "base samples: scores", "harness", 0, samples, nll=False))


def _pool_rows(
    part: str, samples: Sequence[Completion], scores: Mapping[Key, Mapping[str, float]]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    last: dict[str, int] = {}
    for completion in samples:
        row = last[completion.prompt.id] = last.get(completion.prompt.id, -1) + 1
        found = scores[key_of(completion)]
        metrics = {name: found[name] for name in ("proxy_reward", GOLD, *(name for name in found if _is_error(name)))}
        rows.append({"part": part, "prompt_id": completion.prompt.id, "row": row, **metrics})
    return rows


def ungraded(rows: Rows, names: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
    """Which grader could not score how many answers and base samples, by reason: {"proxy": {reason: {"answers": 3}}}.

    A score of a metric such as `proxy_error` is the place of the reason in `names`, from 1, and 0 where there is none.
    """
    seen = [("answers", row["metric"], row["value"]) for row in rows["scores"]]
    seen += [("samples", name, value) for row in rows["pool"] for name, value in row.items()]
    found: dict[str, dict[str, dict[str, int]]] = {}
    for what, metric, value in seen:
        if _is_error(metric) and value:
            counts = found.setdefault(metric.removesuffix(_ERROR), {}).setdefault(names[int(value) - 1], {})
            counts[what] = counts.get(what, 0) + 1
    return found


def _is_error(metric: str) -> bool:
    return metric.endswith(_ERROR)


def _shown(prompt: Prompt) -> str:
    messages = prompt.messages or ()
    return prompt.text if prompt.text is not None else "\n".join(f"{m.role}: {m.content}" for m in messages)


def agreement(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    proxy, gold = (np.array([row[name] for row in rows]) for name in ("proxy_reward", GOLD))
    usable = ~np.isnan(proxy) & ~np.isnan(gold)
    prompts = np.array([row["prompt_id"] for row in rows])[usable]
    proxy, gold = proxy[usable], gold[usable]
    return {
        "n": int(usable.sum()),
        "correlation": correlation(proxy, gold),
        "within_prompt_correlation": correlation(proxy, gold, prompts),
    }
