"""The table and the figures of a stored run, from its parquet files alone; runs on any laptop, without torch.

python -m harness report imdb-3f2a
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from harness import figures
from harness.core import stats
from harness.core.files import whole
from harness.core.stats import Estimate
from harness.store import Run

GOLD, PROXY = "gold_reward", "proxy_reward"


def write_report(run: Run) -> Path:
    """Write report.md, table.parquet and the figures into the run's folder; the path of report.md."""
    table = comparison(run)
    with whole(run.folder / "table.parquet") as part:
        pl.DataFrame([flat_row(row) for row in table], infer_schema_length=None).write_parquet(part)
    curve = best_of_n_curve(run)
    figures.gold_by_method(table, run.folder / "gold_by_method.png")
    figures.gold_against_compute(table, curve, run.folder / "gold_against_compute.png")
    with whole(run.folder / "report.md") as part:
        part.write_text(_markdown(run, table, curve))
    return run.folder / "report.md"


def comparison(run: Run) -> list[dict[str, Any]]:
    """One row per method, iteration and final pick: gold and proxy in sd of base samples, and costs."""
    units = run.about["units"]
    wide = run.scores.pivot("metric", index=["method", "iteration", "final_pick", "prompt_id"], values="value")
    wide = wide.join(run.completions, on=["method", "iteration", "final_pick", "prompt_id"], how="inner")
    for metric in (GOLD, PROXY):
        wide = wide.with_columns((pl.col(metric) - units[metric]["mean"]) / units[metric]["sd"])
    parts = {
        key: part.sort("prompt_id")
        for key, part in wide.partition_by(
            "method", "iteration", "final_pick", as_dict=True, maintain_order=True
        ).items()
    }
    base = next((part for (method, _, _), part in parts.items() if method == "base"), None)
    best = next((part for (method, _, _), part in parts.items() if method == "best_of_n"), None)
    rows = []
    for (method, iteration, pick), part in parts.items():
        if pick == "first" and same_answers(part, parts.get((method, iteration, "value"))):
            continue
        gold = part[GOLD].to_numpy()
        rows.append(
            {
                "method": method,
                "iteration": iteration,
                "final_pick": pick,
                "gold": stats.mean(gold),
                "proxy": stats.mean(part[PROXY].to_numpy()),
                "against_best_of_n": None
                if best is None or method == "best_of_n"
                else stats.difference(gold, best[GOLD].to_numpy()),
                "against_previous": None
                if (method, iteration - 1, pick) not in parts
                else stats.difference(gold, parts[method, iteration - 1, pick][GOLD].to_numpy()),
                "against_first": None
                if iteration < 3 or (method, 1, pick) not in parts
                else stats.difference(gold, parts[method, 1, pick][GOLD].to_numpy()),
                "share_of_best_of_n": None
                if base is None or best is None or method in ("base", "best_of_n")
                else stats.gain_ratio(gold, best[GOLD].to_numpy(), base[GOLD].to_numpy()),
                "win_rate_over_base": None
                if base is None or method == "base"
                else stats.win_rate(gold, base[GOLD].to_numpy()),
                "unscored": int(part[GOLD].is_nan().sum() + part[PROXY].is_nan().sum()),
                "tokens": float(part["n_tokens"].mean()),
                "base_nll": float(part["base_nll"].mean()),
                "trains_weights": method in run.about.get("trained", []),
                "kl_bound": run.about.get("kl_bounds", {}).get(method),
                "distinct_2": distinct_2(part["response"].to_list()),
                "policy_tokens": float(part["policy_tokens"].mean()),
                "value_calls": float(part["value_calls"].mean()),
                "value_tokens": float(part["value_tokens"].mean()),
                "reward_calls": float(part["reward_calls"].mean()),
                **_fit_cost(run, method, iteration),
            }
        )
    tested = [i for i, row in enumerate(rows) if row["against_best_of_n"] is not None]
    adjusted = stats.holm([rows[i]["against_best_of_n"].p for i in tested])
    for i, p in zip(tested, adjusted, strict=True):
        rows[i]["p_holm"] = p
    return rows


def best_of_n_curve(run: Run) -> list[dict[str, Any]]:
    """Gold of best-of-n for n = 1..N from the pool of the test prompts, with intervals over prompts."""
    curves = best_of_n_by_prompt(run)
    if not curves:
        return []
    prompt_tokens = run.completions.filter(pl.col("method") == "best_of_n")["policy_tokens"].mean()
    samples = len(curves[0])
    base = run.completions.filter(pl.col("method") == "base")["policy_tokens"].mean()
    per_sample = (prompt_tokens - (base or 0)) / max(samples - 1, 1) if base else prompt_tokens / samples
    first = base or per_sample
    return [
        {"n": n, "gold": stats.mean([c[n - 1] for c in curves]), "policy_tokens": first + (n - 1) * per_sample}
        for n in range(1, samples + 1)
    ]


def best_of_n_by_prompt(run: Run) -> list[np.ndarray]:
    """Expected gold (N,) of best-of-1..N by prompt, in sd of base samples, from the pool of evaluated prompts."""
    unit = run.about["units"][GOLD]
    pool = run.pool.filter(pl.col("part") == "test").sort("prompt_id", "row")
    return [
        stats.best_of_n_curve(part[PROXY].to_numpy(), (part[GOLD].to_numpy() - unit["mean"]) / unit["sd"])
        for part in pool.partition_by("prompt_id", maintain_order=True)
        if len(pool)
    ]


def distinct_2(texts: Sequence[str]) -> float:
    """Distinct word pairs over all word pairs of the texts (Li et al. 2016)."""
    pairs = [pair for text in texts for words in [text.split()] for pair in pairwise(words)]
    return len(set(pairs)) / len(pairs) if pairs else float("nan")


def same_answers(part: pl.DataFrame, other: pl.DataFrame | None) -> bool:
    """Whether two rows of a table, sorted by prompt id, answer alike: a `first` that is the `value` needs no row."""
    return other is not None and part["response"].equals(other["response"])


def _fit_cost(run: Run, method: str, iteration: int) -> dict[str, float]:
    """What fitting cost up to this iteration, as if made alone: policy tokens, proxy calls, seconds."""
    fit = run.ledger.filter(
        (pl.col("method") == method) & (pl.col("iteration") <= iteration) & (pl.col("phase") == "fit")
    )
    policy, proxy = fit.filter(pl.col("role") == "policy"), fit.filter(pl.col("role") == "proxy")
    return {
        "fit_policy_tokens": int(policy["tokens"].sum() + policy["prefill_tokens"].sum()),
        "fit_proxy_calls": int(proxy["sequences"].sum()),
        "fit_seconds": float(fit["seconds"].sum()),
    }


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table as plain columns: an estimate becomes its value, low, high, n and p."""
    flat = {}
    for key, value in row.items():
        if isinstance(value, Estimate):
            flat |= {key if name == "value" else f"{key}_{name}": v for name, v in vars(value).items()}
        else:
            flat[key] = value
    return flat


# --- report.md ---

_HEADER = (
    "| method | final pick | gold (sd) | proxy (sd) | gold - best-of-n | p (Holm) | win rate over base | tokens "
    "| base NLL | KL at most | distinct-2 | policy tokens | values | reward calls | fit: policy tokens / proxy calls |"
)


def table_markdown(table: Sequence[dict[str, Any]], left_out: Mapping[str, str] | None = None) -> str:
    """The table; methods that were left out have a row of their own, empty but for the reason."""
    bounded = any(row["kl_bound"] is not None for row in table)
    header = _HEADER if bounded else _HEADER.replace("KL at most | ", "")
    lines = [header, "|" + "---|" * (header.count("|") - 1)]
    for row in table:
        name = f"{row['method']} (iteration {row['iteration']})" if row["iteration"] else row["method"]
        name = f"{row['method']} (weights trained)" if row["trains_weights"] else name
        against, wins = row["against_best_of_n"], row["win_rate_over_base"]
        cells = [
            name,
            row["final_pick"],
            str(row["gold"]) + (f" ({row['unscored']} unscored)" if row["unscored"] else ""),
            f"{row['proxy'].value:.2f}",
            against.shown("+.2f") if against else "",
            _p(row["p_holm"]) if against else "",
            percent(wins) if wins else "",
            f"{row['tokens']:.1f}",
            f"{row['base_nll']:.2f}",
            *(["n/a" if row["kl_bound"] is None else f"{row['kl_bound']:.1f}"] if bounded else []),
            "" if isnan(row["distinct_2"]) else f"{row['distinct_2']:.2f}",
            f"{row['policy_tokens']:.0f}",
            f"{row['value_calls']:.0f}" + (f" ({row['value_tokens']:.0f} tokens)" if row["value_tokens"] else ""),
            f"{row['reward_calls']:.1f}",
            f"{row['fit_policy_tokens']:,} / {row['fit_proxy_calls']:,}" if row["fit_proxy_calls"] else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for name, reason in (left_out or {}).items():
        lines.append(f"| {name} | left out: {reason} |" + " |" * (header.count("|") - 3))
    return "\n".join(lines)


def percent(rate: Estimate) -> str:
    interval = "" if isnan(rate.low) else f" [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"
    return f"{100 * rate.value:.0f}%{interval}"


def _p(p: float) -> str:
    if isnan(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _markdown(run: Run, table: Sequence[dict[str, Any]], curve: Sequence[dict[str, Any]]) -> str:
    about, config = run.about, run.about["config"]
    facts, agreement = about["task_facts"], about["agreement"]
    evaluate, n = config["settings"]["evaluate"], table[0]["gold"].n
    command = f"python -m harness run --method {','.join(config['methods'])} --task {config['task']} "
    command += f"--profile {config['profile']} --seed {config['seed']} --limit {evaluate['prompts']}"
    where = f"{config['task']} ({about['task_source']}), {config['model']}"
    sections = [
        f"# {run.id}",
        f"{where}, {n} {evaluate['slice']} prompts, seed {config['seed']}. "
        f"Commit {about['commit'][:10]}{' (with uncommitted changes)' if about['dirty'] else ''}; "
        f"`{command}`, other settings in run.json.",
        table_markdown(table, about.get("left_out")),
        "Gold and proxy are in standard deviations of base samples, above the base's mean; intervals are 95% bootstrap "
        "intervals over prompts. Differences are paired by prompt. `final pick` says who chose the answer among the "
        "finalists. Costs are per test prompt: policy tokens are the prompt once and every sampled token, discarded "
        "ones included; values are prefixes valued, on the policy's own states, or by models of their own with the "
        "tokens those read; reward calls are "
        "texts the proxy scored. Fitting counts everything up to that iteration, shared samples as if made alone.",
        "![gold by method](gold_by_method.png)",
        "![gold against test-time compute](gold_against_compute.png)",
        _gains(table),
        "## Rewards",
        _rewards(facts, agreement),
        "## Value functions on held-out fit prompts",
        _fits(run),
        "## Samples",
        _samples(run),
        "## Cost",
        _cost(run),
    ]
    return "\n\n".join(s for s in sections if s) + "\n"


def _gains(table: Sequence[dict[str, Any]]) -> str:
    """What each row gains over base, best-of-n's gain being 1, and what each iteration adds to the one before."""
    lines = [
        "## Gains over base, and what iterations add",
        "",
        "| method | final pick | gain / best-of-n's gain | gold - previous iteration | p | gold - iteration 1 | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table:
        share = row["share_of_best_of_n"]
        if share is None:
            continue
        name = f"{row['method']} (iteration {row['iteration']})" if row["iteration"] else row["method"]
        cells = [name, row["final_pick"], str(share)]
        for added in (row["against_previous"], row["against_first"]):
            cells += [added.shown("+.2f"), _p(added.p)] if added else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) if len(lines) > 4 else ""


def _rewards(facts: dict[str, Any], agreement: dict[str, float]) -> str:
    lines = []
    if "proxy_accuracy" in facts:
        lines.append(
            f"Accuracy on {facts['measured_on']}: proxy {facts['proxy_accuracy']:.3f} "
            f"(trained on {facts['proxy_reviews']:,} reviews), gold {facts['gold_accuracy']:.3f} "
            f"({facts['gold_reviews']:,} others)."
        )
    lines.append(
        f"Correlation of proxy and gold on {agreement['n']:,} base samples: {agreement['correlation']:.2f} over all, "
        f"{agreement['within_prompt_correlation']:.2f} within a prompt."
    )
    return " ".join(lines)


def _fits(run: Run) -> str:
    if "r2" not in run.fits.columns:
        return "Nothing was fitted."
    lines = [
        "| method | iteration | layer, pooling | epoch | prefix | n | R² | rank corr. | within-prompt corr. |",
        "|" + "---|" * 9,
    ]
    for row in run.fits.drop_nulls("r2").iter_rows(named=True):
        where = "finished text" if row["position"] < 0 else f"{row['position']} tokens"
        lines.append(
            f"| {row['method']} | {row['iteration']} | {row['layer']}, {row['pooling']} | {row['epoch']} | {where} "
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
    unit = run.about["units"][GOLD]
    gold = run.scores.filter(pl.col("metric") == GOLD)
    lines = []
    for prompt_id in dict.fromkeys([ids[0], ids[len(ids) // 2], ids[-1]]):
        part = shown.filter(pl.col("prompt_id") == prompt_id)
        scored = part.join(gold, on=["method", "iteration", "final_pick", "prompt_id"], how="left")
        lines += [
            f"**{_one_line(part['prompt'][0])}** ...",
            "",
            "| method | gold (sd) | continuation |",
            "|---|---|---|",
        ]
        for row in scored.iter_rows(named=True):
            name = row["method"] + (f" ({row['iteration']}, {row['final_pick']})" if row["iteration"] else "")
            lines.append(
                f"| {name} | {(row['value'] - unit['mean']) / unit['sd']:+.2f} | {_one_line(row['response'])} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


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
    about = run.about
    lines += [
        "",
        f"Wall clock {about['seconds'] / 60:.1f} minutes, peak memory {about['memory_gb']:.1f} GB. Seconds "
        "are summed over workers; `here` are those of this run, the rest was shared or stored. Rows of `harness` are "
        "the base samples that standardise rewards, and the scores of all samples.",
    ]
    return "\n".join(lines)
