"""How the leaderboard reads: leaderboard.md, and the same as a page."""

from collections.abc import Sequence
from itertools import groupby

from harness.evidence.leaderboard_row import Entry
from harness.evidence.markdown import giga, over, p_value, signed
from harness.evidence.page.markup import document, to_html
from harness.evidence.record import code_of

_COMMON = (
    "method", "final pick", "gold (sd)", "n", "set beside", "cost over its (rows not equal)", "gold - best-of-n",
    "p (Holm)", "win rate over base", "proxy (sd)", "tokens", "policy tokens", "values", "reward calls",
    "GFLOPs (with fitting)", "fit: policy tokens / proxy calls", "settings",
)  # fmt: skip
_INTRO = """\
Every row is of one stored run in `runs/`, on test prompts, with settings that are the defaults of its profile or that
`tune` chose on development prompts; never chosen by a test score. Of runs with equal settings the one with the most
prompts stands here, and the gold of its other seeds beside it. Gold and proxy are in standard deviations of base
samples above the base's mean, with 95% bootstrap intervals over n prompts; differences are paired by prompt within a
run, and so is Holm's correction. `set beside` names the best-of-n: at as many rows a prompt as the method takes, or,
for methods that rows do not measure and for the base, the run's own, with the row's cost over its (FLOPs with fitting,
or policy tokens). Costs are per test prompt; fitting counts everything up to that iteration. `final pick` says who
chose the answer among the finalists. Golds under different versions of a task's rewards cannot be compared, so runs on
older rewards stand in sections of their own.

Made by `python -m harness leaderboard`; `--check` says whether it still agrees with the runs, and `--rescore 100`
whether their gold does, of runs on the rewards of this version."""


def markdown(rows: Sequence[Entry], others: Sequence[Entry], unfinished: Sequence[str]) -> str:
    """A table for each task, model, profile and version of rewards, and one of all other runs with the reason."""
    parts = ["# Leaderboard", _INTRO]
    if rows:
        parts.append("![gold by method](leaderboard.png)")
    for title, section in groupby(rows, lambda entry: entry.title):
        cells = [[*_cells(row), _seeds(row), _run(row), _commit(row)] for row in section]
        parts += [f"## {title}", _table([*_COMMON, "other seeds", "run", "commit"], cells)]
    if others:
        cells = [[row.reason, *_cells(row), _where(row), _run(row), _commit(row)] for row in others]
        parts += ["## Other runs", _table(["why not above", *_COMMON, "task, model, profile", "run", "commit"], cells)]
    if unfinished:
        parts.append(f"Not finished, and not read: {', '.join(unfinished)}.")
    return "\n\n".join(parts) + "\n"


def html(text: str) -> str:
    """leaderboard.md as a page; the figure stays a file beside it."""
    return document("Leaderboard", f'<main class="wide">{to_html(text)}</main>')


def _cells(entry: Entry) -> list[str]:
    row, costs, wins = entry.row, entry.row.costs, entry.row.win_rate_over_base
    return [
        row.key.name,
        row.key.final_pick,
        str(row.gold) + (f" ({row.unscored} unscored)" if row.unscored else ""),
        str(row.gold.n),
        row.beside or "",
        over(row.cost_over_beside, costs.unit),
        row.not_compared or signed(row.against_best_of_n) or "",
        p_value(row.p_holm),
        f"{100 * wins.value:.0f}%" if wins else "",
        str(row.proxy),
        f"{row.tokens:.1f}",
        f"{costs.policy_tokens:.0f}",
        f"{costs.value_calls:.0f}" + (f" ({costs.value_tokens:.0f} tokens)" if costs.value_tokens else ""),
        f"{costs.reward_calls:.1f}",
        ""
        if costs.flops is None or costs.flops_with_fitting is None
        else f"{giga(costs.flops)} ({giga(costs.flops_with_fitting)})",
        f"{costs.fit_policy_tokens:,} / {costs.fit_proxy_calls:,}" if costs.fit_proxy_calls else "",
        entry.settings_from + (f", at an edge ({row.edges})" if row.edges else ""),
    ]


def _seeds(entry: Entry) -> str:
    return ", ".join(f"seed {other.seed}: {other.gold:.2f}" for other in entry.other_seeds)


def _where(entry: Entry) -> str:
    return f"{entry.title}, {entry.slice} prompts, seed {entry.seed}"


def _run(entry: Entry) -> str:
    return f"[{entry.run_id}](runs/{entry.run_id}/report.md)"


def _commit(entry: Entry) -> str:
    return code_of(entry.commit, entry.dirty)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
