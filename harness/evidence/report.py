"""The table and the figures of a stored run, from its parquet files alone; runs on any laptop, without torch.

python -m harness report imdb-3f2a
"""

from collections.abc import Container, Mapping, Sequence
from math import isinf
from pathlib import Path

import polars as pl

from harness.core.files import whole
from harness.core.printable import without_controls
from harness.evidence.accuracies import accuracies
from harness.evidence.benchmark import benchmark
from harness.evidence.checkers import shared_in_words
from harness.evidence.clusters import column_of, few, resampled
from harness.evidence.command import made_by
from harness.evidence.cost import AMORTISED_OVER
from harness.evidence.figures.kinds import draw_all, of_run
from harness.evidence.graders import ORACLE, graders_in_words, oracles_in_words
from harness.evidence.markdown import (
    giga,
    markdown_table,
    nats,
    number,
    one_line,
    over,
    p_value,
    per_thousand,
    percent,
    signed,
)
from harness.evidence.parts import parts_section
from harness.evidence.proven_table import write_proven
from harness.evidence.record import Agreement, RunRecord
from harness.evidence.report_sections import calibrated, drifts, equivalents, gains, kl_cells, layers, read_by
from harness.evidence.row import Comparison, OverRefits, frame
from harness.evidence.schema import ANSWER, GOLD, ROW, Row
from harness.evidence.store import Run
from harness.evidence.table import CurvePoint, best_of_n_curve, comparison

_PRICES = (
    " GFLOPs are estimated from those counts, two a weight and token; in brackets with fitting (its policy tokens, "
    "those read in training weights, and its proxy calls), **shared by the {n} prompts of this table**. Another column "
    "shares it by {many}; it `pays from` the number of prompts at which the row, fitting included, costs less than the "
    "best-of-n it is set beside. A reward call has the task's own price; where a row takes more of them than the run's "
    "best-of-n, a column has the GFLOPs if the reward were a model of the policy's size that reads prompt and text. "
    "Left out are attention over earlier tokens and the training of value heads (its seconds are under Cost)."
)
_REFITS = (
    " `over refits` is over several fits of the same thing on the same base samples, with other prompts held out to "
    "choose by and other streams: the mean with a 95% interval over prompts and refits, drawn crossed, ± the standard "
    "deviation of the refits' means. What an interval over prompts alone says of iterations leaves out this luck; and "
    "few refits stay few: of two or three, intervals are too narrow where luck is large. All other columns are of the "
    "first fit."
)
_DOLLARS = (
    " Dollars are those of the tokens that the server counted, at the prices of the run, as if each row had been made "
    "alone; in brackets with fitting, shared by the {n} prompts of this table. What judges and graders ask is left out."
)
_STEPS = (
    " Steps are forward passes in sequence, the longest chain for one answer: of the policy (a prompt's rows are "
    "written together) and of models that guide it, not of the reward. Seconds a prompt are those of a CPU, on one "
    "thread, or of the accelerator, measured while answering in batches."
)


def write_report(run: Run, table: Sequence[Comparison] | None = None) -> Path:
    """Write report.md, table.parquet and the figures into the run's folder; the path of report.md.

    `table` are the rows of `comparison(run)`, where somebody has them already: they take seconds.
    """
    table = comparison(run) if table is None else table
    write_proven(frame(table), run.folder / "table.parquet")
    curve = best_of_n_curve(run)
    drawings = of_run(table, curve, run.values)
    draw_all(drawings, run.folder)
    with whole(run.folder / "report.md") as part:
        part.write_text(without_controls(_markdown(run, table, curve, drawings)), encoding="utf-8")
    return run.folder / "report.md"


def table_markdown(table: Sequence[Comparison], left_out: Mapping[str, str] | None = None) -> str:
    """The table; methods that were left out have a row of their own, empty but for the reason."""
    lines = markdown_table([_cells(row) for row in table])
    for name, reason in (left_out or {}).items():
        lines.append(f"| {name} | left out: {reason} |" + " |" * (lines[0].count("|") - 3))
    return "\n".join(lines)


def _cells(row: Comparison) -> dict[str, str | None]:
    """Column -> cell, None where it is not known."""
    wins, costs = row.win_rate_over_base, row.costs
    gold = "gold, which is the proxy (sd)" if row.is_one_reward else "gold (sd)"
    is_alone = row.beside is None and row.not_compared is None and row.key.method != "best_of_n"
    return {
        "method": f"{row.key.method} (weights trained)" if row.trains_weights else row.key.name,
        "final pick": row.key.final_pick + (f" ({ORACLE})" if row.is_oracle else ""),
        gold: str(row.gold) + (f" ({row.unscored} unscored)" if row.unscored else ""),
        **_over_refits(row.over_refits),
        "proxy (sd)": f"{row.proxy.value:.2f}",
        "tuned by": row.tuning,
        "best at an edge": row.edges,
        "set beside": None if is_alone else row.beside or "",
        "cost over its (rows not equal)": None if is_alone else over(row.cost_over_beside, costs.unit),
        "gold - best-of-n": row.not_compared or signed(row.against_best_of_n) or "",
        "p (Holm)": p_value(row.p_holm),
        "win rate over base": percent(wins) if wins else "",
        f"p ({'McNemar' if row.clusters is None else 'sign flips'}, Holm)": p_value(row.p_wins_holm),
        "tokens": f"{row.tokens:.1f}",
        "base NLL": nats(row.base_nll),
        **kl_cells(row),
        "distinct-2": number(row.drift.distinct_2),
        "policy tokens": f"{costs.policy_tokens:.0f}" if costs.are_known else None,
        "values": f"{costs.value_calls:.0f}" + (f" ({costs.value_tokens:.0f} tokens)" if costs.value_tokens else "")
        if costs.are_known
        else None,
        "reward calls": f"{costs.reward_calls:.1f}" if costs.are_known else None,
        "dollars a 1,000 prompts (with fitting)": None
        if costs.usd is None or costs.usd_with_fitting is None
        else f"{per_thousand(costs.usd)} ({per_thousand(costs.usd_with_fitting)})",
        "GFLOPs (with fitting)": None
        if costs.flops is None or costs.flops_with_fitting is None or not costs.are_known
        else f"{giga(costs.flops)} ({giga(costs.flops_with_fitting)})",
        f"GFLOPs, fitting over {AMORTISED_OVER:,} prompts": None
        if costs.flops_amortised is None or not costs.are_known
        else giga(costs.flops_amortised)
        if costs.fit_flops
        else "",
        "fitting pays from (prompts)": None if costs.flops is None or not costs.are_known else _prompts(row.break_even),
        "GFLOPs, reward of the policy's size": None if row.large_reward_flops is None else giga(row.large_reward_flops),
        "steps": None if costs.steps is None else f"{costs.steps:.1f}",
        "seconds a prompt": None if costs.busy_seconds is None else f"{costs.busy_seconds:.3g}",
        "fit: policy tokens / proxy calls": f"{costs.fit_policy_tokens:,} / {costs.fit_proxy_calls:,}"
        if costs.fit_proxy_calls
        else "",
    }


def _over_refits(of: OverRefits | None) -> dict[str, str | None]:
    """Gold and differences over several fits, and what each fit alone gave."""
    names = ("gold over refits", "each refit", "gold - best-of-n, over refits",
             "gold - previous iteration, over refits", "gold - iteration 1, over refits")  # fmt: skip
    if of is None:
        return dict.fromkeys(names)
    cells = (
        f"{of.gold_over_refits} ± {of.sd_of_refits:.2f}",
        ", ".join(f"{gold:.2f}" for gold in of.gold_of_refits),
        signed(of.against_best_of_n_over_refits),
        signed(of.against_previous_over_refits),
        signed(of.against_first_over_refits),
    )
    return dict(zip(names, cells, strict=True))


def _prompts(count: float | None) -> str:
    """A number of prompts; nothing where there is none to be had."""
    if count is None:
        return ""
    return "never" if isinf(count) else f"{count:,.0f}"


def _markdown(run: Run, table: Sequence[Comparison], curve: Sequence[CurvePoint], drawings: Container[str]) -> str:
    record, config, evaluate = run.record, run.record.config, run.record.settings("evaluate")
    command, prompts = made_by(record), run.completions["prompt_id"].n_unique()
    clusters, column = table[0].clusters, column_of(record)
    over_what = resampled(clusters, column)
    where = f"{record.task_name} ({record.task_source}), {record.model_name}"
    sections = [
        f"# {run.id}",
        f"{where}, {prompts} {evaluate.get('slice')} prompts, seed {config.seed}. Commit {record.short_commit}.",
        "Made from Python." if command is None else f"Made by `{command}`.",
        "" if record.agreement is None or not record.agreement.warning else f"**{record.agreement.warning}.**",
        f"**{shared}.** Rows without reward calls ask none of them at test time."
        if (shared := shared_in_words(record))
        else "",
        f"{oracles_in_words(record)}." if any(row.is_oracle for row in table) else "",
        " ".join(imported_in_words(record)),
        f"**Mind: {said}.**" if (said := few(clusters, column)) else "",
        table_markdown(table, record.left_out),
        "Gold and proxy are in standard deviations of base samples, above the base's mean; intervals are 95% bootstrap "
        f"intervals over {over_what}. Differences are paired by prompt. `set beside` names the best-of-n: the best by "
        "proxy among the first n samples of one pool, n the rows that the method takes for a prompt. Where rows do not "
        "measure a method, and for the base, it is the run's own best-of-n, and the row's cost over its is shown: "
        f"FLOPs with fitting where those are known, else policy tokens. Wins and losses are tested by {_test(clusters)}"
        ", ties left out; Holm's correction is over the rows of the table, for each of the two tests. `final pick` "
        "says who chose the answer among the finalists. Costs are per test prompt: policy tokens are the prompt once "
        "and every sampled token, discarded ones included; values are prefixes valued, on the policy's own states, or "
        "by models of their own with the tokens those read; reward calls are texts the proxy scored. Fitting counts "
        "everything up to that iteration, shared samples as if made alone."
        + ("" if table[0].costs.usd is None else _DOLLARS.format(n=prompts))
        + ("" if table[0].costs.flops is None else _PRICES.format(n=prompts, many=f"{AMORTISED_OVER:,}"))
        + ("" if table[0].costs.steps is None else _STEPS)
        + (_REFITS if any(row.over_refits for row in table) else ""),
        "![gold by method](gold_by_method.png)",
        "![gold by iteration](gold_by_iteration.png)" if "gold_by_iteration" in drawings else "",
        "![gold against test-time compute](gold_against_compute.png)",
        "![win rates and gold](win_rates.png)",
        benchmark(run, table),
        accuracies(run, table),
        gains(table),
        equivalents(table, curve),
        drifts(table, curve),
        "## Rewards",
        _rewards(record),
        parts_section(run),
        "## Value functions on held-out fit prompts",
        _fits(run),
        layers(record.tried),
        "" if run.values is None else calibrated(run.values),
        "## Samples",
        _samples(run),
        "## Cost",
        _cost(run),
    ]
    return "\n\n".join(s for s in sections if s) + "\n"


def imported_in_words(record: RunRecord) -> list[str]:
    """A sentence for each other system whose answers stand in this table; none in a run of ours."""
    said = []
    for one in record.imported:
        missing = f", {one['missing']} missing" if one["missing"] else ""
        others = f", {one['others']} to prompts that it does not have" if one["others"] else ""
        said.append(
            f"`{one['method']}` are answers of another system, from {_inline_code(one['file'])} ({one['kind']}): "
            f"{one['answered']:,} of the prompts of {one['run']}{missing}{others}; graded by the run's own rewards, "
            f"which gave {one['regraded']} stored answers the scores that they have. What it cost is not known."
        )
    return said


def _inline_code(name: str) -> str:
    return "`" + one_line(name).replace("`", "'") + "`"


def _test(clusters: int | None) -> str:
    return "McNemar's exact test" if clusters is None else "exact flips of the sign of each cluster's wins less losses"


def _rewards(record: RunRecord) -> str:
    lines, facts = [], record.task_facts
    if "proxy_accuracy" in facts:
        lines.append(
            f"Accuracy on {facts['measured_on']}: proxy {facts['proxy_accuracy']:.3f} "
            f"(trained on {facts['proxy_reviews']:,} reviews), gold {facts['gold_accuracy']:.3f} "
            f"({facts['gold_reviews']:,} others)."
        )
    lines += [said] if (said := graders_in_words(record)) else []
    if record.agreement is not None:
        lines.append(_agreement(record.agreement))
    return " ".join(lines)


def _agreement(found: Agreement) -> str:
    return (
        f"Correlation of proxy and gold on {found.n:,} base samples: {found.correlation:.2f} over all, "
        f"{found.within_prompt_correlation:.2f} within a prompt."
    )


def _fits(run: Run) -> str:
    if "r2" not in run.fits.columns:
        return "Nothing was fitted."
    lines = [
        "| method | iteration | reads | epoch | prefix | n | R² | rank corr. | within-prompt corr. |",
        "|" + "---|" * 9,
    ]
    for row in run.fits.drop_nulls("r2").iter_rows(named=True):
        where = "finished text" if row["position"] < 0 else f"{row['position']} tokens"
        lines.append(
            f"| {row['method']} | {row['iteration']} | {read_by(row)} | {row['epoch']} | {where} "
            f"| {row['n']} | {row['r2']:.2f} | {row['rank_correlation']:.2f} | {row['within_prompt_correlation']:.2f} |"
        )
    return "\n".join(lines)


def _samples(run: Run) -> str:
    """Three prompts, the first, the middle and the last by id, with the answers side by side."""
    ids = sorted(run.completions["prompt_id"].unique())
    last = run.completions.group_by("method").agg(
        pl.col("iteration").max(), pl.col("final_pick").n_unique().alias("picks")
    )
    shown = run.completions.join(last, on=["method", "iteration"], how="inner", maintain_order="left")
    shown = shown.filter((pl.col("final_pick") != "first") | (pl.col("picks") == 1))
    gold = run.scores.filter(pl.col("metric") == GOLD)
    lines = []
    for prompt_id in dict.fromkeys([ids[0], ids[len(ids) // 2], ids[-1]]):
        part = shown.filter(pl.col("prompt_id") == prompt_id)
        scored = part.join(gold, on=ANSWER, how="left")
        lines += [
            f"**{one_line(part['prompt'][0])}** ...",
            "",
            "| method | gold (sd) | continuation |",
            "|---|---|---|",
        ]
        for row in scored.iter_rows(named=True):
            key = Row(*(row[name] for name in ROW))
            name = key.method + (f" ({key.iteration}, {key.final_pick})" if key.iteration else "")
            gold_in_sd = run.record.standardised(GOLD, float(row["value"]))
            lines.append(f"| {name} | {number(gold_in_sd, '+.2f')} | {one_line(row['response'])} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _cost(run: Run) -> str:
    """Tokens and seconds by method and phase; computed is what this run did itself, the rest was shared or stored."""
    lines = [
        "| method | iteration | phase | role | calls | sequences | prefill tokens | sampled | seconds | here |",
        "|" + "---|" * 10,
    ]
    grouped = run.ledger.group_by("method", "iteration", "phase", "role", maintain_order=True).agg(
        pl.col("calls", "sequences", "prefill_tokens", "tokens", "seconds").sum(),
        pl.col("seconds").filter(pl.col("computed")).sum().alias("own"),
    )
    for row in grouped.iter_rows(named=True):
        lines.append(
            f"| {row['method']} | {row['iteration']} | {row['phase']} | {row['role']} | {row['calls']:,} "
            f"| {row['sequences']:,} | {row['prefill_tokens']:,} | {row['tokens']:,} | {row['seconds']:.0f} "
            f"| {row['own']:.0f} |"
        )
    lines += ["", *_sharing(run)]
    lines += [
        f"{_took(run.record)}Seconds are summed over workers; `here` are those of this run, the rest was shared or "
        "stored. Rows of `harness` are the base samples that standardise rewards, and the scores of all samples.",
    ]
    return "\n".join(lines)


def _took(record: RunRecord) -> str:
    if record.seconds is None or record.memory_gb is None:
        return ""
    minutes, gb = f"{record.seconds / 60:.1f}", f"{record.memory_gb:.1f}"
    return f"The command that finished the run took {minutes} minutes, wall clock, and {gb} GB of memory at its peak. "


def _sharing(run: Run) -> list[str]:
    """What the methods would have cost alone against what was made once for several of them."""
    if "artifact" not in run.ledger.columns:  # stored by an earlier version
        return []
    work = run.ledger.filter(pl.col("phase") != "score", pl.col("method") != "harness")
    first = work.unique("artifact", keep="first", maintain_order=True).select("artifact", "method", "iteration")
    alone, once = (
        {
            "tokens": part.filter(pl.col("role") == "policy").select(pl.col("tokens", "prefill_tokens").sum()),
            "calls": part.filter(pl.col("role") == "proxy").select(pl.col("sequences").sum()),
        }
        for part in (work, work.join(first, on=["artifact", "method", "iteration"], how="semi"))
    )
    tokens, calls = ([int(sum(part[name].row(0))) for part in (alone, once)] for name in ("tokens", "calls"))
    return [
        f"Fitting and answering take {tokens[0]:,} policy tokens and {calls[0]:,} reward calls if each method works "
        f"alone, as charged here; {tokens[1]:,} and {calls[1]:,} where what several of them use is made once.",
        "",
    ]
