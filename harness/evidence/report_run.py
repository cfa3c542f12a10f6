"""The sections of a report that come from the run's tables as they are stored: rewards, fits, samples, cost.

print(samples(run))
"""

import polars as pl

from harness.evidence.graders import graders_in_words
from harness.evidence.markdown import number, one_line
from harness.evidence.record import Agreement, RunRecord
from harness.evidence.report_sections import read_by
from harness.evidence.schema import ANSWER, GOLD, ROW, Row
from harness.evidence.store import Run


def rewards(record: RunRecord) -> str:
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


def fits(run: Run) -> str:
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


def samples(run: Run) -> str:
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


def cost(run: Run) -> str:
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
