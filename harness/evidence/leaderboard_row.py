"""A row of the leaderboard: a row of one stored run's table, and where it comes from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from harness.evidence.record import versions_in_words
from harness.evidence.row import Comparison, flat
from harness.evidence.schema import BASE_NLL

_COLUMNS = (
    "gold", "proxy", "against_best_of_n", "p_holm", "win_rate_over_base", "unscored", "tokens", BASE_NLL,
    "distinct_2", "policy_tokens", "value_calls", "value_tokens", "reward_calls", "fit_policy_tokens",
    "fit_proxy_calls", "flops", "flops_with_fitting", "budget", "beside", "cost_over_beside", "not_compared",
)  # fmt: skip
_MARKS = ("is_oracle", "clusters")  # of a row, likewise
_OWN_COLUMNS = ("row", "settings", "settings_hash", "rewards", "other_seeds")  # of Entry, which are written another way


@dataclass(frozen=True)
class Seed:
    """The gold of the same row under another seed, in sd of base samples."""

    seed: int
    gold: float


@dataclass(frozen=True)
class Entry:
    """`settings_from` is defaults, tune:NAME, chosen by hand or unknown; `reason` says why it is in the second table.

    same_reward: the proxy is the gold. rewards: versions of both, of a task that names them.
    settings: the method's, by dotted name. settings_hash: of what shapes its numbers, the seed left out.
    """

    task: str
    model: str
    profile: str
    seed: int
    same_reward: bool
    settings_from: str
    slice: str
    prompts: int
    run_id: str
    commit: str
    dirty: bool | None  # None: the commit is unknown
    reason: str
    row: Comparison
    settings: Mapping[str, Any]
    settings_hash: str
    rewards: Mapping[str, int]
    other_seeds: tuple[Seed, ...] = ()

    @property
    def is_tuned(self) -> bool:
        return self.settings_from != "defaults"

    @property
    def chosen(self) -> str:
        """Who chose its settings, in a word or two: defaults, tuned, chosen by hand."""
        return "tuned" if self.settings_from.startswith("tune:") else self.settings_from

    @property
    def section(self) -> tuple[bool, str, str, str, tuple[int, ...], str]:
        """The table that it stands in; sections are shown in this order, those of newer rewards first."""
        newest = tuple(-version for version in self.rewards.values()) or (0,)  # from before versions were named
        return self.same_reward, self.task, self.model, self.profile, newest, self.slice

    @property
    def title(self) -> str:
        """Of its section."""
        title = f"{self.task}, {self.model}, profile {self.profile}"
        title += f", rewards {versions_in_words(self.rewards)}" if self.rewards else ""
        title += "" if self.slice == "test" else f", {self.slice} prompts"
        return f"{title}: steered and judged by the same reward" if self.same_reward else title

    @property
    def key(self) -> tuple[Any, ...]:
        """What one row of the first table stands for: of rows with the same key one is shown."""
        return *self.section, self.settings_hash, *self.row.key


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """'width 4, select top, diversity true', in the order of the method's own settings."""
    return ", ".join(f"{name} {_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_value, value)) or "none"
    return "none" if value in ("", None) else str(value).lower() if isinstance(value, bool) else f"{value}"


def table_of(entries: Sequence[Entry]) -> pl.DataFrame:
    """leaderboard.parquet; marks that no row has, have no column."""
    marks = [name for name in _MARKS if any(getattr(entry.row, name) for entry in entries)]
    rows = [{**_columns(entry), **{name: getattr(entry.row, name) for name in marks}} for entry in entries]
    return pl.DataFrame(rows, infer_schema_length=None)


def _columns(entry: Entry) -> dict[str, Any]:
    of: Mapping[str, Any] = {**vars(entry.row), **vars(entry.row.drift), **vars(entry.row.costs)}
    about = {name: value for name, value in vars(entry).items() if name not in _OWN_COLUMNS}
    seeds = json.dumps([vars(other) for other in entry.other_seeds])
    return {
        **about,
        **entry.row.key._asdict(),
        "settings": json.dumps(entry.settings),
        "settings_hash": entry.settings_hash,
        "rewards": versions_in_words(entry.rewards),
        "other_seeds": seeds,
        **flat({name: of[name] for name in _COLUMNS}),
    }
