"""How the leaderboard reads: leaderboard.md, and the cells that its page has as well."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from harness.evidence.graders import ORACLE
from harness.evidence.leaderboard_row import Entry, settings_in_words
from harness.evidence.markdown import giga, over, p_value, plain, signed, table_line
from harness.evidence.record import code_of

INTRO = (
    "Every row is of one stored run in `runs/`, on test prompts, with settings that are the defaults of its profile or "
    "that `tune` chose on development prompts; never chosen by a test score. The first table of each task, model and "
    "profile has one row a method and final pick, the highest gold first: the last iteration, with tuned settings if "
    "there are any. Gold and proxy are in standard deviations of base samples above the base's mean, with 95% "
    "bootstrap intervals over n prompts; differences are paired by prompt within a run, and so is Holm's correction.",
    "`set beside` names the best-of-n: at as many rows a prompt as the method takes, or, for methods that rows do not "
    "measure and for the base, the run's own, with the row's cost over its (FLOPs with fitting, or policy tokens). "
    "Costs are per test prompt; fitting counts everything up to that iteration. `final pick` says who chose the answer "
    "among the finalists. `settings` says who chose them, and those in which rows of a method differ. Of runs with "
    "equal settings the one with the most prompts stands here, and the gold of its other seeds beside it. Golds under "
    "different versions of a task's rewards cannot be compared, so runs on older rewards stand in sections of their "
    "own, and so do runs on reserve prompts, which are kept for last.",
)
ORACLES = (
    f"Rows marked `{ORACLE}` ask a grader while they answer, and it reads columns of the row, such as the answer key: "
    "what they have here, new prompts bring only where these columns are known for them."
)
_MADE_BY = """\
Made by `python -m harness leaderboard`; `--check` says whether it still agrees with the runs, `--rescore 100` whether
their gold does, of runs on the rewards of this version, and `--export FOLDER` writes it as a model card and files."""
SHORT = (
    "method", "final pick", "gold (sd)", "n", "gold - best-of-n", "set beside", "p (Holm)", "win rate over base",
    "reward calls", "GFLOPs (with fitting)", "settings", "run",
)  # fmt: skip
NUMBERS = (  # columns that are sorted by size: see `values`
    "gold (sd)", "n", "gold - best-of-n", "p (Holm)", "win rate over base", "proxy (sd)", "tokens", "policy tokens",
    "values", "reward calls", "GFLOPs (with fitting)",
)  # fmt: skip


def markdown(
    shown: Sequence[Entry],
    rows: Sequence[Entry],
    others: Sequence[Entry],
    unfinished: Sequence[str],
    left_out: Mapping[str, str],
) -> str:
    """A short table for each section, then all rows of each, and one table of all other runs with the reason."""
    parts, apart = ["# Leaderboard", *intro([*rows, *others]), _MADE_BY], settings_apart(rows, others)
    if rows:
        parts.append("![gold by method](leaderboard.png)")
    for title, section in groupby(shown, lambda entry: entry.title):
        entries = list(section)
        cells = [[cells_of(row, apart)[name] for name in SHORT] for row in entries]
        settings = [f"* `{method}`: {words}" for method, words in settings_of(entries).items()]
        parts += [f"## {title}", markdown_rows(SHORT, cells), "Settings of these rows:", "\n".join(settings)]
    for title, section in groupby(rows, lambda entry: entry.title):
        full = [cells_of(row, apart) for row in section]
        parts += [f"## Every row: {title}", markdown_rows(list(full[0]), [list(of.values()) for of in full])]
    if others:
        full = [{"why not above": row.reason, **cells_of(row, apart), "where": where(row)} for row in others]
        parts += ["## Other runs", markdown_rows(list(full[0]), [list(of.values()) for of in full])]
    if unfinished:
        parts.append(f"Not finished, and not read: {', '.join(map(plain, unfinished))}.")
    if left_out:
        parts.append(f"Left out, since they cannot be read: {', '.join(map(plain, left_out))}.")
    return "\n\n".join(parts) + "\n"


def intro(entries: Sequence[Entry]) -> list[str]:
    """What holds of all tables; of marks only where a row has one."""
    return [*INTRO, ORACLES] if any(entry.row.is_oracle for entry in entries) else [*INTRO]


def cells_of(entry: Entry, apart: Mapping[int, str]) -> dict[str, str]:
    """Column -> cell, as Markdown; `apart` are the settings by which an entry differs from others of its method."""
    row, costs, wins = entry.row, entry.row.costs, entry.row.win_rate_over_base
    own = apart.get(id(entry), "")
    return {
        "method": row.key.name,
        "final pick": row.key.final_pick + (f" ({ORACLE})" if row.is_oracle else ""),
        "gold (sd)": str(row.gold) + (f" ({row.unscored} unscored)" if row.unscored else ""),
        "n": str(row.gold.n) + ("" if row.clusters is None else f" in {row.clusters:,} clusters"),
        "gold - best-of-n": row.not_compared or signed(row.against_best_of_n) or "",
        "set beside": row.beside or "",
        "cost over its (rows not equal)": over(row.cost_over_beside, costs.unit),
        "p (Holm)": p_value(row.p_holm),
        "win rate over base": f"{100 * wins.value:.0f}%" if wins else "",
        "proxy (sd)": str(row.proxy),
        "tokens": f"{row.tokens:.1f}",
        "policy tokens": f"{costs.policy_tokens:.0f}",
        "values": f"{costs.value_calls:.0f}" + (f" ({costs.value_tokens:.0f} tokens)" if costs.value_tokens else ""),
        "reward calls": f"{costs.reward_calls:.1f}",
        "GFLOPs (with fitting)": ""
        if costs.flops is None or costs.flops_with_fitting is None
        else f"{giga(costs.flops)} ({giga(costs.flops_with_fitting)})",
        "fit: policy tokens / proxy calls": f"{costs.fit_policy_tokens:,} / {costs.fit_proxy_calls:,}"
        if costs.fit_proxy_calls
        else "",
        "settings": entry.chosen + (f": {own}" if own else "") + (f", at an edge ({row.edges})" if row.edges else ""),
        "other seeds": ", ".join(f"seed {other.seed}: {other.gold:.2f}" for other in entry.other_seeds),
        "run": f"[{entry.run_id}](runs/{entry.run_id}/report.md)",
        "commit": code_of(entry.commit, entry.dirty),
    }


def values_of(entry: Entry) -> dict[str, float | None]:
    """What the columns of NUMBERS are sorted by; None where nothing is known."""
    row, costs = entry.row, entry.row.costs
    return {
        "gold (sd)": row.gold.value,
        "n": row.gold.n,
        "gold - best-of-n": None if row.against_best_of_n is None else row.against_best_of_n.value,
        "p (Holm)": row.p_holm,
        "win rate over base": None if row.win_rate_over_base is None else row.win_rate_over_base.value,
        "proxy (sd)": row.proxy.value,
        "tokens": row.tokens,
        "policy tokens": costs.policy_tokens,
        "values": costs.value_calls,
        "reward calls": costs.reward_calls,
        "GFLOPs (with fitting)": costs.flops,
    }


def settings_apart(rows: Sequence[Entry], others: Sequence[Entry]) -> dict[int, str]:
    """By id() of an entry: the settings by which it differs from those of its method beside it, in words.

    `rows` are told apart among themselves, `others` among all.
    """
    return _apart([*rows, *others]) | _apart(rows)


def _apart(entries: Sequence[Entry]) -> dict[int, str]:
    by_method: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        by_method.setdefault((entry.task, entry.model, entry.row.key.method), []).append(entry)
    apart = {}
    for group in by_method.values():
        found: dict[str, set[str]] = {}  # setting -> its values, where it was recorded
        for entry in group:
            for name, value in entry.settings.items():
                found.setdefault(name, set()).add(repr(value))
        for entry in group:
            own = {name: value for name, value in entry.settings.items() if len(found[name]) > 1}
            apart[id(entry)] = settings_in_words(own)
    return apart


def settings_of(entries: Sequence[Entry]) -> dict[str, str]:
    """Method -> its settings, without those of parts such as value.hidden, where entries of a method have the same."""
    said = {}
    for entry in sorted(entries, key=lambda entry: entry.row.key.method):
        own = {name: value for name, value in entry.settings.items() if "." not in name}
        if own:
            said[entry.row.key.method] = f"{entry.chosen}, {settings_in_words(own)}"
    return said


def where(entry: Entry) -> str:
    return f"{entry.title}{', test prompts' if entry.slice == 'test' else ''}, seed {entry.seed}"


def markdown_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(map(table_line, lines))
