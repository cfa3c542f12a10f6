"""Which stored run stands in which row of the leaderboard, and whether the stored leaderboard still says so; no torch.

python -m harness leaderboard            # writes results/leaderboard.{md,parquet,html} and its figure
python -m harness leaderboard --check    # exit code 1 where they differ from what results/runs gives

A run that somebody else made joins by copying its folder into results/runs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose, isnan
from pathlib import Path
from typing import Any

import polars as pl
from PIL import UnidentifiedImageError

from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.files import put_parquet, whole
from harness.core.nested import flatten
from harness.core.printable import without_controls
from harness.core.yaml_text import read_yaml
from harness.evidence.figures import files
from harness.evidence.figures.board import leaderboard
from harness.evidence.foreign import NO_RUN, why_no_run
from harness.evidence.graders import task_in_words
from harness.evidence.leaderboard_html import html
from harness.evidence.leaderboard_markdown import markdown
from harness.evidence.leaderboard_row import Entry, Seed, table_of
from harness.evidence.proven_table import DamagedTable, read_table
from harness.evidence.record import RunRecord
from harness.evidence.schema import GOLD, PROXY, ROW, Row
from harness.evidence.store import Run, is_done, load_run
from harness.evidence.table import comparison


@dataclass(frozen=True)
class Board:
    """Rows of `table.comparison`, with where they come from."""

    rows: list[Entry]  # settings not chosen by hand, test prompts; one for each Entry.key; best first in each section
    others: list[Entry]  # each with its `reason`
    unfinished: list[str]  # run ids
    left_out: dict[str, str]  # folder that holds no run that can be read -> why

    @property
    def shown(self) -> list[Entry]:
        """One row a method and final pick, for a reader who wants no more: of the settings that speak for a method.

        They are not chosen by a score: the last iteration, of settings that were tuned before defaults, of the run
        with most prompts.
        """
        speaking: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for entry in sorted(self.rows, key=_speaks_before):
            speaking.setdefault(_of_method(entry), _settled(entry))
        return [entry for entry in self.rows if speaking[_of_method(entry)] == _settled(entry)]


def board_of(out: Path) -> Board:
    """Read every stored run. Of runs with equal settings the one with most prompts is shown, then the lowest seed."""
    read, unfinished, left_out = _read(out)
    if not read:
        why = "".join(f"; left out: {name}: {reason}" for name, reason in left_out.items())
        raise UserError(f"there is no finished run in {out / 'runs'} to make a leaderboard of{why}")
    shown: dict[tuple[Any, ...], Entry] = {}
    others = []
    for entry in sorted(read, key=lambda entry: (-entry.prompts, entry.seed, entry.run_id)):
        above = None if entry.reason else shown.setdefault(entry.key, entry)
        if above is entry:
            continue
        if above is not None:
            repeated = entry.seed == above.seed
            seed = "the same" if repeated else "another"
            entry = replace(entry, reason=f"{seed} seed of {above.run_id}, which stands above")
            if not repeated:
                found = Seed(entry.seed, entry.row.gold.value)
                shown[entry.key] = replace(above, other_seeds=(*above.other_seeds, found))
        others.append(entry)
    return Board(
        sorted(shown.values(), key=_place),
        sorted(sorted(others, key=_place), key=lambda entry: entry.run_id),
        unfinished,
        left_out,
    )


def _read(out: Path) -> tuple[list[Entry], list[str], dict[str, str]]:
    """The rows of all finished runs, ids of those that are not, and what is wrong with other folders."""
    read: list[Entry] = []
    unfinished: list[str] = []
    left_out: dict[str, str] = {}
    for folder in sorted(path for path in (out / "runs").glob("*") if path.is_dir() and not path.name.startswith(".")):
        try:
            if not (folder / "run.json").is_file():
                raise UserError("there is no run.json in it")
            if is_done(folder):
                read += _entries(load_run(folder), out)
            else:
                unfinished.append(folder.name)
        except NO_RUN as error:
            left_out[folder.name] = why_no_run(error)
    return read, unfinished, left_out


def write_leaderboard(out: Path) -> Path:
    """Write the files; the path of leaderboard.md."""
    board = board_of(out)
    texts, table = _texts(board), table_of([*board.rows, *board.others])
    for name, text in texts.items():
        with whole(out / name) as part:
            part.write_text(text, encoding="utf-8")
    with whole(out / "leaderboard.parquet") as part:  # `--check` compares it with the runs
        put_parquet(table, part)
    files.save(leaderboard(board.shown, "full"), out / "leaderboard", notes={"Data": _drawn(board)})
    return out / "leaderboard.md"


def difference(out: Path) -> str | None:
    """The first difference between the stored leaderboard and what the runs give; None where they agree."""
    board = board_of(out)
    for name in ("leaderboard.md", "leaderboard.html", "leaderboard.parquet"):
        if not (out / name).exists():
            return f"{out / name} is missing"
    for name, text in _texts(board).items():
        stored = (out / name).read_text(encoding="utf-8", errors="replace")
        if stored != text:
            return f"{out / name}: {_first_line(stored.split(chr(10)), text.split(chr(10)))}"
    drawn, figure = _drawn(board), out / "leaderboard.png"
    try:
        table = read_table(out / "leaderboard.parquet")
        stored_hash = files.data_of(figure) if figure.exists() else drawn  # what a copy without figures has not
    except (DamagedTable, UnidentifiedImageError, OSError) as error:
        return f"leaderboard.parquet or leaderboard.png in {out} is damaged: {error}"
    if found := _first_value(table, table_of([*board.rows, *board.others])):
        return f"{out / 'leaderboard.parquet'}: {found}"
    if stored_hash != drawn:
        return f"{figure}: drawn from data {stored_hash}, the runs give {drawn}"
    return None


def _entries(run: Run, out: Path) -> list[Entry]:
    record, config = run.record, run.record.config
    source, evaluate = record.settings_from or "unknown", record.settings("evaluate")
    shared = {name: record.settings(name) for name in ("sampler", "fit", config.task)}
    return [
        Entry(
            task=task_in_words(record),
            model=record.required("config.model", record.model_name),
            profile=record.required("config.profile", config.profile),
            seed=record.seed,
            same_reward=run.pool[PROXY].equals(run.pool[GOLD]) or row.is_one_reward,
            settings_from=source,
            slice=record.required("config.settings.evaluate.slice", evaluate.get("slice")),
            prompts=record.required("config.settings.evaluate.prompts", evaluate.get("prompts")),
            run_id=run.id,
            commit=record.required("commit", record.commit),
            dirty=record.dirty,
            reason=_reason(source, evaluate.get("slice")) or _unproven(record, source, out),
            row=row,
            settings=dict(flatten(record.settings(row.key.method))),
            settings_hash=digest([shared, config.dtype, record.settings(row.key.method)]),
            rewards=record.reward_versions,
        )
        for row in comparison(run)
    ]


def _reason(source: str, part: str | None) -> str:
    """Why a run stands in the second table; empty where it does not."""
    if part not in ("test", "reserve"):
        return f"{part} prompts"
    if source == "unknown":
        return "who chose its settings was not recorded"
    return "" if source == "defaults" or source.startswith("tune:") else f"settings {source}"


def _unproven(record: RunRecord, source: str, out: Path) -> str:
    """What is wrong with the claim that `tune` chose the settings; empty where its file is here and says the same."""
    if not source.startswith("tune:"):
        return ""
    name = source.removeprefix("tune:")
    path = out / "tuning" / name / "chosen.yaml"
    if not path.is_file():
        return f"settings chosen by the tuning {name}, which is not in tuning/"
    chosen = read_yaml(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(chosen, dict):
        return f"settings chosen by the tuning {name}, whose chosen.yaml names none"
    wrong = [m for m in record.config.methods if not set(_named(chosen.get(m, {}))) <= set(_named(record.settings(m)))]
    return f"the tuning {name} chose other settings for {', '.join(wrong)}" if wrong else ""


def _named(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, json.dumps(value)) for name, value in flatten(settings)]


def _place(entry: Entry) -> tuple[Any, ...]:
    """Sections in order, the same reward twice last; the highest gold first in each, and what has none last."""
    gold = entry.row.gold.value
    return (*entry.section, isnan(gold), 0.0 if isnan(gold) else -round(gold, 6), *_settled(entry), entry.row.key)


def _of_method(entry: Entry) -> tuple[Any, ...]:
    return (*entry.section, entry.row.key.method)


def _settled(entry: Entry) -> tuple[Any, ...]:
    """Where all final picks of one method are the same answers' finalists."""
    return entry.settings_hash, entry.run_id, entry.row.key.iteration


def _speaks_before(entry: Entry) -> tuple[Any, ...]:
    return -entry.row.key.iteration, not entry.is_tuned, -entry.prompts, *_settled(entry)


def _texts(board: Board) -> dict[str, str]:
    parts = board.shown, board.rows, board.others, board.unfinished, board.left_out
    texts = {"leaderboard.md": markdown(*parts), "leaderboard.html": html(*parts)}
    return {name: without_controls(text) for name, text in texts.items()}


def _drawn(board: Board) -> str:
    """Hash of what the figure shows, to six digits."""
    shown = []
    for entry in board.shown:
        gold = entry.row.gold
        shown.append([[str(x) for x in entry.key], *(f"{x:.6g}" for x in (gold.value, gold.low, gold.high))])
    return digest(shown)


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
                key = Row(*(b[part] for part in ROW))
                where = f"{b['run_id']} {key.name}, {key.final_pick}"
                return f"row {i + 1} ({where}), column {name} is {a[name]}, and the runs give {value}"
    return None


def _equal(a: Any, b: Any) -> bool:
    """NaN equals itself, and a mean may differ in its last digits between machines."""
    if isinstance(a, float) and isinstance(b, float):
        return isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) or (isnan(a) and isnan(b))
    return bool(a == b)
