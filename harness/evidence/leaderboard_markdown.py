"""How the leaderboard reads: leaderboard.md, and the same as a page."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from harness.evidence.markdown import giga, name_of, p_value
from harness.evidence.page.markup import document, to_html

_COMMON = (
    "method", "final pick", "gold (sd)", "n", "gold - best-of-n", "p (Holm)", "win rate over base", "proxy (sd)",
    "tokens", "policy tokens", "values", "reward calls", "GFLOPs (with fitting)", "fit: policy tokens / proxy calls",
    "settings",
)  # fmt: skip
_INTRO = """\
Every row is of one stored run in `runs/`, on test prompts, with settings that are the defaults of its profile or that
`tune` chose on development prompts; never chosen by a test score. Of runs with equal settings the one with the most
prompts stands here, and the gold of its other seeds beside it. Gold and proxy are in standard deviations of base
samples above the base's mean, with 95% bootstrap intervals over n prompts; differences are paired by prompt within a
run, and so is Holm's correction. Costs are per test prompt; fitting counts everything up to that iteration. `final
pick` says who chose the answer among the finalists.

Made by `python -m harness leaderboard`; `--check` says whether it still agrees with the runs, and `--rescore 100`
whether their gold does."""


def markdown(rows: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], unfinished: Sequence[str]) -> str:
    """A table for each task, model and profile, and one of all other runs with the reason."""
    parts = ["# Leaderboard", _INTRO]
    if rows:
        parts.append("![gold by method](leaderboard.png)")
    for title, section in groupby(rows, title_of):
        cells = [[*_cells(row), _seeds(row), _run(row), _commit(row)] for row in section]
        parts += [f"## {title}", _table([*_COMMON, "other seeds", "run", "commit"], cells)]
    if others:
        cells = [[row["reason"], *_cells(row), _where(row), _run(row), _commit(row)] for row in others]
        parts += ["## Other runs", _table(["why not above", *_COMMON, "task, model, profile", "run", "commit"], cells)]
    if unfinished:
        parts.append(f"Not finished, and not read: {', '.join(unfinished)}.")
    return "\n\n".join(parts) + "\n"


def html(text: str) -> str:
    """leaderboard.md as a page; the figure stays a file beside it."""
    return document("Leaderboard", f'<main class="wide">{to_html(text)}</main>')


def title_of(row: Mapping[str, Any]) -> str:
    """The section a row stands in."""
    title = f"{row['task']}, {row['model']}, profile {row['profile']}"
    return f"{title}: steered and judged by the same reward" if row["same_reward"] else title


def _cells(row: Mapping[str, Any]) -> list[str]:
    against, wins = row["against_best_of_n"], row["win_rate_over_base"]
    return [
        name_of(row),
        row["final_pick"],
        str(row["gold"]) + (f" ({row['unscored']} unscored)" if row["unscored"] else ""),
        str(row["gold"].n),
        against.shown("+.2f") if against else "",
        p_value(row["p_holm"]) if against else "",
        f"{100 * wins.value:.0f}%" if wins else "",
        str(row["proxy"]),
        f"{row['tokens']:.1f}",
        f"{row['policy_tokens']:.0f}",
        f"{row['value_calls']:.0f}" + (f" ({row['value_tokens']:.0f} tokens)" if row["value_tokens"] else ""),
        f"{row['reward_calls']:.1f}",
        "" if row["flops"] is None else f"{giga(row['flops'])} ({giga(row['flops_with_fitting'])})",
        f"{row['fit_policy_tokens']:,} / {row['fit_proxy_calls']:,}" if row["fit_proxy_calls"] else "",
        row["settings_from"],
    ]


def _seeds(row: Mapping[str, Any]) -> str:
    return ", ".join(f"seed {other['seed']}: {other['gold']:.2f}" for other in row["other_seeds"])


def _where(row: Mapping[str, Any]) -> str:
    return f"{title_of(row)}, {row['slice']} prompts, seed {row['seed']}"


def _run(row: Mapping[str, Any]) -> str:
    return f"[{row['run_id']}](runs/{row['run_id']}/report.md)"


def _commit(row: Mapping[str, Any]) -> str:
    return row["commit"][:10] + (" and uncommitted changes" if row["dirty"] else "")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
