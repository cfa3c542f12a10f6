"""Which stored run stands in which row of the leaderboard, and whether the stored leaderboard still says so; no torch.

python -m harness leaderboard            # writes results/leaderboard.{md,parquet,png,html}
python -m harness leaderboard --check    # exit code 1 where they differ from what results/runs gives

A run that somebody else made joins by copying its folder into results/runs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose, isnan
from pathlib import Path
from typing import Any

import polars as pl
from PIL import UnidentifiedImageError

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import whole
from harness.core.nested import flatten
from harness.core.yaml_text import read_yaml
from harness.evidence import figures
from harness.evidence import plot_style as style
from harness.evidence.leaderboard_markdown import html, markdown
from harness.evidence.store import Run, is_done, load_run
from harness.evidence.table import GOLD, PROXY, comparison, flat_row

SECTION = ("task", "model", "profile", "same_reward")
ENTRY = (*SECTION, "settings_hash", "method", "iteration", "final_pick")
_COLUMNS = (
    "gold", "proxy", "against_best_of_n", "p_holm", "win_rate_over_base", "unscored", "tokens", "base_nll",
    "distinct_2", "policy_tokens", "value_calls", "value_tokens", "reward_calls", "fit_policy_tokens",
    "fit_proxy_calls", "flops", "flops_with_fitting",
)  # fmt: skip


@dataclass(frozen=True)
class Board:
    """Rows are those of `table.comparison`, with where they come from."""

    rows: list[dict[str, Any]]  # settings not chosen by hand, test prompts; one for each ENTRY
    others: list[dict[str, Any]]  # each with its `reason`
    unfinished: list[str]  # run ids


def board_of(out: Path) -> Board:
    """Read every stored run. Of runs with equal settings the one with most prompts is shown, then the lowest seed."""
    folders = sorted(path.parent for path in (out / "runs").glob("*/run.json"))
    rows = [row for folder in folders if is_done(folder) for row in _rows(load_run(folder), out)]
    if not rows:
        raise UserError(f"there is no finished run in {out / 'runs'} to make a leaderboard of")
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (-row["prompts"], row["seed"], row["run_id"])):
        if not row["reason"] and (chosen := best.setdefault(_entry(row), row)) is not row:
            repeated = row["seed"] == chosen["seed"]
            row["reason"] = f"{'the same' if repeated else 'another'} seed of {chosen['run_id']}, which stands above"
            if not repeated:
                chosen["other_seeds"].append({"seed": row["seed"], "gold": row["gold"].value})
    rows.sort(key=_place)
    return Board(
        [row for row in rows if not row["reason"]],
        sorted((row for row in rows if row["reason"]), key=lambda row: row["run_id"]),
        [folder.name for folder in folders if not is_done(folder)],
    )


def write_leaderboard(out: Path) -> Path:
    """Write the four files; the path of leaderboard.md."""
    board = board_of(out)
    texts, table = _texts(board), _table(board)
    for name, text in texts.items():
        with whole(out / name) as part:
            part.write_text(text)
    with whole(out / "leaderboard.parquet") as part:
        table.write_parquet(part)
    figures.leaderboard(board.rows, _drawn(board), out / "leaderboard.png")
    return out / "leaderboard.md"


def difference(out: Path) -> str | None:
    """The first difference between the stored leaderboard and what the runs give; None where they agree."""
    board = board_of(out)
    for name in ("leaderboard.md", "leaderboard.html", "leaderboard.parquet", "leaderboard.png"):
        if not (out / name).exists():
            return f"{out / name} is missing"
    for name, text in _texts(board).items():
        stored = (out / name).read_text(errors="replace")
        if stored != text:
            return f"{out / name}: {_first_line(stored.split(chr(10)), text.split(chr(10)))}"
    try:
        table, stored_hash = pl.read_parquet(out / "leaderboard.parquet"), figures.data_of(out / "leaderboard.png")
    except (pl.exceptions.PolarsError, UnidentifiedImageError) as error:
        return f"leaderboard.parquet or leaderboard.png in {out} is damaged: {error}"
    if found := _first_value(table, _table(board)):
        return f"{out / 'leaderboard.parquet'}: {found}"
    drawn = _drawn(board)
    if stored_hash != drawn:
        return f"{out / 'leaderboard.png'}: drawn from data {stored_hash}, the runs give {drawn}"
    return None


def _rows(run: Run, out: Path) -> list[dict[str, Any]]:
    config = run.about["config"]
    settings, source = config["settings"], run.about.get("settings_from", "unknown")
    evaluate, shared = settings["evaluate"], {name: settings[name] for name in ("sampler", "fit", config["task"])}
    about = {
        **{name: config[name] for name in ("task", "model", "profile", "seed")},
        "same_reward": run.pool[PROXY].equals(run.pool[GOLD]),
        "settings_from": source,
        "slice": evaluate["slice"],
        "prompts": evaluate["prompts"],
        "run_id": run.id,
        "commit": run.about["commit"],
        "dirty": run.about["dirty"],
        "reason": _reason(source, evaluate["slice"]) or _unproven(source, config, out),
    }
    return [
        {
            **about,
            "method": row["method"],
            "iteration": row["iteration"],
            "final_pick": row["final_pick"],
            "settings_hash": digest([shared, config["dtype"], settings[row["method"]]]),
            "other_seeds": [],
            **{name: row.get(name) for name in _COLUMNS},
        }
        for row in comparison(run)
    ]


def _reason(source: str, part: str) -> str:
    """Why a run stands in the second table; empty where it does not."""
    if part != "test":
        return f"{part} prompts"
    if source == "unknown":
        return "who chose its settings was not recorded"
    return "" if source == "defaults" or source.startswith("tune:") else f"settings {source}"


def _unproven(source: str, config: Mapping[str, Any], out: Path) -> str:
    """What is wrong with the claim that `tune` chose the settings; empty where its file is here and says the same."""
    if not source.startswith("tune:"):
        return ""
    name = source.removeprefix("tune:")
    path = out / "tuning" / name / "chosen.yaml"
    if not path.is_file():
        return f"settings chosen by the tuning {name}, which is not in tuning/"
    chosen = read_yaml(path.read_text(), str(path))
    if not isinstance(chosen, dict):
        return f"settings chosen by the tuning {name}, whose chosen.yaml names none"
    settings = config["settings"]
    wrong = [m for m in config["methods"] if not set(_said(chosen.get(m, {}))) <= set(_said(settings[m]))]
    return f"the tuning {name} chose other settings for {', '.join(wrong)}" if wrong else ""


def _said(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, json.dumps(value)) for name, value in flatten(settings)]


def _entry(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ENTRY)


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Sections in order, the same reward twice last; base and best-of-n first in each."""
    order = [name for name in style.COLOURS if name in ("base", "best_of_n")]
    method = order.index(row["method"]) if row["method"] in order else len(order)
    section = (row["same_reward"], row["task"], row["model"], row["profile"])
    return (*section, method, row["method"], row["settings_from"], row["run_id"], row["iteration"])


def _texts(board: Board) -> dict[str, str]:
    text = markdown(board.rows, board.others, board.unfinished)
    return {"leaderboard.md": text, "leaderboard.html": html(text)}


def _table(board: Board) -> pl.DataFrame:
    rows = [{**row, "other_seeds": json.dumps(row["other_seeds"])} for row in [*board.rows, *board.others]]
    return pl.DataFrame([flat_row(row) for row in rows], infer_schema_length=None)


def _drawn(board: Board) -> str:
    """Hash of what the figure shows, to six digits."""
    gold = [[f"{x:.6g}" for x in (row["gold"].value, row["gold"].low, row["gold"].high)] for row in board.rows]
    return digest([[[str(x) for x in _entry(row)], *g] for row, g in zip(board.rows, gold, strict=True)])


def _first_line(stored: Sequence[str], made: Sequence[str]) -> str:
    i = next((i for i, (a, b) in enumerate(zip(stored, made, strict=False)) if a != b), min(len(stored), len(made)))
    a, b = (lines[i] if i < len(lines) else "(nothing)" for lines in (stored, made))
    return f"line {i + 1} is\n  {a}\nand the runs give\n  {b}"


def _first_value(stored: pl.DataFrame, made: pl.DataFrame) -> str | None:
    if stored.schema != made.schema:
        odd = [str(item) for item in dict(stored.schema).items() ^ dict(made.schema).items()]
        return f"columns differ: {', '.join(sorted(odd)) or 'their order'}"
    if len(stored) != len(made):
        return f"{len(stored)} rows, and the runs give {len(made)}"
    for i, (a, b) in enumerate(zip(stored.iter_rows(named=True), made.iter_rows(named=True), strict=True)):
        for name, value in b.items():
            if not _equal(a[name], value):
                where = f"{b['run_id']} {b['method']}, iteration {b['iteration']}, {b['final_pick']}"
                return f"row {i + 1} ({where}), column {name} is {a[name]}, and the runs give {value}"
    return None


def _equal(a: Any, b: Any) -> bool:
    """NaN equals itself, and a mean may differ in its last digits between machines."""
    if isinstance(a, float) and isinstance(b, float):
        return isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) or (isnan(a) and isnan(b))
    return a == b
