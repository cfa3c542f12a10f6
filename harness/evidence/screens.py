"""The end of ablate, tune, judge, score and of a report over seeds: a few rows of what they stored, what to do next.

show_ablation(folder); show_tuning(folder); show_judgement(folder); show_seeds(folder)     # OUT/ablations/<id>, ...

Views of the tables that these folders hold: nothing is computed. See screen.py for a run.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from typing import Any

from harness.core.statistics.stats import Estimate
from harness.core.yaml_text import read_yaml
from harness.evidence.clusters import few
from harness.evidence.markdown import digits_of, percent
from harness.evidence.names import display_name
from harness.evidence.screen import MOST, beside_here, reference
from harness.evidence.store import read_json, read_parquet
from harness.evidence.terminal import Column, Terminal, grid

Stored = Mapping[str, Any]  # a row of a stored table


def show_ablation(folder: Path, terminal: Terminal | None = None) -> None:
    """One row a value: the last iteration and the cheapest pick of the method whose setting it is."""
    about = read_json(folder / "about.json")
    axes: Sequence[Stored] = about["axes"]
    table = [row for row in _rows(folder / "table.parquet") if row["method"] == axes[0]["method"]]
    by_value: dict[str, list[Stored]] = {}
    for row in table:
        by_value.setdefault(row["value"] if axes[0]["column"] else row["point"], []).append(row)
    chosen = [_cheapest_of_last(rows) for rows in by_value.values()]
    shown = chosen[:MOST]
    values = [row["value"] if len(axes) == 1 else _point(json.loads(row["point"])) for row in shown]
    golds = [_required(row, "gold") for row in shown]
    differences = [_estimate(row, "against_reference") for row in shown]
    columns = [
        Column(" x ".join(axis["name"] for axis in axes), [str(value) for value in values], is_text=True),
        Column("gold (sd)", [gold.shown() for gold in golds]),
        _against("vs best-of-n", [_estimate(row, "against_best_of_n") for row in shown], may_go=True),
        _against(f"vs {values[0] if axes[0]['column'] else _point(about['reference'])}", differences),
    ]
    columns = [column for column in columns if any(column.cells)]
    method = f"{display_name(axes[0]['method'])}, {golds[0].n} prompts"
    what = " x ".join(axis["label"] for axis in axes)
    notes = [*_more(chosen, shown), "Gold in sd of base samples [95%]; differences are paired by prompt."]
    screen = terminal or Terminal()
    _show(screen, f"{folder.name}  {what}: {method}", columns, golds, _best(golds), notes)
    run = folder.parent.parent / "runs" / shown[golds.index(max(golds, key=lambda gold: gold.value))]["run_id"]
    _end(screen, folder, [f"harness view {reference(run)}", f"harness report {reference(folder)} --full"])


def show_tuning(folder: Path, terminal: Terminal | None = None) -> None:
    """One row a method: its best try."""
    methods: Mapping[str, Stored] = read_json(folder / "about.json")["methods"]
    chosen = [row for row in _rows(folder / "tries.parquet") if row["chosen"]]
    shown, golds = chosen[:MOST], [_required(row, "gold") for row in chosen[:MOST]]
    of = [methods[row["method"]] for row in shown]
    columns = [
        Column("method", [display_name(row["method"]) for row in shown], is_text=True),
        Column("gold (sd)", [gold.shown() for gold in golds]),
        Column("tries", [str(method["tries"]) for method in of], may_go=True),
        Column("best settings", [_settings(row) for row in shown], is_text=True, wraps=True),
    ]
    edges = [
        f"{display_name(name)} ({'; '.join(method['edges'])})" for name, method in methods.items() if method["edges"]
    ]
    notes = [
        *_more(chosen, shown),
        f"Gold of the best try on {golds[0].n} development prompts, in sd of base samples [95%].",
    ]
    screen = terminal or Terminal()
    _show(screen, f"{folder.name}  the best of {sum(m['tries'] for m in of)} tries", columns, golds, None, notes)
    if edges:
        screen.say_after("mind", f"at an edge, where more tries may lift it: {', '.join(edges)}", "yellow")
    _end(screen, folder, [f"harness run --config {beside_here(folder / 'chosen.yaml')}"])


def show_judgement(folder: Path, terminal: Terminal | None = None) -> None:
    """One row for each judged row of a run, most wins first."""
    table = sorted(_rows(folder / "table.parquet"), key=lambda row: -_or_less(row["win_rate"]))
    shown = table[:MOST]
    wins, controlled = ([_required(row, name) for row in shown] for name in ("win_rate", "length_controlled"))
    warned = [bool(row.get("length_controlled_warning")) for row in shown]
    rates = [_rate(of) + " (!)" * warning for of, warning in zip(controlled, warned, strict=True)]
    columns = [
        Column("method", [_named(row, table) for row in shown], is_text=True),
        Column("wins", [_rate(of) for of in wins]),
        Column("at equal lengths", rates, [rate.partition(" [")[0] for rate in rates], may_go=True),
        Column("n", [str(of.n) for of in wins], may_go=True),
    ]
    opponents = dict.fromkeys(display_name(row["opponent"].partition("-")[0]) for row in table)
    notes = [*_more(table, shown), "Wins over the opponent, ties as half [95%]; n: prompts with a verdict."]
    screen = terminal or Terminal()
    from_even = [replace(of, value=of.value - 0.5, low=of.low - 0.5, high=of.high - 0.5) for of in wins]
    _show(screen, f"{folder.name}  over {', '.join(opponents)}", columns, from_even, None, notes)
    about = read_json(folder / "about.json")
    mind = [f"{n} pairs without a verdict: {reason}" for reason, n in about.get("withheld", {}).items()]
    mind += [f"{n} pairs without a verdict: none was named" for n in [sum(row["unparsable"] for row in table)] if n]
    mind += ["(!) is not to be believed, and the report says why"] if any(warned) else []
    if mind:
        screen.say_after("mind", "; ".join(mind), "yellow")
    run = about.get("run")
    _end(screen, folder, [] if run is None else [f"harness view {reference(folder.parent.parent / 'runs' / run)}"])


def show_scores(folder: Path, terminal: Terminal | None = None) -> None:
    """One row a method of a run under another grader, highest score first."""
    table = sorted(_rows(folder / "table.parquet"), key=lambda row: -_or_less(row["score"]))
    last = {name: max(r["iteration"] for r in table if r["method"] == name) for name in {r["method"] for r in table}}
    rows = table if len(table) <= MOST else [row for row in table if row["iteration"] == last[row["method"]]]
    shown, about = rows[:MOST], read_json(folder / "about.json")
    scores, digits = [_required(row, "score") for row in shown], digits_of(_estimate(row, "score") for row in table)
    columns = [
        Column("method", [_named(row, table) for row in shown], is_text=True),
        Column("score", [of.shown(digits) for of in scores]),
        _against("vs base", [_estimate(row, "against_base") for row in shown], f"+{digits}"),
        _against("vs best-of-n", [_estimate(row, "against_best_of_n") for row in shown], f"+{digits}", may_go=True),
    ]
    columns = [column for column in columns if any(column.cells)]
    notes = [*_more(table, shown), "In points of the grader [95%]; differences are paired by prompt."]
    screen = terminal or Terminal()
    _show(screen, f"{folder.name}  {about['run']} under {about['grader']}", columns, scores, None, notes)
    mind = [*about["mind"], *(f"{of['count']} answers have no score: {why}" for why, of in about["unscored"].items())]
    mind += [said] if (said := few(table[0].get("clusters"), "of prompts")) else []
    if mind:
        screen.say_after("mind", "; ".join(mind), "yellow")
    _end(screen, folder, [f"harness view {reference(folder.parent.parent / 'runs' / about['run'])}"])


def show_seeds(folder: Path, terminal: Terminal | None = None) -> None:
    """Rows over prompts and seeds: of a long table those of last iterations, most gold first."""
    table = _rows(folder / "table.parquet")
    last = {name: max(r["iteration"] for r in table if r["method"] == name) for name in {r["method"] for r in table}}
    rows = table if len(table) <= MOST else [row for row in table if row["iteration"] == last[row["method"]]]
    shown = sorted(rows, key=lambda row: -_or_less(row["gold"]))[:MOST]
    golds = [_required(row, "gold") for row in shown]
    columns = [
        Column("method", [_named(row, table) for row in shown], is_text=True),
        Column("gold (sd)", [gold.shown() for gold in golds]),
        _against("vs best-of-n", [_estimate(row, "against_best_of_n") for row in shown]),
    ]
    notes = [*_more(table, shown), "Gold in sd of base samples [95%], over prompts and seeds; few seeds stay few."]
    screen = terminal or Terminal()
    seeds = ", ".join(map(str, shown[0]["seeds"]))
    _show(screen, f"{folder.name}  {golds[0].n} prompts, seeds {seeds}", columns, golds, None, notes)
    _end(screen, folder, [])


def _show(
    screen: Terminal,
    facts: str,
    columns: Sequence[Column],
    plotted: Sequence[Estimate],
    best: int | None,
    notes: Iterable[str],
) -> None:
    screen.say(facts, "bold")
    screen.show(grid(columns, screen.width, plotted, best, screen.is_plain))
    screen.say(" ".join(notes), "dim")


def _end(screen: Terminal, folder: Path, commands: Sequence[str]) -> None:
    screen.say_after("report", beside_here(folder / "report.md"))
    for label, command in zip(["next", *["    "] * len(commands)], commands, strict=False):
        screen.say_after(label, command)


def _rows(path: Path) -> Sequence[Stored]:
    return read_parquet(path).to_dicts()


def _estimate(row: Stored, name: str) -> Estimate | None:
    """An estimate from its columns; None where the row, or the table, has none."""
    if row.get(name) is None:
        return None
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], row[f"{name}_n"])


def _required(row: Stored, name: str) -> Estimate:
    return _estimate(row, name) or Estimate(nan, nan, nan, 0)


def _against(title: str, differences: Sequence[Estimate | None], spec: str = "+.2f", may_go: bool = False) -> Column:
    cells = ["" if of is None else of.shown(spec) for of in differences]
    return Column(title, cells, [cell.partition(" ")[0] for cell in cells], may_go=may_go)


def _cheapest_of_last(rows: Sequence[Stored]) -> Stored:
    last = max(row["iteration"] for row in rows)
    cost: Callable[[Stored], tuple[float, ...]] = lambda row: (  # noqa: E731
        row["flops"] or 0.0, row["policy_tokens"], row["reward_calls"],
    )  # fmt: skip
    return min((row for row in rows if row["iteration"] == last), key=cost)


def _named(row: Stored, among: Sequence[Stored]) -> str:
    """The name of a row, with iteration and pick where its method has others."""
    same = [other for other in among if other["method"] == row["method"]]
    name = display_name(row["method"])
    name += f", iter. {row['iteration']}" if len({other["iteration"] for other in same}) > 1 else ""
    picks = {other["final_pick"] for other in same if other["iteration"] == row["iteration"]}
    return name + (f", {row['final_pick']}" if len(picks) > 1 else "")


def _point(values: Sequence[Any]) -> str:
    return " x ".join(map(str, values))


def _more(rows: Sequence[Any], shown: Sequence[Any]) -> list[str]:
    more = len(rows) - len(shown)
    return [f"{more} more row{'s' * (more > 1)} in the report."] if more else []


def _best(golds: Sequence[Estimate]) -> int | None:
    known = [i for i, gold in enumerate(golds) if not isnan(gold.value)]
    return max(known, key=lambda i: golds[i].value, default=None)


def _settings(row: Stored) -> str:
    settings = read_yaml(row["settings"], f"settings of try {row['try']}")
    named = [f"{name}={value}" for name, value in settings.items()] if isinstance(settings, dict) else []
    return ", ".join(named) or "defaults"


def _rate(rate: Estimate) -> str:
    return "none" if isnan(rate.value) else percent(rate)


def _or_less(value: float | None) -> float:
    """A number to sort by: what is none comes last."""
    return -1e9 if value is None or isnan(value) else value
