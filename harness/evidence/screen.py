"""The end of a run on 24 lines of 80: one line of facts, the best rows, what to mind, where the rest lies, what next.

show_run(run, comparison(run))     # on stdout; plain lines where that is no terminal

A view of the rows that the report has: it computes nothing. Of a table longer than `MOST` rows it shows the last
iteration and the cheapest pick of each method, best first. What sweeps and judges end on is in screens.py.
"""

import shlex
from collections.abc import Sequence
from math import isnan
from pathlib import Path

from harness.evidence.checkers import shared_in_words
from harness.evidence.clusters import column_of, count_of, few
from harness.evidence.graders import ORACLE, oracle_columns, ungraded
from harness.evidence.markdown import giga, per_thousand
from harness.evidence.names import display_name
from harness.evidence.record import RunRecord
from harness.evidence.row import Comparison
from harness.evidence.schema import Row
from harness.evidence.store import Run
from harness.evidence.terminal import Column, Terminal, grid

MOST = 8  # rows


def show_run(run: Run, table: Sequence[Comparison], terminal: Terminal | None = None) -> None:
    """Print what a run found. `table` are the rows of its report."""
    screen = terminal or Terminal()
    shown = chosen_rows(table)
    best = best_untrained(shown)
    screen.say(facts(run), "bold")
    golds = [row.gold for row in shown]
    screen.show(grid(_columns(table, shown, best), screen.width, golds, best, screen.is_plain))
    screen.say(_legend(table, shown, best, run.completions["prompt_id"].n_unique()), "dim")
    if warnings := warnings_of(run.record, table):
        screen.say_after("mind", _in_short(warnings, 3 * (screen.width - 12)), "yellow")
    screen.say_after("report", beside_here(run.folder / "report.md"))
    where = reference(run.folder)
    screen.say_after("next", f"harness view {where}")
    screen.say_after("    ", f"harness judge {where}")
    screen.say_after("    ", f"harness report {where} --full")


def chosen_rows(table: Sequence[Comparison], most: int = MOST) -> list[Comparison]:
    """The rows that are shown, most gold first: all of a short table, else one a method, base and best-of-n first."""
    rows = list(table)
    if len(rows) > most:
        rows = [_cheapest([row for row in rows if row.key.method == name]) for name in _methods(table)]
    if len(rows) > most:
        kept = [row for row in rows if row.key.method in ("base", "best_of_n")]
        others = sorted((row for row in rows if row not in kept), key=_rank)
        rows = [*kept, *others[: most - len(kept)]]
    return sorted(rows, key=_rank)


def best_untrained(rows: Sequence[Comparison]) -> int | None:
    """Which of the rows has the most gold of those that train no weights; None where none has any."""
    known = [i for i, row in enumerate(rows) if not row.trains_weights and not isnan(row.gold.value)]
    return max(known, key=lambda i: rows[i].gold.value, default=None)


def facts(run: Run) -> str:
    """What was run, in a line."""
    config, part = run.record.config, run.record.settings("evaluate").get("slice", "test")
    model = run.record.model_name or "?"
    seed = "" if config.seed is None else f", seed {config.seed}"
    profile = "" if config.profile is None else f", {config.profile}"
    prompts = f"{run.completions['prompt_id'].n_unique()} {part} prompts"
    prompts += "" if (clusters := count_of(run)) is None else f" in {clusters:,} clusters ({column_of(run.record)})"
    return f"{run.id}  {run.record.task_name}, {_tail(model)}, {prompts}{profile}{seed}"


def warnings_of(record: RunRecord, table: Sequence[Comparison]) -> list[str]:
    """What a reader of the numbers has to know."""
    found = []
    if record.agreement is not None and record.agreement.is_one_function:
        found.append("gold and proxy are one function, so nothing held out judges these rows")
    if record.task_facts.get("shares_test"):
        found.append("the benchmark's test documents were shared out: some were fitted on, these are others")
    found += [shared[:1].lower() + shared[1:]] if (shared := shared_in_words(record)) else []
    if unscored := [row for row in table if row.unscored]:
        whose = shown(unscored[0].key, table) if len(unscored) == 1 else f"{len(unscored)} rows"
        why = f": {', '.join(reasons)}" if (reasons := ungraded(record)) else ""
        found.append(f"{sum(row.unscored for row in unscored)} answers of {whose} have no score (NaN){why}")
    found += [said] if (said := few(table[0].clusters, column_of(record))) else []
    if any(row.is_oracle for row in table):
        found.append(f"{ORACLE} rows ask a grader that reads {', '.join(oracle_columns(record))} of the row")
    found += ["the code had uncommitted changes"] if record.dirty else []
    found += [f"{display_name(name)} was left out: {why}" for name, why in record.left_out.items()]
    edges = dict.fromkeys(display_name(row.key.method) for row in table if row.edges)
    found += [f"tuning ended at an edge: {', '.join(edges)}"] if edges else []
    found += [f"{shown(row.key, table)} met no best-of-n: {row.not_compared}" for row in table if row.not_compared][:1]
    return found


def shown(key: Row, among: Sequence[Comparison]) -> str:
    """The name of a row, with iteration and pick where the method has others among these rows."""
    same = [row.key for row in among if row.key.method == key.method]
    name = display_name(key.method)
    name += f", iter. {key.iteration}" if len({other.iteration for other in same}) > 1 else ""
    picks = {other.final_pick for other in same if other.iteration == key.iteration}
    return name + (f", {key.final_pick}" if len(picks) > 1 else "")


def beside_here(path: Path) -> str:
    """A path as it is reached from here: relative below the current folder."""
    return str(path.resolve().relative_to(Path.cwd())) if path.resolve().is_relative_to(Path.cwd()) else str(path)


def reference(folder: Path) -> str:
    """A stored thing as further commands are told of it: by its name, with --out where that is not the usual folder."""
    out = folder.resolve().parent.parent
    usual = out == Path("results").resolve()
    return shlex.quote(folder.name) + ("" if usual else f" --out {shlex.quote(beside_here(out))}")


def _columns(table: Sequence[Comparison], rows: Sequence[Comparison], best: int | None) -> list[Column]:
    names = [shown(row.key, table if len(table) == len(rows) else rows) for row in rows]
    names = [f"{name} (trained)" if row.trains_weights else name for name, row in zip(names, rows, strict=True)]
    names = [f"{name} ({ORACLE})" if row.is_oracle else name for name, row in zip(names, rows, strict=True)]
    against = [row.against_best_of_n for row in rows]
    gold = "gold = proxy (sd)" if any(row.is_one_reward for row in rows) else "gold (sd)"
    return [
        Column("method", [f"{name}{'*' * (i == best)}" for i, name in enumerate(names)], is_text=True),
        Column(gold, [row.gold.shown() for row in rows]),
        Column(
            f"vs {_rival(rows)}",
            ["" if of is None else f"{of.value:+.2f}" + of.shown()[len(f"{of.value:.2f}") :] for of in against],
            ["" if of is None else f"{of.value:+.2f}" for of in against],
        ),
        Column("wins", [f"{of.value:.0%}" if (of := row.win_rate_over_base) else "" for row in rows], may_go=True),
        Column("cost", [_cost(row) for row in rows], may_go=True),
    ]


def _legend(table: Sequence[Comparison], rows: Sequence[Comparison], best: int | None, prompts: int) -> str:
    """What the columns hold, and what is not shown; `prompts` were answered, whether or not each has a score."""
    more = len(table) - len(rows)
    parts = [f"{more} more row{'s' * (more > 1)} in the report."] if more else []
    parts += [] if best is None else ["* best of those that train no weights."]
    over = "" if table[0].clusters is None else ", clusters drawn whole"
    parts.append(f"Gold in sd of base samples [95%{over}]; vs {_rival(rows)}: paired; wins: over base;")
    cost = "policy tokens a prompt"
    if _is_in_money(rows):
        cost = f"dollars a thousand prompts, fitting shared by these {prompts}"
    elif _is_priced(rows):
        cost = f"GFLOPs a prompt, fitting shared by these {prompts}"
    return " ".join([*parts, f"cost: {cost}."])


def _in_short(warnings: Sequence[str], room: int) -> str:
    """As many of them as fit `room`, one at least, and how many more there are."""
    kept = [warning for i, warning in enumerate(warnings) if not i or len("; ".join(warnings[: i + 1])) <= room]
    more = len(warnings) - len(kept)
    return "; ".join([*kept, *([f"{more} more in the report"] if more else [])])


def _rival(rows: Sequence[Comparison]) -> str:
    """The best-of-n that all rows are set beside, or any."""
    names = {row.beside for row in rows if row.beside is not None}
    return names.pop() if len(names) == 1 else "best-of-n"


def _is_priced(rows: Sequence[Comparison]) -> bool:
    return all(row.costs.flops_with_fitting is not None for row in rows)


def _is_in_money(rows: Sequence[Comparison]) -> bool:
    return all(row.costs.usd_with_fitting is not None for row in rows)


def _cost(row: Comparison) -> str:
    if row.costs.usd_with_fitting is not None:
        return per_thousand(row.costs.usd_with_fitting)
    flops = row.costs.flops_with_fitting
    if not row.costs.are_known:
        return "n/a"
    return f"{row.costs.policy_tokens:,.0f}" if flops is None else giga(flops)


def _cheapest(rows: Sequence[Comparison]) -> Comparison:
    """Of one method, the last iteration's pick that costs least; of equals the first."""
    last = max(row.key.iteration for row in rows)

    def cost(row: Comparison) -> tuple[float, float, float]:
        return row.costs.flops or 0.0, row.costs.policy_tokens, row.costs.reward_calls

    return min((row for row in rows if row.key.iteration == last), key=cost)


def _methods(table: Sequence[Comparison]) -> list[str]:
    return list(dict.fromkeys(row.key.method for row in table))


def _rank(row: Comparison) -> tuple[bool, float]:
    """By gold, most first; without any at the end."""
    return isnan(row.gold.value), -row.gold.value if not isnan(row.gold.value) else 0.0


def _tail(model: str) -> str:
    """A model's name; of a long path its end."""
    return model if len(model) <= 28 else f"...{model[-25:]}"
