"""What a search had, as tables say it: of every prompt that was answered, whether or not it has a score."""

from dataclasses import replace
from types import SimpleNamespace

import polars as pl

from harness.evidence.table import comparison
from harness.sweeps.tune import Judged, _Search
from tests.conftest import PRICES


def test_answers_without_a_score_were_paid_for(planted):
    """Gold was known of 57 of 60 prompts, and 57 stood in every table."""
    lost = (pl.col("metric") == "gold_reward") & (pl.col("prompt_id") < "p03")
    scores = planted.scores.with_columns(pl.when(lost).then(float("nan")).otherwise("value").alias("value"))
    run = replace(planted, scores=scores, about={**planted.about, "flops": PRICES})
    row = next(row for row in comparison(run) if row.key.method == "iro")
    assert row.gold.n == 57
    search = SimpleNamespace(tries=[SimpleNamespace(judged=Judged(row, 2.0, 60))] * 2, is_cut=False)
    budget = _Search.budget(search)
    assert (budget["tries"], budget["prompts"], budget["seconds"]) == (2, 60, 4.0)
    assert budget["flops"] == 2 * (60 * row.costs.flops + row.costs.fit_flops)
