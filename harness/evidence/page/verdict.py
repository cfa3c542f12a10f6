"""What a stored run found, in one sentence, from its stored table alone; no torch.

rows = stored_rows(folder)       # of table.parquet, which `report` writes
str(verdict(rows))               # "IRO (iteration 3), picked by value, is better than best-of-16: +0.44 sd of gold ..."

Which row speaks for a method follows from names, not from scores: its last iteration, and the pick that needs least at
test time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from harness.core.errors import UserError
from harness.core.statistics.stats import Estimate
from harness.evidence.clusters import few
from harness.evidence.markdown import giga, p_value, signed
from harness.evidence.names import display_name
from harness.evidence.record import DAMAGED
from harness.evidence.schema import REFERENCES, ROW, Row
from harness.evidence.store import read_parquet

_PICKS = ("value", "first", "reward")  # cheapest first
_NEEDED = (*ROW, "gold", "policy_tokens", "reward_calls")
_PARTS = ("", "_low", "_high", "_n", "_p")  # of an estimate
_NUMBERS = (
    *(f"{name}{part}" for name in ("gold", "against_best_of_n") for part in _PARTS),
    "iteration", "policy_tokens", "reward_calls", "flops", "flops_with_fitting", "p_holm", "budget",
)  # fmt: skip
_WHO = {"value": "value", "reward": "proxy"}
_UNLIKELY = 0.05  # Holm's p below which a difference is called one


@dataclass(frozen=True)
class TableRow:
    """A row of a stored table, as far as pages show it; gold in sd of base samples. None: not recorded."""

    key: Row
    gold: Estimate
    against_best_of_n: Estimate | None
    p_holm: float | None
    beside: str | None  # "best-of-16"
    policy_tokens: float  # of a test prompt, as the next three
    reward_calls: float
    flops: float | None
    flops_with_fitting: float | None
    trains_weights: bool
    is_one_reward: bool
    is_oracle: bool
    budget: int | None  # rows a prompt
    clusters: int | None = None  # that intervals are over; None: over prompts

    @property
    def name(self) -> str:
        """'IRO (iteration 3), picked by value'; without the pick where nobody chose."""
        made = [f"iteration {self.key.iteration}"] if self.key.iteration and not self.trains_weights else []
        made += ["weights trained"] if self.trains_weights else []
        made += ["oracle"] if self.is_oracle else []
        method = display_name(self.key.method) + (f" ({', '.join(made)})" if made else "")
        pick = self.key.final_pick
        pick = "" if pick == "first" else f", picked by {_WHO.get(pick, pick)}"
        return f"{method}{pick}"

    @property
    def cost(self) -> str:
        """'140 GFLOPs an answer (610 with fitting) and 4.0 reward calls'."""
        if isnan(self.policy_tokens):
            return "a cost that is not known"
        if self.flops is None or self.flops_with_fitting is None:
            work = f"{self.policy_tokens:,.0f} policy tokens an answer"
        else:
            work = f"{giga(self.flops)} GFLOPs an answer"
            if self.flops_with_fitting > 1.005 * self.flops:
                work += f" ({giga(self.flops_with_fitting)} with fitting)"
        calls = f"{self.reward_calls:.1f}".removesuffix(".0")
        return f"{work} and {calls} reward calls"


def stored_rows(folder: Path) -> list[TableRow]:
    """The rows of a run's table.parquet, in its order. Raises UserError where that is not one."""
    path = folder / "table.parquet"
    table = read_parquet(path)
    if missing := [name for name in _NEEDED if name not in table.columns]:
        raise UserError(f"{path} has no {', '.join(missing)}, which every run has; {DAMAGED}")
    known = [name for name in _NUMBERS if name in table.columns and table[name].null_count() < len(table)]
    if wrong := [name for name in known if not table.schema[name].is_numeric()]:
        raise UserError(f"{path} has no numbers in {', '.join(wrong)}; {DAMAGED}")
    return [_row(found) for found in table.iter_rows(named=True)]


def main_row(rows: Sequence[TableRow], method: str | None = None) -> TableRow | None:
    """The row that speaks for a method, or for the run: that of IRO, else of the last method that is no reference."""
    methods = list(dict.fromkeys(row.key.method for row in rows))
    if method is None:
        own = [name for name in methods if name not in REFERENCES]
        ranked = ["iro", *reversed(own), "best_of_n", "base"]
        method = next((name for name in ranked if name in methods), None)
    of_method = [row for row in rows if row.key.method == method]
    last = max((row.key.iteration for row in of_method), default=0)
    of_last = {row.key.final_pick: row for row in of_method if row.key.iteration == last}
    return next((of_last[pick] for pick in (*_PICKS, *of_last) if pick in of_last), None)


@dataclass(frozen=True)
class Verdict:
    """One sentence in two parts: what was found, and at what cost."""

    found: str
    cost: str

    def __str__(self) -> str:
        return f"{self.found}, {self.cost}."


def verdict(rows: Sequence[TableRow]) -> Verdict:
    """Which method, how much over best-of-n with interval and n, and at what cost."""
    row, rival = main_row(rows), main_row(rows, "best_of_n")
    if row is None:
        return Verdict("This run has no row to speak of", "and so no cost")
    is_beside = rival is not None and rival.budget is not None and row.beside == f"best-of-{rival.budget}"
    cost = f"at {row.cost}" + (f"; {row.beside} takes {rival.cost}" if rival is not None and is_beside else "")
    of = row.against_best_of_n
    prompts = f"{row.gold.n if of is None else of.n or row.gold.n:,} prompts"  # earlier versions stored no n of pairs
    prompts += "" if row.clusters is None else f" in {row.clusters:,} clusters"
    if of is None or row.beside is None:
        return Verdict(f"{row.name}{_comma(row)} has {row.gold} sd of gold above base samples on {prompts}", cost)
    chance = "" if (p := p_value(row.p_holm)) == "" else f", p {p if p[0] == '<' else f'= {p}'} (Holm)"
    compared = _compared(of, row.p_holm)
    return Verdict(
        f"{row.name}{_comma(row)} {compared} {row.beside}: {signed(of)} sd of gold on {prompts}{chance}", cost
    )


def others(rows: Sequence[TableRow]) -> str:
    """What else a reader of the verdict should know: which row has the highest gold, and one reward for two."""
    said, row = [], main_row(rows)
    scored = [one for one in rows if not isnan(one.gold.value)]
    if row is not None and scored:
        best = max(scored, key=lambda one: one.gold.value)
        if best.key != row.key:
            said.append(
                f"The highest gold of all {len(rows)} rows is that of {best.name}: {best.gold}, at {best.cost}."
            )
    if any(one.is_one_reward for one in rows):
        said.append("Gold and proxy are one function here, so nothing held out judges these rows.")
    if any(one.is_oracle for one in rows):
        said.append("Rows marked oracle ask a grader that reads columns of the row, which new prompts may lack.")
    if (clusters := next((one.clusters for one in rows), None)) is not None:
        note = f" {few(clusters, 'of prompts')}." if few(clusters, "") else ""
        said.append(f"Intervals are over {clusters:,} clusters of prompts, which are drawn whole.{note}")
    return " ".join(said)


def _comma(row: TableRow) -> str:
    """After a name that says who picked."""
    return "," if "," in row.name else ""


def _compared(of: Estimate, p: float | None) -> str:
    chance = of.p if p is None else p
    if isnan(of.low) or (chance is not None and chance >= _UNLIKELY) or of.low <= 0 <= of.high:
        return "is not told apart from"
    return "is better than" if of.value > 0 else "is worse than"


def _row(found: Mapping[str, Any]) -> TableRow:
    return TableRow(
        key=Row(str(found["method"]), found["iteration"] or 0, str(found["final_pick"])),
        gold=_estimate(found, "gold") or Estimate(float("nan"), float("nan"), float("nan"), 0),
        against_best_of_n=_estimate(found, "against_best_of_n"),
        p_holm=found.get("p_holm"),
        beside=found.get("beside") or found.get("not_compared"),
        policy_tokens=found["policy_tokens"] or 0.0,
        reward_calls=found["reward_calls"] or 0.0,
        flops=found.get("flops"),
        flops_with_fitting=found.get("flops_with_fitting"),
        trains_weights=bool(found.get("trains_weights")),
        is_one_reward=bool(found.get("is_one_reward")),
        is_oracle=bool(found.get("is_oracle")),
        budget=found.get("budget"),
        clusters=found.get("clusters"),
    )


def _estimate(found: Mapping[str, Any], name: str) -> Estimate | None:
    """Earlier versions stored some parts of an estimate alone."""
    if found.get(name) is None:
        return None

    def part(of: str) -> float:
        stored = found.get(f"{name}_{of}")
        return float("nan") if stored is None else float(stored)

    return Estimate(found[name], part("low"), part("high"), found.get(f"{name}_n") or 0, part("p"))
