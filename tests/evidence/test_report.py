"""What the report says and draws, on a planted run."""

import io
import xml.etree.ElementTree
from dataclasses import replace

import polars as pl
import pytest

from harness.evidence.page.verdict import stored_rows, verdict
from harness.evidence.report import write_report
from harness.evidence.report_table import table_markdown
from harness.evidence.schema import Row
from harness.evidence.screen import show_run
from harness.evidence.table import best_of_n_curve, comparison
from harness.evidence.terminal import Terminal
from tests.conftest import PRICES


def test_flops_are_a_column_where_the_run_has_prices(planted):
    assert "FLOPs" not in table_markdown(comparison(planted))
    priced = replace(planted, about={**planted.about, "flops": {**PRICES, "policy_token": 1e9}})
    shown = table_markdown(comparison(priced))
    assert "| GFLOPs (with fitting) |" in shown
    assert "| 20 (20) |" in shown and "| 90 (257) | 91 |" in shown


@pytest.mark.slow
def test_the_report_says_which_best_of_n_is_as_good(planted, unrendered):
    report = write_report(planted).read_text()
    section = report.split("## The best-of-n that is as good")[1].split("\n## ")[0]
    value, reward = (line for line in section.splitlines() if line.startswith("| iro"))
    found = comparison(planted)[2].equivalent
    n, share = found.as_good_as, found.share_of_tokens
    assert f"| {n.value:.1f} [{n.low:.1f}, " in value and f"| {100 * share.value:.0f}%" in value
    assert "| >8" in reward and "| <100%" in reward
    doubled = [line.split(" | ") for line in section.split("| best of |")[1].splitlines()[2:]]
    curve = best_of_n_curve(planted)
    assert [line[:3] for line in doubled] == [
        [f"| {n}", str(curve[n - 1].gold), str(curve[n - 1].proxy)] for n in (1, 2, 4, 8)
    ]
    assert [line[3] for line in doubled] == ["20 |", "30 |", "50 |", "90 |"]
    priced = replace(planted, about={**planted.about, "flops": PRICES})
    assert "share of its FLOPs, with fitting" in write_report(priced).read_text()


@pytest.mark.slow
def test_the_report_shows_over_optimisation_and_drift(planted, unrendered):
    section = write_report(planted).read_text().split("## Over-optimisation and drift")[1].split("\n## ")[0]
    value, reward = (line for line in section.splitlines() if line.startswith("| iro"))
    assert "| 100% [100, 100] | 8.0 |" in value  # every answer repeats; 8 tokens
    assert "| 0% [0, 0] | 2.0 |" in reward
    assert "KL at most" not in section and "mean gold is highest at n = 8" in section
    bounded = replace(planted, about={**planted.about, "kl_bounds": {"base": 0.0, "iro": 2.7}})
    assert "| KL at most (nats) |" in write_report(bounded).read_text()


def test_kl_is_an_estimate_or_a_bound_and_never_both(planted, unrendered):
    """One column held the base's 0, DPO's nothing and bounds, as if they compared."""
    value = planted.scores.filter(pl.col("final_pick") == "value", pl.col("metric") == "base_nll")
    own = value.with_columns(pl.lit("own_nll").alias("metric"), (pl.col("value") - 0.25).alias("value"))
    about = {**planted.about, "kl_bounds": {"base": 0.0, "best_of_n": 1.2, "iro": 2.7}}
    run = replace(planted, about=about, scores=pl.concat([planted.scores, own]))
    base, best, by_value, by_reward = comparison(run)
    assert (base.kl.value, base.kl.low, base.kl.n) == (0, 0, 60)
    assert by_value.kl.value == pytest.approx(8 * 0.25)  # eight tokens, each a quarter of a nat above the base
    assert best.kl is None and by_reward.kl is None
    text = write_report(run).read_text(encoding="utf-8")
    lines = text.split("## Over-optimisation and drift")[1].split("\n## ")[0].splitlines()
    header = next(line for line in lines if line.startswith("| method")).split(" | ")
    at = [header.index(f"KL {kind} (nats)") for kind in ("estimated", "at most")]
    cells = [[line.split(" | ")[i] for i in at] for line in lines if line.startswith(("| base ", "| best", "| iro"))]
    assert cells == [["0.00 [0.00, 0.00]", "n/a"], ["n/a", "1.2"], ["2.00 [2.00, 2.00]", "n/a"], ["n/a", "2.7"]]
    assert "two columns that do not compare" in text


@pytest.mark.slow
def test_every_figure_is_a_png_an_svg_and_a_pdf_and_comes_out_the_same_again(planted):
    def drawn() -> dict[str, bytes]:
        write_report(planted)
        return {
            path.name: path.read_bytes() for path in planted.folder.iterdir() if path.suffix in (".png", ".svg", ".pdf")
        }

    first = drawn()
    names = {"gold_by_method", "gold_against_compute", "win_rates", "proxy_against_gold"}
    assert set(first) == {f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")}
    assert first == drawn()
    for name, content in first.items():
        if name.endswith(".svg"):
            xml.etree.ElementTree.fromstring(content)
            assert b"<dc:date>" not in content
        assert b"CreationDate" not in content


def test_a_run_of_the_base_alone_has_a_report(planted):
    base = pl.col("method") == "base"
    alone = replace(
        planted,
        completions=planted.completions.filter(base),
        scores=planted.scores.filter(base),
        ledger=planted.ledger.clear(),
        pool=planted.pool.clear(),
    )
    report = write_report(alone).read_text()
    assert "best-of-n that is as good" not in report and "| base | first |" in report


@pytest.mark.slow
def test_layers_and_poolings_that_were_tried_are_compared(planted, unrendered):
    scored = {("last", 6): 0.2, ("last", 9): 0.3, ("mean_all", 9): 0.4}
    tried = [
        {
            "method": "iro",
            "iteration": 2,
            "layer": layer,
            "pooling": pooling,
            "r2": x / 2,
            "within_prompt_correlation": x,
        }
        for (pooling, layer), x in scored.items()
    ]
    assert "### Layers and poolings" not in write_report(planted).read_text()
    section = write_report(replace(planted, about={**planted.about, "tried": tried})).read_text()
    assert "| method | pooling | layer 6 | layer 9 |" in section
    assert "| iro V2 | last | 0.20 (0.10) | 0.30 (0.15) |" in section
    assert "| iro V2 | mean_all | n/a | 0.40 (0.20) |" in section


@pytest.mark.slow
def test_a_count_of_prompts_is_of_those_that_share_a_cost_and_an_n_of_those_that_have_a_score(planted, unrendered):
    """Answers of references without gold: 57 prompts were said to share what all 60 do, and 60 pairs to be compared."""
    lost = pl.col("method").is_in(["base", "best_of_n"]) & (pl.col("prompt_id") < "p03")
    lost &= pl.col("metric") == "gold_reward"
    scores = planted.scores.with_columns(pl.when(lost).then(float("nan")).otherwise("value").alias("value"))
    run = replace(planted, scores=scores, about={**planted.about, "flops": PRICES})
    table = comparison(run)
    assert table[0].costs.flops_with_fitting == table[0].costs.flops and table[0].gold.n == 57
    (iro,) = (row for row in table if row.key == Row("iro", 1, "value"))
    assert iro.costs.flops_with_fitting - iro.costs.flops == pytest.approx(iro.costs.fit_flops / 60)
    text = write_report(run).read_text(encoding="utf-8")
    assert "toy (planted), toy, 60 test prompts" in text and "shared by the 60 prompts of this table" in text
    assert "n = 57 to 60 prompts. Gains are" in text
    file = io.StringIO()
    show_run(run, table, Terminal(file))
    assert "fitting shared by these 60." in " ".join(file.getvalue().split())
    said = str(verdict(stored_rows(run.folder)))
    assert iro.gold.n == 60 and "sd of gold on 57 prompts" in said
