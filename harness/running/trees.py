"""The search trees of a run's first prompts: which prefixes were kept, by which values, and how good they ended.

trace(context, "iro", 2, method, key, prompts)     # rows of trace.parquet
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.core.as_before import hashed
from harness.core.generator import Generator
from harness.core.reward import RewardHandle
from harness.core.search.tree import Prefix, Tree
from harness.core.types import Prompt
from harness.evidence.schema import GOLD, PROXY
from harness.running.artifacts import Made
from harness.running.base_nll import BaseNll
from harness.running.gold import GoldHandle
from harness.running.stages import RAW, RunContext, label_of

TRACED = ("score", "values", "betas", PROXY, GOLD)  # what a row of a search tree says of its prefix


def trace(
    context: RunContext, name: str, iteration: int, method: Generator, key: str, prompts: Sequence[Prompt]
) -> list[dict[str, Any]]:
    """Search trees of the first prompts by id, a row a prefix: searched again in the batches of `answer`, uncharged.

    Finalists have their proxy and gold, in raw units, which no method is shown.
    """
    wanted = {p.id for p in sorted(prompts, key=lambda p: p.id)[: context.config.settings["evaluate"].trace]}
    batches = context.batches(prompts, method.rows_per_prompt(method.config), method.memory_factor(method.config))
    batches = [batch for batch in batches if any(p.id in wanted for p in batch)]
    gold = GoldHandle(context.task, context.ledger, BaseNll(context.handle))
    proxy = RewardHandle(context.task.reward(), context.ledger, RAW)

    def job(batch: list[Prompt]) -> Made:
        tree = Tree()
        method.observer = tree
        answers = [a for a in method.generate(context.withheld.bare(batch)) if a.prompt.id in wanted]
        method.observer = None
        ends = context.withheld.whole([c.completion for a in answers for c in a.finalists])
        scored = zip(ends, gold(ends)[GOLD].tolist(), proxy(ends).tolist(), strict=True)
        finalists = {(c.prompt.id, c.text): {GOLD: of_gold, PROXY: of_proxy} for c, of_gold, of_proxy in scored}
        return [row for a in answers for row in _tree_rows(a.prompt.id, tree.rounds[a.prompt.id], finalists)], {}

    inputs = {"method": key, "settings": hashed(method.config), "iteration": iteration, "prompts": sorted(wanted)}
    inputs["holds"] = TRACED  # not a version: those name runs, and trees shape no number of theirs
    inputs["batches"] = [[context.prompt_key(p) for p in batch] for batch in batches]
    _, result = context.run("trace", f"{label_of(name, iteration)}: search trees", inputs, batches, job, "generate")
    return [row for payload in result.payloads for row in payload]


def _tree_rows(
    prompt_id: str, rounds: Sequence[Sequence[Prefix]], finalists: Mapping[tuple[str, str], Mapping[str, float]]
) -> list[dict[str, Any]]:
    """A row a prefix; `finalists` are the scores of those kept in the last round, by prompt and text."""
    rows = []
    for i, prefixes in enumerate(rounds, 1):
        for j, prefix in enumerate(prefixes):
            ends = finalists.get((prompt_id, prefix.text), {}) if i == len(rounds) and prefix.kept else {}
            where = {"prompt_id": prompt_id, "round": i, "row": j}
            rows.append({**where, **asdict(prefix), PROXY: ends.get(PROXY), GOLD: ends.get(GOLD)})
    return rows
